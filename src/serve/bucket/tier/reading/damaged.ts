// Remembers remote objects by key and version: those whose bytes did not match their hash, which are not read again for
// a minute, and those of other tools that are no image.

import { LRUCache } from "lru-cache";
import { HuiyuanError } from "../../../../core/errors.ts";
import type { Log } from "../../../../core/log.ts";
import type { Key } from "../../../../core/object.ts";

export interface DamagedObjects {
  note(key: Key, version: string): void;
  /** The object has been read with the right hash. */
  forget(key: Key, version: string): void;
  has(key: Key, version: string): boolean;
  /** The store_failed for an object that was damaged within the last minute. */
  failureOf(key: Key, version: string): HuiyuanError | undefined;
}

/** Bound. An object of the mirror is replaced by its next fill. */
const MAX_DAMAGED = 1_000;
/** Then the object is read again, because the bytes may have been damaged on the network only. */
const FAIL_FAST_MS = 60_000;

/** `ticks`: as performance.now(). */
export function createDamagedObjects(ticks: () => number): DamagedObjects {
  const since = new Map<string, number>();
  return {
    note(key, version) {
      if (since.size >= MAX_DAMAGED) since.clear();
      since.set(nameOf(key, version), ticks());
    },
    forget: (key, version) => void since.delete(nameOf(key, version)),
    has: (key, version) => since.has(nameOf(key, version)),
    failureOf(key, version) {
      const at = since.get(nameOf(key, version));
      if (at === undefined || ticks() - at >= FAIL_FAST_MS) return undefined;
      const found = "the remote store sends other bytes than were stored";
      return new HuiyuanError("store_failed", `Cannot read "${key}": ${found}`);
    },
  };
}

const MAX_UNUSABLE = 1_000;
/** Then the object is read again, because the bytes may have been damaged on the network only. */
const REMEMBERED_MS = 600_000;
const LOG_EVERY_MS = 60_000;

/** `ticks`: as performance.now(). */
export function createUnusableObjects({
  id,
  log,
  ticks,
}: {
  readonly id: string;
  readonly log: Log;
  readonly ticks: () => number;
}) {
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
    note(key: Key, version: string, why: string): void {
      const name = nameOf(key, version);
      if (remembered.has(name)) return;
      remembered.set(name, true);
      if (ticks() - loggedAt < LOG_EVERY_MS) {
        unlogged += 1;
        return;
      }
      loggedAt = ticks();
      const message = "cannot serve an object of another tool; images of the mirror are not stored under its key";
      log.warn({ bucket: id, key, why, others: unlogged }, message);
      unlogged = 0;
    },
    has: (key: Key, version: string) => remembered.has(nameOf(key, version)),
  };
}

function nameOf(key: Key, version: string): string {
  return `${key}\n${version}`;
}
