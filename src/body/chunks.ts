// What is read from the disk for clients and waits until they take it. While few hold much, pieces are large; a crowd that
// does not read gets small ones, so that it holds little for each and nobody has to be sent away. It reads nothing itself.
import { BLOCK_BYTES } from "./spool/spool.ts";

/** Bytes. */
const LARGE_CHUNK_BYTES = 262_144;
/** What is checked and thus read at once. */
const SMALL_CHUNK_BYTES = BLOCK_BYTES;
/** Bytes held by all together, from which on pieces are small. */
const CROWDED_BYTES = 33_554_432;

/** What clients hold is bounded by `CROWDED` and a block for each connection. */
export interface Chunks {
  /** Whether a body of this size may be read whole. */
  mayBeWhole(bytes: number): boolean;
  /** Bytes that a client has been given. Call the result once, when it has taken them or has gone. */
  hold(bytes: number): () => void;
  /** For one answer. `read`: both ends inclusive; `into`: as in ObjectReader. */
  open(read: (start: number, end: number, into?: Buffer) => Promise<Buffer>): OpenChunks;
  readonly heldBytes: number;
}

export interface OpenChunks {
  /** The bytes from `start` on, at most to `end`. The piece before has been taken, and its memory is used again. */
  next(start: number, end: number): Promise<Buffer>;
  /** The last piece has been taken, or the client has gone. */
  close(): void;
}

export function createChunks(): Chunks {
  let held = 0;

  function chunkEnd(start: number, end: number): number {
    if (held < CROWDED_BYTES) return Math.min(end, start + LARGE_CHUNK_BYTES - 1);
    // Up to where a block ends, which would else be read twice.
    return Math.min(end, (Math.floor(start / SMALL_CHUNK_BYTES) + 1) * SMALL_CHUNK_BYTES - 1);
  }

  const hold = (bytes: number) => {
    held += bytes;
    return () => {
      held -= bytes;
    };
  };

  return {
    mayBeWhole: (bytes) => bytes <= SMALL_CHUNK_BYTES || held < CROWDED_BYTES,
    hold,
    open(read) {
      let release: (() => void) | undefined;
      // Fresh memory for each piece costs more than the read: pages of the system's, and then the garbage collector.
      let buffer: Buffer | undefined;
      const bufferFor = (start: number, bytes: number) => {
        if (start % BLOCK_BYTES !== 0 || bytes % BLOCK_BYTES !== 0) buffer = undefined;
        else if (buffer?.byteLength !== bytes) buffer = Buffer.allocUnsafeSlow(bytes);
        return buffer;
      };
      const close = () => {
        release?.();
        release = undefined;
        buffer = undefined;
      };
      return {
        next(start, end) {
          release?.();
          const last = chunkEnd(start, end);
          const bytes = last - start + 1;
          // Before it is read: a thousand that ask in one turn see each other.
          release = hold(bytes);
          return read(start, last, bufferFor(start, bytes));
        },
        close,
      };
    },
    get heldBytes() {
      return held;
    },
  };
}
