// Reads small blobs on the event loop, without the thread pool, if they are probably in the page cache: the two thread
// switches cost more than the read (performance.md). Node cannot query the page cache. So only bytes that were
// read recently qualify, and slow reads use up an allowance: with little memory, few reads block on the disk.
import { readSync } from "node:fs";

export interface QuickReads {
  readonly now: () => number;
  /** `readAt`: time of the last read of the same bytes, by `now`; undefined if there was none. */
  mayRead(readAt: number | undefined, bytes: number): boolean;
  /**
   * Fills `target` from `position` on. Returns the bytes read; fewer than `target.length` only at the end of the file.
   */
  read(descriptor: number, target: Buffer, position: number): number;
}

/** A larger read would delay other requests even from memory. Bytes. */
const MAX_BYTES = 262_144;
/** Pages stay in the cache much longer than this. Milliseconds. */
const RECENT_MS = 10_000;
/** A read from the page cache takes less than this, whatever its size. Milliseconds. */
const CACHED_MS = 0.1;
/** Slow reads may take this share of the time, and at most this much at once. Milliseconds. */
const SLOW_SHARE = 0.05;
const MAX_ALLOWANCE_MS = 20;

/** `now`: milliseconds with fractions. */
export function createQuickReads(now: () => number = () => performance.now()): QuickReads {
  let allowanceMs = MAX_ALLOWANCE_MS;
  let earnedAt = now();

  return {
    now,
    mayRead(readAt, bytes) {
      if (readAt === undefined || bytes > MAX_BYTES) return false;
      const at = now();
      if (allowanceMs < MAX_ALLOWANCE_MS) {
        allowanceMs = Math.min(MAX_ALLOWANCE_MS, allowanceMs + (at - earnedAt) * SLOW_SHARE);
      }
      earnedAt = at;
      return allowanceMs > 0 && at - readAt < RECENT_MS;
    },
    read(descriptor, target, position) {
      const began = now();
      let filled = 0;
      while (filled < target.length) {
        const got = readSync(descriptor, target, filled, target.length - filled, position + filled);
        if (got === 0) break;
        filled += got;
      }
      const tookMs = now() - began;
      if (tookMs > CACHED_MS) allowanceMs -= tookMs;
      return filled;
    },
  };
}
