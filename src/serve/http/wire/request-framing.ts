// Tracks where each request of one connection begins and ends, so that no slice of input reaches beyond a request. It
// counts Content-Length and chunk sizes as they pass. Pure. It validates nothing: the parser does, and reports the
// requests.
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
   * head or of a request.
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
 * The part of a request that the next byte belongs to. `between`: the request line, or an empty line before it. `size`:
 * a chunk's size line. `data`: bytes of known number. `trailer`: the lines after the last chunk. `unknown`: only the
 * parser knows.
 */
type Place = "between" | "line" | "head" | "data" | "size" | "trailer" | "unknown";

const CR = 0x0d;
const LF = 0x0a;
/** Bytes of a request line that `begun` keeps: host and path of an API call are shorter. */
const MAX_BEGUN_BYTES = 512;

export function createRequestFraming(): RequestFraming {
  let place: Place = "between";
  let isChunked = false;
  /** Bytes still to come of the body, or of the current chunk. */
  let left = 0;
  /** The chunk size as read so far; undefined before its first digit. */
  let size: number | undefined;
  let hasSizeEnded = false;
  /** Bytes of the current line of a head or trailer. */
  let lineBytes = 0;
  let begun = "";

  /** The index after the empty line that ends a head or trailer; undefined if that line has not come yet. */
  function emptyLineEnd(bytes: Buffer, from: number): number | undefined {
    for (let at = from; ; ) {
      const end = bytes.indexOf(LF, at);
      lineBytes += (end < 0 ? bytes.length : end) - at;
      if (end < 0) return undefined;
      const isEmpty = lineBytes <= 1; // the CR
      lineBytes = 0;
      if (isEmpty) return end + 1;
      at = end + 1;
    }
  }

  /** Continues with a chunk's size line. Returns the index after the bytes that it has read. */
  function readSize(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at += 1) {
      const byte = bytes[at] as number; // `at` is in range
      if (byte === LF) {
        beginChunk();
        return at + 1;
      }
      const digit = hasSizeEnded ? undefined : hexDigit(byte);
      if (digit === undefined) hasSizeEnded = true;
      else size = (size ?? 0) * 16 + digit;
    }
    return bytes.length;
  }

  function beginChunk(): void {
    if (size === undefined) place = "unknown";
    else if (size === 0) place = "trailer";
    else place = "data";
    left = (size ?? 0) + 2; // the chunk and its CRLF
    lineBytes = 0;
    size = undefined;
    hasSizeEnded = false;
  }

  function readData(bytes: Buffer, from: number): number {
    const taken = Math.min(left, bytes.length - from);
    left -= taken;
    if (left === 0) place = isChunked ? "size" : "unknown";
    return from + taken;
  }

  function readTrailer(bytes: Buffer, from: number): number {
    const end = emptyLineEnd(bytes, from);
    if (end !== undefined) place = "unknown";
    return end ?? bytes.length;
  }

  /** Continues to the end of a head, of one part of a body, or of the input. Returns the index after the bytes read. */
  function readPart(bytes: Buffer, from: number): number {
    if (place === "head") return emptyLineEnd(bytes, from) ?? bytes.length;
    if (place === "size") return readSize(bytes, from);
    if (place === "data") return readData(bytes, from);
    return place === "trailer" ? readTrailer(bytes, from) : bytes.length;
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
      let at = readPart(bytes, 0);
      // All parts of a body may share a slice.
      while (at < bytes.length && (place === "size" || place === "data" || place === "trailer"))
        at = readPart(bytes, at);
      return at;
    },
    beginBody(declaredBytes) {
      isChunked = declaredBytes === undefined;
      left = declaredBytes ?? 0;
      if (isChunked) place = "size";
      else place = left > 0 ? "data" : "unknown";
      size = undefined;
      hasSizeEnded = false;
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

/** Undefined if `byte` is no hexadecimal digit. */
function hexDigit(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : undefined;
}
