// Which copies of remote objects lie on this disk, in the order of their last use, and which of them were compared with the
// remote store lately. Bounded by bytes and by number. It holds no bytes and removes none: it says which must go.
import type { Key } from "../../../core/object.ts";

export interface Copy {
  readonly bucketId: string;
  readonly key: Key;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
  /** As performance.now(); -Infinity: not since the start. */
  checkedAt: number;
}

export interface LruIndex {
  readonly bytes: number;
  readonly count: number;
  /** A copy that was just made from what the remote store has, or was given. */
  add(copy: Copy): void;
  /** Copies of an earlier run, the oldest first; those known already stay as they are. */
  addOlder(copies: readonly Copy[]): void;
  /** Which does not count as a use. */
  has(bucketId: string, key: Key): boolean;
  /** The copy, as the one that was used last; undefined where none is known. */
  use(bucketId: string, key: Key): Copy | undefined;
  drop(bucketId: string, key: Key): void;
  /** The copy that was used longest ago, while more than the bounds allow is there; it is dropped from here. */
  popExcess(maxBytes: number): Copy | undefined;
}

/** What so many take in memory is some 50 MB. */
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
