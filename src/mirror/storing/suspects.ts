// Setting `suspects: keep`: an image with a wrong structure or declared hash may be stored once the origin has sent the
// same bytes twice, an hour apart. A restart begins the hour again.
import { createExpiring } from "../expiring.ts";

const APART_MS = 3_600_000;
const FORGET_MS = 7 * 24 * APART_MS;
const MAX_KEYS = 10_000;

export interface Suspects {
  /**
   * True: these bytes were seen under this key at least an hour ago, and no others since. `now`: as performance.now().
   */
  mayBeStored(key: string, sha256: string, now: number): boolean;
}

export function createSuspects(): Suspects {
  const firstSeen = createExpiring<{ readonly sha256: string; readonly at: number }>(MAX_KEYS);
  return {
    mayBeStored(key, sha256, now) {
      const seen = firstSeen.get(key, now);
      if (seen?.sha256 === sha256) return now - seen.at >= APART_MS;
      firstSeen.set(key, { sha256, at: now }, { now, ttlMs: FORGET_MS });
      return false;
    },
  };
}
