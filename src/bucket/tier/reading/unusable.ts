// Remembers objects of other tools that are no usable images, and logs them at most once a minute. They are not served,
// and no object of a mirror is stored over them. For ten minutes they are not read again.
import { LRUCache } from "lru-cache";
import type { Log } from "../../../core/log.ts";
import type { Key } from "../../../core/object.ts";

export interface UnusableObjects {
  note(object: { readonly key: Key; readonly version: string; readonly why: string }): void;
  has(key: Key, version: string): boolean;
}

const MAX_UNUSABLE = 1_000;
/** Then the object is read again, because the bytes may have been damaged on the network only. */
const REMEMBERED_MS = 600_000;
const LOG_EVERY_MS = 60_000;

/** `ticks`: as performance.now(). */
export function createUnusableObjects(parts: {
  readonly bucketId: string;
  readonly log: Log;
  readonly ticks: () => number;
}): UnusableObjects {
  const { bucketId, log, ticks } = parts;
  const remembered = new LRUCache<string, true>({
    max: MAX_UNUSABLE,
    // Inclusive.
    ttl: REMEMBERED_MS - 1,
    ttlResolution: 0,
    perf: { now: ticks },
  });
  let loggedAt = Number.NEGATIVE_INFINITY;
  let unlogged = 0;

  return {
    note({ key, version, why }) {
      const name = nameOf(key, version);
      if (remembered.has(name)) return;
      remembered.set(name, true);
      if (ticks() - loggedAt < LOG_EVERY_MS) {
        unlogged += 1;
        return;
      }
      loggedAt = ticks();
      const message = "cannot serve an object of another tool; images of the mirror are not stored under its key";
      log.warn({ bucket: bucketId, key, why, others: unlogged }, message);
      unlogged = 0;
    },
    has: (key, version) => remembered.has(nameOf(key, version)),
  };
}

function nameOf(key: Key, version: string): string {
  return `${key}\n${version}`;
}
