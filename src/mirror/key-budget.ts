// How many objects URLs with a query may make: anyone can invent queries, and each would be an object of its own.
// Beyond the bound such URLs are passed on and not stored.
import type { Bucket } from "../bucket/contract/bucket.ts";
import type { Log } from "../core/log.ts";
import type { Key } from "../core/object.ts";
import type { Fill } from "./fill/fill.ts";
import type { MirrorMeter } from "./meter.ts";

export interface KeyBudget {
  /**
   * Whether an object may be stored, which then counts. Always true for a key without a query. Counts the bucket now
   * and then, behind the caller's back.
   */
  take(key: Key): boolean;
}

/** Counting is a scan of the catalogue, or a listing. */
const COUNT_AGAIN_MS = 3_600_000;

/** `maxKeys`: objects of the bucket, however they came; 0 is no limit. */
export function createKeyBudget(parts: {
  readonly bucket: Bucket;
  readonly bucketId: string;
  readonly maxKeys: number;
  readonly log: Log;
  /** As performance.now(), which is the default. */
  readonly ticks?: () => number;
}): KeyBudget {
  const { bucket, bucketId, maxKeys, log, ticks = () => performance.now() } = parts;
  let counted = 0;
  let since = 0;
  let countedAt: number | undefined;

  async function count(): Promise<void> {
    const before = since;
    try {
      counted = (await bucket.usage()).objects;
      // What came while it was counted may be in the count or not; it is counted once more rather than not at all.
      since -= before;
    } catch (err) {
      log.warn(
        { bucket: bucketId, err },
        "the objects of a bucket could not be counted; maxKeys goes by the last count",
      );
    }
  }

  return {
    take(key) {
      if (maxKeys === 0 || !key.includes("?")) return true;
      const at = ticks();
      if (countedAt === undefined || at - countedAt >= COUNT_AGAIN_MS) {
        countedAt = at;
        void count();
      }
      if (counted + since >= maxKeys) return false;
      since += 1;
      return true;
    },
  };
}

/**
 * Whether the bucket takes what a fill has brought whole. Decided once for a fill, by whoever asks first: what is told
 * to clients is what is done.
 */
export function createStoreDecision(budget: KeyBudget | undefined, meter: MirrorMeter): (fill: Fill) => boolean {
  const decided = new WeakMap<Fill, boolean>();
  return (fill) => {
    const known = decided.get(fill);
    if (known !== undefined) return known;
    const isRefused = fill.isStored && budget?.take(fill.key) === false;
    if (isRefused) meter.refused("max_keys");
    decided.set(fill, fill.isStored && !isRefused);
    return fill.isStored && !isRefused;
  };
}
