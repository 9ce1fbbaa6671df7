// Reads on the event loop, without the thread pool, of what the system's page cache holds: the two hand-overs cost more than
// the read (docs/performance.md). Node cannot ask what is cached, so this goes by what was read a moment ago, and by how
// long such reads take: where memory is short and they wait for a disk, they are few.
import { readSync } from "node:fs";

export interface QuickReads {
  /** `readAt`: when the same bytes were last read, by `now`; undefined: never. */
  mayRead(readAt: number | undefined, bytes: number): boolean;
  /** Fills `target` from `position` on; returns the bytes read, fewer than asked for only at the end of the file. */
  read(descriptor: number, target: Buffer, position: number): number;
  readonly now: () => number;
}

/** More would hold up other answers even from memory. Bytes. */
const MAX_BYTES = 262_144;
/** Long in the life of a request, short in that of a page. Milliseconds. */
const RECENT_MS = 10_000;
/** From the page cache even the most bytes come in a part of it. Milliseconds. */
const CACHED_MS = 0.1;
/** The part of the time that longer reads may take, and what they may take of it at once. Milliseconds. */
const SLOW_SHARE = 0.05;
const MAX_ALLOWANCE_MS = 20;

/** `now`: milliseconds, with fractions. */
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
