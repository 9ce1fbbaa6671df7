// Index of the copies and variants on this disk, ordered by last use, with the time of their last comparison with the
// remote store. It says which to remove when they exceed a number of bytes or objects; it stores and removes nothing.
import { LRUCache } from "lru-cache";
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
  // popExcess() alone removes copies, because the row must go with the copy.
  const copies = new LRUCache<string, Copy>({
    maxSize: Number.MAX_SAFE_INTEGER,
    sizeCalculation: ({ size }) => size,
  });
  const nameOf = (bucketId: string, key: Key) => `${bucketId}\n${key}`;
  const add = (copy: Copy) => void copies.set(nameOf(copy.bucketId, copy.key), copy);

  return {
    get bytes() {
      return copies.calculatedSize;
    },
    get count() {
      return copies.size;
    },
    add,
    addOlder(older) {
      const newer = [...copies.rkeys()];
      for (const copy of older) if (!copies.has(nameOf(copy.bucketId, copy.key))) add(copy);
      for (const name of newer) copies.get(name);
    },
    has: (bucketId, key) => copies.has(nameOf(bucketId, key)),
    use: (bucketId, key) => copies.get(nameOf(bucketId, key)),
    drop: (bucketId, key) => void copies.delete(nameOf(bucketId, key)),
    popExcess(maxBytes) {
      const isWithin = copies.calculatedSize <= maxBytes && copies.size <= maxCopies;
      return isWithin ? undefined : copies.pop();
    },
  };
}
