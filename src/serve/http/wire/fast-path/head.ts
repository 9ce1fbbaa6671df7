// Reads plain request heads: `GET` or `HEAD` of a path, without header lines about a body or the connection. Every head
// that is not surely plain is left to node's parser. A client repeats its header lines from request to request, so each
// reader, one a connection, remembers the last lines.
import type { Socket } from "node:net";
import type { DownloadRequest } from "../../request/exchange.ts";
import { escapeBeyondAscii } from "../../request/target.ts";

export interface FastPathRequest extends DownloadRequest {
  readonly method: "GET" | "HEAD";
  readonly url: string;
}

/** The parsed header lines of a head. */
interface Fields {
  /** The raw lines, up to and including the empty line. */
  readonly text: string;
  readonly headers: DownloadRequest["headers"];
  readonly rawHeaders: string[];
}

/** Longer heads go to node's server, which has its own limit. */
const MAX_HEAD_BYTES = 8_192;
// Bytes beyond ASCII are included, though node's parser refuses them: old browsers send them in queries.
const REQUEST_LINE = /^(GET|HEAD) (\/[!-~\x80-\xff]*) HTTP\/1\.1\r\n/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Headers that change where the request ends, or the state of its connection. */
const NOT_PLAIN: ReadonlySet<string> = new Set([
  "content-length",
  "transfer-encoding",
  "trailer",
  "expect",
  "proxy-connection",
  "__proto__",
]);

/**
 * Values of Connection that keep the connection as it is. An offer to upgrade is ignored (RFC 9110 §7.8); Java's client
 * sends it with every request.
 */
const KEEPING: ReadonlySet<string> = new Set(["keep-alive", "upgrade", "upgrade, http2-settings"]);

/** The reader returns undefined unless `bytes` are exactly one whole plain head. */
export function createHeadReader(socket: Socket): (bytes: Buffer) => FastPathRequest | undefined {
  let last: Fields | undefined;
  return (bytes) => {
    if (bytes.byteLength > MAX_HEAD_BYTES) return undefined;
    const text = bytes.toString("latin1");
    const [line, method, target] = REQUEST_LINE.exec(text) ?? [];
    if (line === undefined || target === undefined) return undefined;
    const lines = text.slice(line.length);
    if (last?.text !== lines) last = readFields(lines);
    if (last === undefined) return undefined;
    const { headers, rawHeaders } = last;
    return {
      method: method as FastPathRequest["method"], // the pattern has two
      url: escapeBeyondAscii(target),
      httpVersion: "1.1",
      headers,
      rawHeaders,
      socket,
    };
  };
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
    // The meaning of a repeated header differs from name to name.
    if (lower in headers || NOT_PLAIN.has(lower)) return undefined;
    if (lower === "connection" && !KEEPING.has(value.toLowerCase())) return undefined;
    headers[lower] = value;
    rawHeaders.push(name, value);
  }
  return headers.host === undefined ? undefined : { text, headers, rawHeaders };
}

/** Removes spaces and tabs only; `trim` would remove other characters too. */
function withoutBlanks(text: string): string {
  const isBlank = (code: number) => code === 0x20 || code === 0x09;
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
