// Limits the memory of bytes that are read from disk for clients and not sent yet. Chunks are large while little is
// held. They are small once slow clients hold much, so that no client has to be refused. It reads nothing itself.
import { BLOCK_BYTES } from "./spool/spool.ts";

const LARGE_CHUNK_BYTES = 262_144;
/** One block: the smallest unit that is read and checked. */
const SMALL_CHUNK_BYTES = BLOCK_BYTES;
/** Bytes held by all clients together at which chunks become small. */
const CROWDED_BYTES = 33_554_432;

/** The held bytes are bounded by `CROWDED_BYTES` plus one block for each connection. */
export interface Chunks {
  /** Whether a body of this size may be read whole. */
  mayBeWhole(bytes: number): boolean;
  /** Counts bytes given to a client. Call the result once, when the client took them or disconnected. */
  hold(bytes: number): () => void;
  /** Opens the reader of one response. `read`: both ends inclusive; `into`: as in ObjectReader. */
  open(read: (start: number, end: number, into?: Buffer) => Promise<Buffer>): OpenChunks;
}

export interface OpenChunks {
  /** Reads from `start`, at most to `end`. Call it only after the previous chunk was sent: its memory is reused. */
  next(start: number, end: number): Promise<Buffer>;
  /** The last chunk was sent, or the client disconnected. */
  close(): void;
}

export function createChunks(): Chunks {
  let held = 0;

  function chunkEnd(start: number, end: number): number {
    if (held < CROWDED_BYTES) return Math.min(end, start + LARGE_CHUNK_BYTES - 1);
    // Ends at a block boundary, because a partial block would be read twice.
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
      // New memory for each chunk costs more than the read: page faults first, then garbage collection.
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
          // Counted before the read, so that a thousand clients in one turn of the loop see each other.
          release = hold(bytes);
          return read(start, last, bufferFor(start, bytes));
        },
        close,
      };
    },
  };
}
