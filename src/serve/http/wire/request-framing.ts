// Tracks where each request of one connection begins and ends, so that no slice of input reaches beyond a request. It
// counts Content-Length as it passes; a chunked request is the last of its connection (refusal.ts). Pure. It validates
// nothing: the parser does, and reports the requests.
import { escapeBeyondAscii } from "../request/target.ts";

/** Belongs to one connection. */
export interface RequestFraming {
  /**
   * Drops empty lines before a request line and percent-encodes the line's bytes beyond ASCII, which node's parser
   * refuses. Other parts of a request stay as they are. The result may be empty.
   */
  escapeLine(bytes: Buffer): Buffer;
  /**
   * The number of bytes for the next slice, 1 or more; they count as read. A slice ends at the latest at the end of a
   * head or of a body of known length.
   */
  take(bytes: Buffer): number;
  /**
   * The parser has emitted a request. `declaredBytes`: its Content-Length; undefined if it is chunked or has no body.
   */
  beginBody(declaredBytes: number | undefined): void;
  /** The parser has read the newest request to its end. */
  endRequest(): void;
  /** The first bytes of the current request, or else of the last one; one character a byte. */
  begun(): string;
}

/**
 * The part of a request that the next byte belongs to. `between`: the request line, or an empty line before it. `body`:
 * bytes of known number. `unknown`: only the parser knows.
 */
type Place = "between" | "line" | "head" | "body" | "unknown";

const CR = 0x0d;
const LF = 0x0a;
/** Bytes of a request line that `begun` keeps: host and path of an API call are shorter. */
const MAX_BEGUN_BYTES = 512;

export function createRequestFraming(): RequestFraming {
  let place: Place = "between";
  /** Bytes still to come of the body. */
  let left = 0;
  /** Bytes of the current line of a head. */
  let lineBytes = 0;
  let begun = "";

  /** The index after the empty line that ends a head, or the end of the input. */
  function headEnd(bytes: Buffer): number {
    for (let at = 0; ; ) {
      const end = bytes.indexOf(LF, at);
      lineBytes += (end < 0 ? bytes.length : end) - at;
      if (end < 0) return bytes.length;
      const isEmpty = lineBytes <= 1; // the CR
      lineBytes = 0;
      if (isEmpty) return end + 1;
      at = end + 1;
    }
  }

  return {
    escapeLine(given) {
      if (place !== "between" && place !== "line") return given;
      const bytes = place === "between" ? withoutBlankLines(given) : given;
      const end = bytes.indexOf(LF);
      const line = bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
      if (place === "between") begun = "";
      begun += line.slice(0, MAX_BEGUN_BYTES - begun.length);
      if (end >= 0) {
        place = "head";
        lineBytes = begun.length; // so that the request line does not count as empty
      } else if (line !== "") place = "line";
      const escaped = escapeBeyondAscii(line);
      return escaped === line ? bytes : Buffer.concat([Buffer.from(escaped, "latin1"), bytes.subarray(line.length)]);
    },
    take(bytes) {
      if (place === "head") return headEnd(bytes);
      if (place !== "body") return bytes.length;
      const taken = Math.min(left, bytes.length);
      left -= taken;
      if (left === 0) place = "unknown";
      return taken;
    },
    beginBody(declaredBytes = 0) {
      left = declaredBytes;
      place = left > 0 ? "body" : "unknown";
    },
    endRequest() {
      // In a line or head the parser has not emitted the request yet, and the call is about the one before.
      if (place !== "line" && place !== "head") place = "between";
    },
    begun: () => begun,
  };
}

function withoutBlankLines(bytes: Buffer): Buffer {
  let start = 0;
  while (bytes[start] === CR || bytes[start] === LF) start += 1;
  return bytes.subarray(start);
}
