// Objects of other tools that are no images: they lie where an image could, are served to nobody, and nothing of a mirror is
// stored over them. For a while none is read once more, and the log tells of them in a few lines.
import type { Log } from "../../../core/log.ts";
import type { Key } from "../../../core/object.ts";

export interface UnusableObjects {
  note(object: { readonly key: Key; readonly version: string; readonly why: string }): void;
  has(key: Key, version: string): boolean;
}

/** How many are remembered, the oldest goes first. */
const MAX_UNUSABLE = 1_000;
/** So long one is. The wrong bytes may have come of the way here. */
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
      const message =
        "an object of another tool in S3 cannot be served, and nothing of a mirror is stored in its place";
      log.warn({ bucket: bucketId, key, why, others: unlogged }, message);
      unlogged = 0;
    },
    has: (key, version) => isRemembered(nameOf(key, version)),
  };
}

function nameOf(key: Key, version: string): string {
  return `${key}\n${version}`;
}
