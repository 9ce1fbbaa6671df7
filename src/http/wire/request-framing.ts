// Follows where the requests of one connection begin and end, so that no slice of its bytes reaches beyond a request. Pure: it
// counts lengths and chunk sizes as they pass. It judges nothing: the parser does, and says which request it has read.
import { escapeBeyondAscii } from "../request/target.ts";

/** Of one connection. */
export interface RequestFraming {
  /**
   * Drops empty lines before a request line, and percent-encodes its raw bytes beyond ASCII: node's parser refuses them.
   * Changes nothing elsewhere in a request. May leave no bytes.
   */
  escapeLine(bytes: Buffer): Buffer;
  /**
   * The number of bytes that the parser may be given next, 1 or more; they count as read. They end at the latest where the head
   * or the body of a request ends.
   */
  take(bytes: Buffer): number;
  /** The parser has read a head. `declaredBytes`: Content-Length; undefined if the body is chunked, or there is none. */
  beginBody(declaredBytes: number | undefined): void;
  /** The parser has read the request whose body was begun last. */
  endRequest(): void;
  /** The first bytes of the request that is read now, or was read last: one character a byte. */
  begun(): string;
}

/**
 * What the next byte belongs to. `between`: a request line, or an empty line before it. `size`: a chunk's size line.
 * `data`: bytes of known number. `trailer`: lines behind the last chunk. `unknown`: a body that only the parser understands.
 */
type Place = "between" | "line" | "head" | "data" | "size" | "trailer" | "unknown";

const CR = 0x0d;
const LF = 0x0a;
/** Bytes of a request line that `begun` keeps: the host and path of a call are shorter. */
const MAX_BEGUN_BYTES = 512;

export function createRequestFraming(): RequestFraming {
  let place: Place = "between";
  let isChunked = false;
  /** Bytes of the body, or of its chunk, that are still to come. */
  let left = 0;
  /** The chunk size as far as its line has come; undefined before the first digit. */
  let size: number | undefined;
  let hasSizeEnded = false;
  /** Bytes of the line at hand, in a head or a trailer. */
  let lineBytes = 0;
  let begun = "";

  /** The index behind the empty line that ends a head or a trailer; undefined if it is still to come. */
  function emptyLineEnd(bytes: Buffer, from: number): number | undefined {
    for (let at = from; ; ) {
      const end = bytes.indexOf(LF, at);
      lineBytes += (end < 0 ? bytes.length : end) - at;
      if (end < 0) return undefined;
      const isEmpty = lineBytes <= 1; // a CR
      lineBytes = 0;
      if (isEmpty) return end + 1;
      at = end + 1;
    }
  }

  /** Reads on in a chunk's size line. Returns the index behind what it has read. */
  function readSize(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at += 1) {
      const byte = bytes[at] as number; // `at` is within
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
    left = (size ?? 0) + 2; // the line end behind it
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

  /** Reads on to the end of a head, or of one part of a body, or of the bytes. Returns the index behind what it has read. */
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
        lineBytes = begun.length; // the request line is not the empty one
      } else if (line !== "") place = "line";
      const escaped = escapeBeyondAscii(line);
      return escaped === line ? bytes : Buffer.concat([Buffer.from(escaped, "latin1"), bytes.subarray(line.length)]);
    },
    take(bytes) {
      let at = readPart(bytes, 0);
      // The parts of a body go in one slice.
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
      // Else the parser is not there yet, and means the request before.
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

/** Undefined if `byte` is none. */
function hexDigit(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : undefined;
}
