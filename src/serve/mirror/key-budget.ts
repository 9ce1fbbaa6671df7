// Bounds the objects that URLs with a query may create: anyone can invent queries, and each would be an object of its
// own. Beyond the bound such images are served and not stored.

import type { Log } from "../../core/log.ts";
import type { Key } from "../../core/object.ts";
import type { Bucket } from "../bucket/contract/bucket.ts";
import type { Fill } from "./fill/fill.ts";
import type { MirrorMeter } from "./meter.ts";

export interface KeyBudget {
  readonly bucketId: string;
  /** Whether an object may be stored; true counts it. Always true for a key without a query. */
  take(key: Key): boolean;
  /** The part of `maxKeys` that is used, 1 for all of it; 0 without a limit. */
  share(): number;
}

/** A store on this machine keeps the count. Other stores are listed. */
const RECOUNT_MS = { local: 10_000, listed: 3_600_000 };

/** `maxKeys`: objects whose key has a query, whatever their source; 0 is no limit. */
export function createKeyBudget(parts: {
  readonly bucket: Pick<Bucket, "queryKeys" | "recent">;
  readonly bucketId: string;
  readonly maxKeys: number;
  readonly log: Log;
  /** As performance.now(), which is the default. */
  readonly ticks?: () => number;
}): KeyBudget {
  const { bucket, bucketId, maxKeys, log, ticks = () => performance.now() } = parts;
  const isLocal = bucket.recent !== undefined;
  let counted = 0;
  /** Objects stored since the last count. */
  let storedSince = 0;
  let countedAt: number | undefined;

  async function recount(): Promise<void> {
    const at = ticks();
    if (countedAt !== undefined && at - countedAt < RECOUNT_MS[isLocal ? "local" : "listed"]) return;
    countedAt = at;
    const before = storedSince;
    try {
      counted = await bucket.queryKeys();
      // Objects that were stored during the count may be missing from it, so they are counted in any case.
      storedSince -= before;
    } catch (err) {
      log.warn({ bucket: bucketId, err }, "the keys of a bucket could not be counted; maxKeys uses the last count");
    }
  }

  // Known before the first request: the count of a restarted server does not begin at 0.
  if (isLocal && maxKeys > 0) void recount();

  return {
    bucketId,
    take(key) {
      if (maxKeys === 0 || !key.includes("?")) return true;
      void recount();
      if (counted + storedSince >= maxKeys) return false;
      storedSince += 1;
      return true;
    },
    share() {
      if (maxKeys === 0) return 0;
      // Only near the bound: there may be thousands of buckets.
      if (isLocal && counted + storedSince > maxKeys / 2) void recount();
      return (counted + storedSince) / maxKeys;
    },
  };
}

/**
 * Whether the bucket accepts the image of a fill that has ended whole. Decided once for each fill, at the first call,
 * so that the answers to clients match the later write.
 */
export function createStoreDecision(budget: KeyBudget | undefined, meter: MirrorMeter): (fill: Fill) => boolean {
  return (fill) => {
    if (fill.isAccepted !== undefined) return fill.isAccepted;
    const isRefused = fill.isStored && budget?.take(fill.key) === false;
    if (isRefused) meter.refused("max_keys");
    fill.isAccepted = fill.isStored && !isRefused;
    return fill.isAccepted;
  };
}
