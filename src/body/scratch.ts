// Memory for bodies that are read, sent and forgotten: the same again and again, so that it is still in the processor's
// cache, and the garbage collector has nothing to look for. Whoever does not give a piece back loses nothing but that.

import { HEAD_ROOM_BYTES, placeBehindRoom } from "./head-room.ts";

export interface Lease {
  /** What is in them is left over from somebody else. With room for a head. */
  readonly bytes: Buffer;
  /** Nobody reads or writes them any more. Later calls do nothing. */
  free(): void;
}

export interface Scratch {
  /** Undefined for sizes that are not worth it: less than 16 KiB, more than 256 KiB. */
  take(bytes: number): Lease | undefined;
}

/** Capacities of pieces, each twice the one before. Bytes. */
const LEAST_BYTES = 16_384;
const CAPACITIES = 5;
/** Pieces kept of each capacity: of all together 4 MiB. */
const MAX_FREE = 8;

export function createScratch(): Scratch {
  const free: Buffer[][] = Array.from({ length: CAPACITIES }, () => []);
  return {
    take(bytes) {
      const index = Math.ceil(Math.log2(bytes / LEAST_BYTES));
      const freeBuffers = bytes < LEAST_BYTES ? undefined : free[index];
      if (freeBuffers === undefined) return undefined;
      // The one that was used last.
      const buffer = freeBuffers.pop() ?? Buffer.allocUnsafeSlow(HEAD_ROOM_BYTES + LEAST_BYTES * 2 ** index);
      let isFree = false;
      return {
        bytes: placeBehindRoom(buffer, bytes),
        free() {
          if (!isFree && freeBuffers.length < MAX_FREE) freeBuffers.push(buffer);
          isFree = true;
        },
      };
    },
  };
}
