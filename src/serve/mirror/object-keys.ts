// The key under which a URL is stored, and which parts of its query belong to the key (mirror type, keyQuery). Pure.
// Whether a query is a processing instruction is decided before.
import { type Key, toKey } from "../../core/object.ts";

/** The part of a query that belongs to the key: none, all, or the parameters of these names. Processing never does. */
export type KeyQuery = "drop" | "keep" | readonly string[];

/**
 * The key of a URL, if some rule of the bucket puts queries into keys; else the key is the path. `query`: raw, reduced
 * to the part that belongs to the key. A `?` of the path is `%3F` in the key, so that `/a%3Fb` and `/a?b` are two
 * objects. A `.` or `..` segment of the query becomes `%2E` or `%2E%2E`, since no key has such a segment. Throws
 * url_invalid: over 1024 bytes.
 */
export function keyOfUrl(path: Key, query: string): Key {
  const name = path.includes("?") || path.includes("%") ? escapeQuestionMarks(path) : path;
  return query === "" ? toKey(name) : toKey(`${name}?${escapeDots(query)}`);
}

/** The `%` of a literal `%3F` is escaped as well, so that two paths never become one key. */
function escapeQuestionMarks(path: string): string {
  return path.replace(/%(?=(?:25)*3F)/gi, "%25").replaceAll("?", "%3F");
}

/** The path and query from which keyOfUrl() makes the key. Throws url_invalid for a key that it never makes. */
export function urlOfKey(key: Key, hasQuery: boolean): { readonly path: Key; readonly query: string } {
  if (!hasQuery) return { path: key, query: "" };
  const mark = key.indexOf("?");
  const name = mark === -1 ? key : key.slice(0, mark);
  return { path: toKey(unescapeQuestionMarks(name)), query: mark === -1 ? "" : unescapeDots(key.slice(mark + 1)) };
}

function unescapeQuestionMarks(name: string): string {
  return name.replace(/%3F|%25(?=(?:25)*3F)/gi, (escaped) => (escaped === "%3F" ? "?" : "%"));
}

/** A literal escaped dot segment is escaped once more, so that two queries never become one key. */
function escapeDots(query: string): string {
  // Most queries have no slash. The part before the first slash follows the `?`, so it is not a whole segment of the
  // key.
  if (!query.includes("/")) return query;
  return query.replace(/(?<=\/)(\.|%(?:25)*2E)\1?(?=\/|$)/g, (dots) =>
    dots.startsWith(".") ? dots.replaceAll(".", "%2E") : dots.replaceAll("%", "%25"),
  );
}

function unescapeDots(query: string): string {
  if (!query.includes("/")) return query;
  return query.replace(/(?<=\/)(%(?:25)*2E)\1?(?=\/|$)/g, (dots) =>
    dots.startsWith("%2E") ? dots.replaceAll("%2E", ".") : dots.replaceAll("%25", "%"),
  );
}

/** The part of a query that belongs to the key, in the order of the URL. */
export function queryInKey(query: string, keep: KeyQuery): string {
  if (keep === "drop") return "";
  return keep === "keep" ? query : filterQuery(query, (name) => keep.includes(name));
}

/** The parameters whose decoded name is wanted, with their spelling unchanged. */
export function filterQuery(query: string, isWanted: (name: string) => boolean): string {
  if (query === "") return "";
  return query
    .split("&")
    .filter((part) => isWanted(decoded(part.split("=", 1)[0] ?? "")))
    .join("&");
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // Not UTF-8: compare the name as it is spelled.
  }
}

/** A raw query (one character a byte) as printable ASCII: other bytes become `%XX`, which means the same. */
export function asciiQuery(query: string): string {
  return query.replace(/[^\x21-\x7e]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}
