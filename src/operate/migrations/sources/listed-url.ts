// Reads one URL of a list, which may be written with or without percent-encoding: the name of its object, and the
// request for it. Pure.
import { HuiyuanError } from "../../../core/errors.ts";
import { type Key, toKey } from "../../../core/object.ts";
import { encodeKey, parseHome } from "../../../serve/origin/exchange/hop.ts";
import type { SourceObject } from "../source.ts";
import { escapedName } from "./local-paths.ts";

/** `raw`: `%20` means these three characters. `encoded`: it means a space. `auto`: the URL decides. */
export type UrlEncoding = "auto" | "raw" | "encoded";

export interface ListedUrl {
  readonly isFile: boolean;
  /** Scheme, host and port; empty for a file. */
  readonly origin: string;
  /** Path and query as they are sent, percent-encoded. */
  readonly target: string;
  /** The path, decoded. */
  readonly path: string;
  /** The path without its first slash and the `;params` of its last segment, decoded once. */
  readonly fileid: string;
}

const MAX_SHOWN_BYTES = 200;
const PARTS = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?/i;
/** Every program that encodes URLs encodes these. A `%` that encodes nothing is one of them. */
const MUST_BE_ENCODED = /[^\x21-\x7e]|["<>`{}]|%(?![0-9a-f]{2})/i;
/** Bytes that RFC 3986 does not allow in a path or a query. */
const NOT_ALLOWED = /%(?![0-9a-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%]+/gi;

/** Throws url_invalid, with a message that names no credentials, and settings_invalid for a host that is none. */
export function readListedUrl(url: string, encoding: UrlEncoding): ListedUrl {
  const [whole = "", scheme = "", authority = "", path = "", query = ""] = PARTS.exec(url) ?? [];
  const name = scheme.toLowerCase();
  if (whole === "") throw invalid("It is no URL with its scheme, such as http://");
  if (name !== "http" && name !== "https" && name !== "file")
    throw invalid(`URLs with ${name}: are not supported, only http:, https: and file:`);
  const isRaw = encoding === "raw" || (encoding === "auto" && MUST_BE_ENCODED.test(path + query));
  const sent = isRaw ? encodeKey(path as Key) : path.replace(NOT_ALLOWED, encodeURIComponent);
  const parts = { target: (sent || "/") + query.replace(NOT_ALLOWED, encodeURIComponent), ...namesOf(isRaw, path) };
  if (name !== "file") return { isFile: false, origin: originOf(name, authority), ...parts };
  if (!/^(?:localhost)?$/i.test(authority)) throw invalid("A file: URL must name no host");
  return { isFile: true, origin: "", ...parts };
}

function namesOf(isRaw: boolean, path: string): Pick<ListedUrl, "path" | "fileid"> {
  const decoded = (text: string) => (isRaw ? text : decode(text));
  // The parameters begin with a semicolon that is not encoded.
  return { path: decoded(path), fileid: decoded(path.slice(1).replace(/;[^/]*$/, "")) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replace(/%(?![0-9a-f]{2})/gi, "%25"));
  } catch {
    throw invalid("Its percent-encoded path is not UTF-8");
  }
}

function originOf(scheme: string, authority: string): string {
  if (authority.includes("@")) throw invalid("It has a user name, which would be stored in the journal");
  const { origin, basePath } = parseHome(`${scheme}://${authority}`);
  // The URL standard reads a backslash as a slash.
  if (basePath !== "") throw invalid("Its host is not valid");
  return origin;
}

/** Base URLs whose continuation is a key, with a slash at their end and without a scheme: `//img.example.com/a/`. */
export type KeyBases = readonly string[];

/** The object of a URL below one of the bases. Throws url_invalid. */
export function objectBelow(bases: KeyBases, { origin, fileid }: ListedUrl): SourceObject {
  const place = `${origin.replace(/^https?:/, "")}/${fileid}`;
  const base = bases.find((each) => place.startsWith(each));
  if (base === undefined) throw invalid(`It is not below ${bases.join(" or ")}`);
  return objectOf(toKey(place.slice(base.length)));
}

/** The object of a list, which says neither size nor version. */
export function objectOf(fileid: string, locator = fileid): SourceObject {
  return { fileid, locator, size: undefined, version: undefined };
}

/** Printable, on one line, without query, user name and password, also if it is no valid URL. */
export function shownUrl(url: string | Buffer): string {
  const bytes = Buffer.from(url as string).toString("latin1");
  const bare = bytes.replace(/[?#].*$/s, "").replace(/^([^:/]*:\/*|\/+)[^/]*@/, "$1***@");
  return escapedName(Buffer.from(bare, "latin1").subarray(0, MAX_SHOWN_BYTES));
}

function invalid(found: string): HuiyuanError {
  return new HuiyuanError("url_invalid", found);
}
