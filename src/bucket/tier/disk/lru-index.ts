// Index of the copies and variants on this disk, ordered by last use, with the time of their last comparison with the
// remote store. It says which to remove when they exceed a number of bytes or objects; it stores and removes nothing.
import type { Key } from "../../../core/object.ts";

export interface Copy {
  readonly bucketId: string;
  readonly key: Key;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
  /** When it was last compared with the remote store, as performance.now(); -Infinity: not since the start. */
  checkedAt: number;
}

export interface LruIndex {
  readonly bytes: number;
  readonly count: number;
  /** Adds a new copy as the most recently used. */
  add(copy: Copy): void;
  /** Adds copies of an earlier run, the oldest first. Copies that are known already stay as they are. */
  addOlder(copies: readonly Copy[]): void;
  /** Does not count as a use. */
  has(bucketId: string, key: Key): boolean;
  /** Returns the copy and makes it the most recently used; undefined if it is not in the index. */
  use(bucketId: string, key: Key): Copy | undefined;
  drop(bucketId: string, key: Key): void;
  /** Takes the least recently used copy out of the index, as long as the bounds are exceeded. */
  popExcess(maxBytes: number): Copy | undefined;
}

/** About 50 MB of memory. */
const MAX_COPIES = 250_000;

export function createLruIndex(maxCopies = MAX_COPIES): LruIndex {
  let copies = new Map<string, Copy>();
  let bytes = 0;
  const name = (bucketId: string, key: Key) => `${bucketId}\n${key}`;

  function drop(id: string): void {
    bytes -= copies.get(id)?.size ?? 0;
    copies.delete(id);
  }

  return {
    get bytes() {
      return bytes;
    },
    get count() {
      return copies.size;
    },
    add(copy) {
      const id = name(copy.bucketId, copy.key);
      drop(id);
      copies.set(id, copy);
      bytes += copy.size;
    },
    addOlder(older) {
      const newer = copies;
      copies = new Map();
      for (const copy of older) {
        const id = name(copy.bucketId, copy.key);
        if (newer.has(id) || copies.has(id)) continue;
        copies.set(id, copy);
        bytes += copy.size;
      }
      for (const [id, copy] of newer) copies.set(id, copy);
    },
    has: (bucketId, key) => copies.has(name(bucketId, key)),
    use(bucketId, key) {
      const id = name(bucketId, key);
      const copy = copies.get(id);
      if (copy === undefined) return undefined;
      copies.delete(id);
      copies.set(id, copy);
      return copy;
    },
    drop: (bucketId, key) => drop(name(bucketId, key)),
    popExcess(maxBytes) {
      if (bytes <= maxBytes && copies.size <= maxCopies) return undefined;
      const [oldest] = copies;
      if (oldest === undefined) return undefined;
      drop(oldest[0]);
      return oldest[1];
    },
  };
}
