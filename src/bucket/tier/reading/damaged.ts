// Remembers remote objects whose bytes did not match their hash, by key and version. For a minute they are not read
// again.
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";

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
    forget(key, version) {
      since.delete(nameOf(key, version));
    },
    has: (key, version) => since.has(nameOf(key, version)),
    failureOf(key, version) {
      const at = since.get(nameOf(key, version));
      if (at === undefined || ticks() - at >= FAIL_FAST_MS) return undefined;
      return new HuiyuanError(
        "store_failed",
        `Cannot read "${key}": the remote store sends other bytes than were stored`,
      );
    },
  };
}

function nameOf(key: Key, version: string): string {
  return `${key}\n${version}`;
}
