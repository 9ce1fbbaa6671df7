// Remembers objects of other tools that are no usable images, and logs them at most once a minute. They are not served,
// and no object of a mirror is stored over them. For ten minutes they are not read again.
import type { Log } from "../../../core/log.ts";
import type { Key } from "../../../core/object.ts";

export interface UnusableObjects {
  note(object: { readonly key: Key; readonly version: string; readonly why: string }): void;
  has(key: Key, version: string): boolean;
}

/** Bound; the oldest is forgotten first. */
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
  const since = new Map<string, number>();
  let loggedAt = Number.NEGATIVE_INFINITY;
  let unlogged = 0;

  function isRemembered(name: string): boolean {
    const at = since.get(name);
    return at !== undefined && ticks() - at < REMEMBERED_MS;
  }

  return {
    note({ key, version, why }) {
      const name = nameOf(key, version);
      if (isRemembered(name)) return;
      since.delete(name);
      since.set(name, ticks());
      const [oldest] = since.keys();
      if (since.size > MAX_UNUSABLE && oldest !== undefined) since.delete(oldest);
      if (ticks() - loggedAt < LOG_EVERY_MS) {
        unlogged += 1;
        return;
      }
      loggedAt = ticks();
      const message = "cannot serve an object of another tool in S3; images of the mirror are not stored under its key";
      log.warn({ bucket: bucketId, key, why, others: unlogged }, message);
      unlogged = 0;
    },
    has: (key, version) => isRemembered(nameOf(key, version)),
  };
}

function nameOf(key: Key, version: string): string {
  return `${key}\n${version}`;
}
