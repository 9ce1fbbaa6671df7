// Bounds the objects that URLs with a query may create: anyone can invent queries, and each would be an object of its
// own. Beyond the bound such images are served and not stored.
import type { Bucket } from "../bucket/contract/bucket.ts";
import type { Log } from "../core/log.ts";
import type { Key } from "../core/object.ts";
import type { Fill } from "./fill/fill.ts";
import type { MirrorMeter } from "./meter.ts";

/**
 * Whether an object may be stored; true counts it. Always true for a key without a query. From time to time this also
 * counts the bucket in the background.
 */
export type KeyBudget = (key: Key) => boolean;

/** Counting is expensive: a scan of the catalogue, or a listing. */
const RECOUNT_MS = 3_600_000;

/** `maxKeys`: objects of the bucket, whatever their source; 0 is no limit. */
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
  /** Objects stored since the last count. */
  let storedSince = 0;
  let countedAt: number | undefined;

  async function count(): Promise<void> {
    const before = storedSince;
    try {
      counted = (await bucket.usage()).objects;
      // Objects that were stored during the count may be missing from it, so they are counted in any case.
      storedSince -= before;
    } catch (err) {
      log.warn({ bucket: bucketId, err }, "the objects of a bucket could not be counted; maxKeys uses the last count");
    }
  }

  return (key) => {
    if (maxKeys === 0 || !key.includes("?")) return true;
    const at = ticks();
    if (countedAt === undefined || at - countedAt >= RECOUNT_MS) {
      countedAt = at;
      void count();
    }
    if (counted + storedSince >= maxKeys) return false;
    storedSince += 1;
    return true;
  };
}

/**
 * Whether the bucket accepts the image of a fill that has ended whole. Decided once for each fill, at the first call,
 * so that the answers to clients match the later write.
 */
export function createStoreDecision(budget: KeyBudget | undefined, meter: MirrorMeter): (fill: Fill) => boolean {
  return (fill) => {
    if (fill.isAccepted !== undefined) return fill.isAccepted;
    const isRefused = fill.isStored && budget?.(fill.key) === false;
    if (isRefused) meter.refused("max_keys");
    fill.isAccepted = fill.isStored && !isRefused;
    return fill.isAccepted;
  };
}
