// Reuses memory for bodies that are read, sent and dropped, because reused memory is still in the CPU cache and makes
// no garbage. A buffer that is never freed is collected as usual.

import { HEAD_ROOM_BYTES, placeBehindRoom } from "./head-room.ts";

export interface Lease {
  /** Contains leftovers of an earlier use. Has room for a head in front. */
  readonly bytes: Buffer;
  /** No one may read or write the bytes any more. Later calls do nothing. */
  free(): void;
}

export interface Scratch {
  /** Undefined for sizes that do not pay off: less than 16 KiB or more than 256 KiB. */
  take(bytes: number): Lease | undefined;
}

/** The smallest buffer, bytes. There are CAPACITIES sizes, each twice the one before. */
const LEAST_BYTES = 16_384;
const CAPACITIES = 5;
/** Free buffers kept of each size, together at most 4 MiB. */
const MAX_FREE = 8;

export function createScratch(): Scratch {
  const free: Buffer[][] = Array.from({ length: CAPACITIES }, () => []);
  return {
    take(bytes) {
      const index = Math.ceil(Math.log2(bytes / LEAST_BYTES));
      const freeBuffers = bytes < LEAST_BYTES ? undefined : free[index];
      if (freeBuffers === undefined) return undefined;
      // The most recently freed one.
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
