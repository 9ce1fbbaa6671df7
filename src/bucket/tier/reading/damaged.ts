// Objects of the remote store that were read wrongly, by key and version: for a while nobody reads them once more.
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";

export interface DamagedObjects {
  note(key: Key, version: string): void;
  /** It was read rightly. */
  forget(key: Key, version: string): void;
  has(key: Key, version: string): boolean;
  /** store_failed for one that was read wrongly a short while ago. */
  failureOf(key: Key, version: string): HuiyuanError | undefined;
}

/** How many are remembered; what the mirror brought is mended by the next fill. */
const MAX_DAMAGED = 1_000;
/** So long one rests. The wrong bytes may have come of the way here: then they are right again later. */
const REMEMBERED_MS = 60_000;

/** `ticks`: as performance.now(). */
export function createDamagedObjects(ticks: () => number): DamagedObjects {
  const since = new Map<string, number>();
  return {
    note(key, version) {
      if (since.size >= MAX_DAMAGED) since.clear();
      since.set(nameOf(key, version), ticks());
    },
    forget(key, version) {
      since.delete(nameOf(key, version));
    },
    has: (key, version) => since.has(nameOf(key, version)),
    failureOf(key, version) {
      const at = since.get(nameOf(key, version));
      if (at === undefined || ticks() - at >= REMEMBERED_MS) return undefined;
      return new HuiyuanError("store_failed", `Cannot read "${key}": S3 gives other bytes than were stored`);
    },
  };
}

function nameOf(key: Key, version: string): string {
  return `${key}\n${version}`;
}
