// Merges small chunks of a request body. Node's parser makes a buffer of every chunk, which costs about 350 bytes
// besides its data; a request that is not read yet buffers 16 KB of data, however many chunks that takes.
import type { IncomingMessage } from "node:http";

export interface Body {
  /** Passes merged chunks on to the reader. Call it after each slice for the parser. */
  flush(): void;
  /** Whether the unread body has so many pieces that the parser must get no more input. */
  isCrowded(): boolean;
  /** Whether so much of the body is unread that the socket waits for its reader. */
  isFilled(): boolean;
  /** Whether the parser has read the request to its end. */
  isWhole(): boolean;
  /** Content-Length; undefined if the request has none. */
  readonly declaredBytes: number | undefined;
}

const SMALL_BYTES = 1_024;
const GATHER_BYTES = 4_096;
const MAX_PIECES = 256;

/** Must be called before any of the body arrives. */
export function gatherSmallChunks(request: IncomingMessage): Body {
  const push = request.push.bind(request);
  const declared = request.headers["content-length"];
  let gathered: Buffer[] = [];
  let bytes = 0;
  /** Pieces pushed since the reader last emptied the buffer. */
  let pieces = 0;

  function pass(chunk: Buffer | null): boolean {
    pieces = request.readableLength === 0 ? 1 : pieces + 1;
    return push(chunk);
  }

  function flush(): boolean {
    if (bytes === 0) return true;
    const all = gathered.length === 1 ? (gathered[0] as Buffer) : Buffer.concat(gathered);
    gathered = [];
    bytes = 0;
    return pass(all);
  }

  request.push = (chunk: Buffer | null) => {
    if (chunk === null || chunk.byteLength >= SMALL_BYTES) {
      flush();
      return chunk === null ? push(null) : pass(chunk);
    }
    gathered.push(chunk);
    bytes += chunk.byteLength;
    return bytes < GATHER_BYTES || flush();
  };
  return {
    flush: () => void flush(),
    isCrowded: () => pieces > MAX_PIECES && request.readableLength > 0,
    isFilled: () => request.readableLength >= request.readableHighWaterMark,
    isWhole: () => request.complete,
    declaredBytes: declared === undefined ? undefined : Number(declared), // the parser has checked it
  };
}
