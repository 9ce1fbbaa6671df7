// Under which key an URL is stored: what of its query belongs to the key, by mirror type and keyQuery. Pure. Whether a
// query is a processing instruction was decided before.
import { type Key, toKey } from "../core/object.ts";

/** What of a query that is not processing belongs to the key: nothing, all, or the parameters of these names. */
export type KeyQuery = "drop" | "keep" | readonly string[];

/**
 * The key of an URL. `query`: raw, already without what does not belong to the key. Where queries are kept by any rule
 * of the bucket (`isKept`) a `?` of the path is `%3F` in the key, so that `/a%3Fb` and `/a?b` are two objects, and a
 * `.` or `..` between the slashes of the query is `%2E` or `%2E%2E`, since no key has such a segment. Throws
 * url_invalid: over 1024 bytes.
 */
export function keyOfUrl(path: Key, query: string, isStorable: boolean): Key {
  if (!isStorable) return path;
  const name = path.includes("?") || path.includes("%") ? escapeMarks(path) : path;
  return query === "" ? toKey(name) : toKey(`${name}?${escapeDots(query)}`);
}

/** The `%` of what looks like an escaped `?` is escaped as well: two paths never become one key. */
function escapeMarks(path: string): string {
  return path.replace(/%(?=(?:25)*3F)/gi, "%25").replaceAll("?", "%3F");
}

/** The path and query of which keyOfUrl() makes the key. Throws url_invalid for a key that it never makes. */
export function urlOfKey(key: Key, isStorable: boolean): { readonly path: Key; readonly query: string } {
  if (!isStorable) return { path: key, query: "" };
  const mark = key.indexOf("?");
  const name = mark === -1 ? key : key.slice(0, mark);
  return { path: toKey(unescapeMarks(name)), query: mark === -1 ? "" : unescapeDots(key.slice(mark + 1)) };
}

function unescapeMarks(name: string): string {
  return name.replace(/%3F|%25(?=(?:25)*3F)/gi, (escaped) => (escaped === "%3F" ? "?" : "%"));
}

/** What looks like an escaped dot segment is escaped once more: two queries never become one key. */
function escapeDots(query: string): string {
  // Most queries have no slash. What stands before the first one follows the `?`, and is no segment by itself.
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

/** The parameters whose name, decoded, is wanted; spelled as before. */
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
    return name; // Not UTF-8: its spelling is its name.
  }
}

/** A raw query (one character a byte) as printable ASCII: other bytes become `%XX`, which means the same. */
export function asciiQuery(query: string): string {
  return query.replace(/[^\x21-\x7e]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}
