// Reads the plainest kind of request head: `GET` or `HEAD` of a path, header lines without any that concern a body or the
// connection. Whatever is not surely that is not read at all. A client repeats its header lines from request to request,
// so each reader, one a connection, remembers the last it has read.
import type { Socket } from "node:net";
import type { DownloadRequest } from "../../request/exchange.ts";
import { escapeBeyondAscii } from "../../request/target.ts";

export interface FastPathRequest extends DownloadRequest {
  readonly method: "GET" | "HEAD";
  readonly url: string;
}

/** All header lines of a head, read. */
interface Fields {
  /** Their own text, up to and with the empty line. */
  readonly text: string;
  readonly headers: DownloadRequest["headers"];
  readonly rawHeaders: string[];
}

/** Longer heads are for node's server, which has its own bound. */
const MAX_HEAD_BYTES = 8_192;
const VERSION = " HTTP/1.1";
// Raw bytes beyond ASCII too, which node's parser refuses: old browsers send them in queries.
const TARGET = /^\/[!-~\x80-\xff]*$/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Where the request ends, or what becomes of its connection, would depend on these. */
const NOT_PLAIN: ReadonlySet<string> = new Set([
  "content-length",
  "transfer-encoding",
  "trailer",
  "expect",
  "proxy-connection",
  "__proto__",
]);

/**
 * Values of Connection that leave it as it is. An offer to upgrade is passed over (RFC 9110 §7.8): Java's client makes it with
 * every request.
 */
const KEEPING: ReadonlySet<string> = new Set(["keep-alive", "upgrade", "upgrade, http2-settings"]);

/** Undefined unless `bytes` are one whole head, and nothing behind it. */
export function createHeadReader(socket: Socket): (bytes: Buffer) => FastPathRequest | undefined {
  let last: Fields | undefined;
  return (bytes) => {
    if (bytes.byteLength > MAX_HEAD_BYTES) return undefined;
    const text = bytes.toString("latin1");
    const lineEnd = text.indexOf("\r\n");
    const method = methodOf(text);
    if (method === undefined || !text.endsWith(VERSION, lineEnd)) return undefined;
    const target = text.slice(method.length + 1, lineEnd - VERSION.length);
    if (!TARGET.test(target)) return undefined;
    const url = escapeBeyondAscii(target);
    const lines = text.slice(lineEnd + 2);
    if (last?.text !== lines) last = readFields(lines);
    if (last === undefined) return undefined;
    return { method, url, httpVersion: "1.1", headers: last.headers, rawHeaders: last.rawHeaders, socket };
  };
}

function methodOf(text: string): "GET" | "HEAD" | undefined {
  if (text.startsWith("GET ")) return "GET";
  return text.startsWith("HEAD ") ? "HEAD" : undefined;
}

function readFields(text: string): Fields | undefined {
  if (!text.endsWith("\r\n\r\n")) return undefined;
  const headers: Record<string, string> = {};
  const rawHeaders: string[] = [];
  for (const line of text.slice(0, -4).split("\r\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    const value = withoutBlanks(line.slice(colon + 1));
    if (!NAME.test(name) || !VALUE.test(value)) return undefined;
    const lower = name.toLowerCase();
    // What a second line of one name means differs from name to name.
    if (lower in headers || NOT_PLAIN.has(lower)) return undefined;
    if (lower === "connection" && !KEEPING.has(value.toLowerCase())) return undefined;
    headers[lower] = value;
    rawHeaders.push(name, value);
  }
  return headers.host === undefined ? undefined : { text, headers, rawHeaders };
}

/** Blanks and tabs alone: `trim` would take other characters too. */
function withoutBlanks(text: string): string {
  const isBlank = (code: number) => code === 0x20 || code === 0x09;
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
