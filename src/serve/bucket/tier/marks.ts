// Decides by the date of a mark whether a fetched image may still be stored. A mark is an expired tombstone in the
// remote store, which a hard purge, an undelete or an expiry leaves: it refuses images that were fetched before it, on
// whichever server. It has no effect on uploads and migrated objects.
import { type Key, type ObjectInfo, validatedAt } from "../../../core/object.ts";
import type { Tombstone } from "../contract/driver.ts";
import { CLOCK_ALLOWANCE_MS } from "../remote/remote.ts";

/** Marks of this age and younger are remembered. Milliseconds. */
const YOUNG_MS = 3_600_000;
/** Bound of the marks that are remembered. One that is forgotten refuses images for the allowance. */
const MAX_SEEN = 10_000;

export interface Marks {
  /**
   * This server finds the key vacant under the mark: images that it requests from now on are newer. True if the mark is
   * of the last hour and was not seen before, so that running fetches may have begun before it.
   */
  see(key: Key, mark: Tombstone): boolean;
  /** Whether the image may have been requested before the mark was left. */
  refuses(info: ObjectInfo, mark: Tombstone): boolean;
}

/** `now`: Unix milliseconds. */
export function createMarks(now: () => number): Marks {
  /** By key and date, in Unix milliseconds of this server's clock. */
  const seenAt = new Map<string, number>();
  const nameOf = (key: Key, mark: Tombstone) => `${key}\n${dateOf(mark)}`;
  return {
    see(key, mark) {
      const name = nameOf(key, mark);
      if (seenAt.has(name) || dateOf(mark) + YOUNG_MS <= now()) return false;
      if (seenAt.size >= MAX_SEEN) seenAt.clear();
      seenAt.set(name, now());
      return true;
    },
    refuses(info, mark) {
      if (info.provenance.via !== "mirror") return false;
      const since = Math.min(dateOf(mark) + CLOCK_ALLOWANCE_MS, seenAt.get(nameOf(info.key, mark)) ?? Infinity);
      return validatedAt(info) < since;
    },
  };
}

function dateOf({ deletedAt, expiresAt = 0 }: Tombstone): number {
  return Math.max(deletedAt, expiresAt);
}
