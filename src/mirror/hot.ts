// The memory tier: whole small objects, bounded by bytes, least recently used first out. One for all buckets.
// It holds copies only; what is true is in the bucket, and whoever changes the bucket calls `drop`.
import { LRUCache } from "lru-cache";
import type { Key, ObjectInfo } from "../object.ts";

/** An object in memory. Never mutated; a new version is a new HotObject. */
export interface HotObject {
  readonly info: ObjectInfo;
  readonly body: Buffer;
}

export interface Hot {
  /** Synchronous, for the hot path. */
  get(bucketId: string, key: Key): HotObject | undefined;
  /**
   * Keeps the object, unless it is larger than the bound or any key was dropped since `generation` was read: what was
   * read from the bucket before a delete must not come back after it.
   */
  set(bucketId: string, object: HotObject, generation: number): void;
  drop(bucketId: string, key: Key): void;
  /** Read it before reading from the bucket, hand it to `set`. */
  readonly generation: number;
  /** Largest object kept, bytes. */
  readonly maxObjectBytes: number;
  usage(): { readonly objects: number; readonly bytes: number };
  /** Objects are evicted until the new bounds hold. */
  resize(bounds: HotBounds): void;
}

/** Bytes. */
export interface HotBounds {
  readonly maxBytes: number;
  readonly maxObjectBytes: number;
}

// What an entry costs beside its body: key, info, header block.
const ENTRY_OVERHEAD_BYTES = 1_024;

/** An empty memory tier. */
export function createHot(initial: HotBounds): Hot {
  let bounds = initial;
  let generation = 0;
  const create = (maxBytes: number) =>
    new LRUCache<string, HotObject>({
      maxSize: Math.max(1, maxBytes),
      sizeCalculation: (object) => object.body.byteLength + ENTRY_OVERHEAD_BYTES,
    });
  let objects = create(bounds.maxBytes);
  return {
    get: (bucketId, key) => objects.get(`${bucketId}\n${key}`),
    set(bucketId, object, readAt) {
      if (readAt !== generation || object.body.byteLength > bounds.maxObjectBytes) return;
      objects.set(`${bucketId}\n${object.info.key}`, object);
    },
    drop(bucketId, key) {
      generation += 1;
      objects.delete(`${bucketId}\n${key}`);
    },
    get generation() {
      return generation;
    },
    get maxObjectBytes() {
      return bounds.maxObjectBytes;
    },
    usage: () => ({ objects: objects.size, bytes: objects.calculatedSize }),
    resize(next) {
      if (next.maxBytes === bounds.maxBytes && next.maxObjectBytes === bounds.maxObjectBytes) return;
      bounds = next;
      const old = objects;
      objects = create(next.maxBytes);
      // Oldest first, so that the most recent survive a smaller bound.
      for (const [key, object] of [...old.entries()].reverse()) {
        if (object.body.byteLength <= bounds.maxObjectBytes) objects.set(key, object);
      }
    },
  };
}
