// The request-target, read byte for byte: host, key, query. The key is decoded once and exactly; nothing is collapsed,
// resolved or repaired. No I/O.
import type { IncomingMessage } from "node:http";
import { isIPv6 } from "node:net";
import { HuiyuanError } from "../../../core/errors.ts";
import { type Key, toKey } from "../../../core/object.ts";
import { memoize } from "./memoize.ts";

export interface Target extends RequestTarget {
  readonly key: Key;
}

export interface RequestTarget extends PathAndQuery {
  /** Lower case, without port and trailing dot; empty if the request has no Host or an empty one. */
  readonly host: string;
}

interface PathAndQuery {
  /** Undefined if the path is `/`. */
  readonly key: Key | undefined;
  /** Without `?`; empty if there is none. */
  readonly rawQuery: string;
}

const MAX_TARGET_CHARACTERS = 8_192;
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;
const MAX_HOST_CHARACTERS = 253;
// A name, optionally with the root's dot, or an IPv6 address in brackets; then optionally a port.
const AUTHORITY = /^(?:([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?|(\[[0-9a-f:.]+\]))(?::\d{0,5})?$/i;

/**
 * The target of a URL with the values of its Host headers. Throws as targetOf() does, and url_invalid if the path is
 * `/`.
 */
export function parseTarget(url: string, hosts: readonly string[]): Target {
  const rawHeaders = hosts.flatMap((host) => ["Host", host]);
  const { host, key, rawQuery } = targetOf({ url, rawHeaders, httpVersion: "1.0" });
  if (key === undefined) throw invalid("it names no object");
  return { host, key, rawQuery };
}

/**
 * `url`: the raw target as node gives it, one character a byte. Throws url_invalid, url_too_long, host_invalid (no Host
 * in HTTP/1.1, RFC 9112 §3.2; two Hosts, or no host name), request_invalid (the absolute target and Host disagree).
 */
export function targetOf(request: Pick<IncomingMessage, "url" | "rawHeaders" | "httpVersion">): RequestTarget {
  const { url = "", rawHeaders, httpVersion } = request;
  let hosts = 0;
  let header = "";
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string; // rawHeaders holds pairs
    if (name.length !== 4 || name.toLowerCase() !== "host") continue;
    hosts += 1;
    header = rawHeaders[index + 1] as string;
  }
  if (hosts === 0 && httpVersion !== "1.0")
    throw new HuiyuanError("host_invalid", "Cannot serve: the request has no Host header");
  if (url.length > MAX_TARGET_CHARACTERS) {
    const message = `Cannot read a URL of ${url.length} bytes, the limit is ${MAX_TARGET_CHARACTERS}`;
    throw new HuiyuanError("url_too_long", message);
  }
  if (hosts > 1) throw new HuiyuanError("host_invalid", "Cannot choose between several Host headers");
  const host = hostOf(header);
  if (url.charCodeAt(0) === SLASH) {
    const { key, rawQuery } = pathAndQuery(url);
    return { host, key, rawQuery };
  }
  const { authority, path } = absolute(url);
  if (hosts === 1 && authority !== host)
    throw new HuiyuanError("request_invalid", `Cannot serve "${authority}": the Host header says "${host}"`);
  return { host: authority, ...pathAndQuery(path) };
}

/** The host and the path, with the query, of an absolute target. */
function absolute(url: string): { readonly authority: string; readonly path: string } {
  const [whole = "", named = ""] = ABSOLUTE.exec(url) ?? [];
  if (whole === "") throw invalid("it is neither a path nor an http URL");
  const authority = hostOf(named);
  if (authority === "") throw invalid("it names no host");
  const rest = url.slice(whole.length);
  return { authority, path: rest.charCodeAt(0) === SLASH ? rest : `/${rest}` };
}

const SLASH = 0x2f;
const PERCENT = 0x25;
// Neither path nor query may contain control characters, spaces, DEL, or a fragment, which clients must not send.
const ALLOWED = /^[!"$-~\x80-\xff]*$/;

/**
 * Splits a target that begins with the path's first slash. In the key `%XX` is decoded once, `+` stays `+`, slashes are
 * literal. Raw bytes beyond ASCII are accepted if they are UTF-8: some old clients do not escape them.
 */
const pathAndQuery = memoize((rest): PathAndQuery => {
  if (!ALLOWED.test(rest)) throw invalid("it holds a character that must be escaped");
  const mark = rest.indexOf("?");
  const rawPath = mark === -1 ? rest : rest.slice(0, mark);
  const key = rawPath === "/" ? undefined : toKey(percentDecoded(rawPath.slice(1)));
  return { key, rawQuery: mark === -1 ? "" : rest.slice(mark + 1) };
});

/** `Example.com.:8080` → `example.com`; an IPv6 address keeps its brackets. Throws host_invalid. */
export const hostOf = memoize(readHost);

function readHost(authority: string): string {
  if (authority === "") return "";
  const [, name, address] = AUTHORITY.exec(authority) ?? [];
  const host = name ?? address;
  const isRight = host !== undefined && host.length <= MAX_HOST_CHARACTERS;
  if (!isRight || (address !== undefined && !isIPv6(address.slice(1, -1))))
    throw new HuiyuanError("host_invalid", "Cannot read the Host header: it is no host name");
  return host.toLowerCase();
}

const BEYOND_ASCII = /[\x80-\xff]/;
const ENCODED = /[%\x80-\xff]/;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** `%XX` decoded once, as UTF-8; `raw` has one character a byte. Throws url_invalid. */
export function percentDecoded(raw: string): string {
  return ENCODED.test(raw) ? decodeBytes(raw) : raw;
}

function decodeBytes(raw: string): string {
  const bytes = Buffer.allocUnsafe(raw.length);
  let length = 0;
  for (let index = 0; index < raw.length; index += 1) {
    const code = raw.charCodeAt(index);
    bytes[length] = code === PERCENT ? readEscape(raw, index) : code;
    length += 1;
    if (code === PERCENT) index += 2;
  }
  try {
    return utf8.decode(bytes.subarray(0, length));
  } catch {
    throw invalid("its bytes are not UTF-8");
  }
}

function readEscape(raw: string, index: number): number {
  const digits = raw.slice(index + 1, index + 3);
  if (!/^[0-9A-Fa-f]{2}$/.test(digits)) throw invalid("it holds a broken percent escape");
  return Number.parseInt(digits, 16);
}

/**
 * The path of a key, without the first slash. All characters except slashes and the unreserved ones of RFC 3986 are
 * escaped, so that the URL is safe in the quotes of a shell or a page.
 */
export function encodeKeyForPath(key: Key): string {
  return encodeURIComponent(key)
    .replaceAll("%2F", "/")
    .replace(/[!'()*]/g, escapeCharacter);
}

/** Percent-encodes all bytes beyond ASCII. `text` has one character a byte. */
export function escapeBeyondAscii(text: string): string {
  return BEYOND_ASCII.test(text) ? text.replace(/[\x80-\xff]/g, escapeCharacter) : text;
}

function escapeCharacter(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function invalid(why: string): HuiyuanError {
  return new HuiyuanError("url_invalid", `Cannot read the URL: ${why}`);
}
