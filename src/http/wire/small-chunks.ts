// The body of a request whose chunks may be a byte each: node's parser makes a buffer of every chunk, which is some 350 bytes beside
// its own, and a request that nobody reads yet keeps as many as make 16 KB.
import type { IncomingMessage } from "node:http";

export interface Body {
  /** What has been gathered goes to whoever reads. To be called when the parser has been given something. */
  flush(): void;
  /** It lies in so many pieces unread that the parser is to be given nothing more. */
  isCrowded(): boolean;
  /** So much of it lies unread that the socket is to be read when it is read. */
  isFilled(): boolean;
  /** The parser has read the request to its end. */
  isWhole(): boolean;
  /** Content-Length; undefined if the request has none. */
  readonly declaredBytes: number | undefined;
}

const SMALL_BYTES = 1_024;
const GATHER_BYTES = 4_096;
const MAX_PIECES = 256;

/** Before any of the body has come. */
export function gatherSmallChunks(request: IncomingMessage): Body {
  const push = request.push.bind(request);
  const declared = request.headers["content-length"];
  let gathered: Buffer[] = [];
  let bytes = 0;
  /** Since it was read to the end last. */
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
