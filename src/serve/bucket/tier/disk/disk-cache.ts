// The part of this disk for replaceable data: copies of remote objects and variants of images. One byte limit bounds
// both together, and the least recently used is removed first. This file owns that order; it stores no objects.
import { setImmediate as nextTurn } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import type { Log } from "../../../../core/log.ts";
import type { Key, ObjectInfo } from "../../../../core/object.ts";
import type { FsBucket } from "../../fs/bucket.ts";
import type { RowFacts, RowState } from "../../fs/catalogue/reads.ts";
import type { FsStore } from "../../fs/fs-store.ts";

export interface DiskCache {
  /** Limit for copies and variants together. */
  readonly maxBytes: number;
  /** A larger copy is not stored, because it would push out too many others. Bytes. */
  readonly maxCopyBytes: number;
  resize(maxBytes: number): void;
  /** Adds a stored copy as the most recently used; removes others if the limit is exceeded. */
  add(copy: Copy): void;
  /** Does not count as a use. */
  has(bucketId: string, key: Key): boolean;
  /** Returns the copy and makes it the most recently used; undefined if it is not known. */
  use(bucketId: string, key: Key): Copy | undefined;
  /** Call it after the row has gone, because a row that stays must count. */
  drop(bucketId: string, key: Key): void;
  /** All copies and variants. */
  readonly usage: { readonly count: number; readonly bytes: number };
  /** Subtracts a changing amount from the limit, for data that must not be removed. Bytes. */
  reserve(bytes: () => number): void;
  /** Removes copies until the rest is within the limit. To be called after the reserved amount has grown. */
  evict(): void;
  /** Resolves when the objects of an earlier run are known. Never rejects. */
  readonly counted: Promise<void>;
  /** Whether all copies are known. Stays false if the counting has failed. */
  readonly isCounted: boolean;
  /** Stops removals. The owner of the store closes it afterwards. */
  close(): Promise<void>;
}

export interface Copy {
  readonly bucketId: string;
  readonly key: Key;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
  /** When it was last compared with the remote store, as performance.now(); -Infinity: not since the start. */
  checkedAt: number;
}

export function copyOf(
  bucketId: string,
  { key, size, hashes }: ObjectInfo,
  checkedAt = Number.NEGATIVE_INFINITY,
): Copy {
  return { bucketId, key, size, sha256: hashes.sha256, checkedAt };
}

export interface DiskCacheOptions {
  readonly embedded: Pick<FsStore, "bucket" | "listBuckets">;
  readonly maxBytes: number;
  /** Whether the memory cache has served the object since the last call. Such a use does not reach the index. */
  readonly wasUsed: (bucketId: string, key: Key) => boolean;
  readonly log: Log;
}

/** Prefixes of the embedded store's bucket ids whose objects are bounded here. */
export const EDGE_FOLDER = "edge/";
export const VARIANT_FOLDER = "variants/";

/** Bounds one batch, because the writer does nothing else meanwhile. */
const REMOVED_AT_ONCE = 256;
const EXAMINED_AT_ONCE = 1_024;
/** About 50 MB of memory. */
const MAX_COPIES = 250_000;

export function createDiskCache({ embedded, maxBytes: initial, wasUsed, log }: DiskCacheOptions): DiskCache {
  // takeExcess() alone removes copies, because the row must go with the copy.
  const copies = new LRUCache<string, Copy>({
    maxSize: Number.MAX_SAFE_INTEGER,
    sizeCalculation: ({ size }) => size,
  });
  const nameOf = (bucketId: string, key: Key) => `${bucketId}\n${key}`;
  const put = (copy: Copy) => void copies.set(nameOf(copy.bucketId, copy.key), copy);
  let maxBytes = initial;
  let reserved = () => 0;
  let isClosed = false;
  let evicting: Promise<void> | undefined;

  function evict(): void {
    evicting ??= evictAll().finally(() => {
      evicting = undefined;
    });
  }

  async function evictAll(): Promise<void> {
    while (!isClosed) {
      // A confirmed object is a copy at once, and its room as a pending one is given back later in the same turn.
      await nextTurn();
      const { excess, isAll } = takeExcess();
      // In parallel, so that the writer commits them together. One by one, removal would be slower than growth.
      if (excess.length > 0) await Promise.all(excess.map(remove));
      else if (isAll) return;
    }
  }

  /** From the least recently used on. An object that the memory cache has served moves to the end of the order. */
  function takeExcess(): { readonly excess: readonly Copy[]; readonly isAll: boolean } {
    const excess: Copy[] = [];
    for (let examined = 0; examined < EXAMINED_AT_ONCE && excess.length < REMOVED_AT_ONCE; examined += 1) {
      const isWithin = copies.calculatedSize <= Math.max(0, maxBytes - reserved()) && copies.size <= MAX_COPIES;
      const oldest = isWithin ? undefined : copies.pop();
      if (oldest === undefined) return { excess, isAll: true };
      if (wasUsed(oldest.bucketId, oldest.key)) put(oldest);
      else excess.push(oldest);
    }
    return { excess, isAll: false };
  }

  async function remove({ bucketId, key, sha256 }: Copy): Promise<void> {
    await embedded
      .bucket(bucketId)
      .forget(key, sha256)
      .catch((error: unknown) => log.warn({ err: error }, "cannot remove a cached copy from this disk"));
  }

  /** Adds the copies of an earlier run, by the time of storing, because uses are not saved. */
  async function loadCopies(): Promise<void> {
    const older: { readonly copy: Copy; readonly storedAt: number }[] = [];
    for (const bucketId of embedded.listBuckets()) {
      if (!bucketId.startsWith(EDGE_FOLDER) && !bucketId.startsWith(VARIANT_FOLDER)) continue;
      for await (const { storedAt, ...row } of rowsIn(embedded.bucket(bucketId), "confirmed", () => isClosed))
        older.push({ copy: { bucketId, ...row, checkedAt: Number.NEGATIVE_INFINITY }, storedAt });
    }
    const newer = [...copies.rkeys()];
    for (const { copy } of older.sort((a, b) => a.storedAt - b.storedAt))
      if (!copies.has(nameOf(copy.bucketId, copy.key))) put(copy);
    for (const name of newer) copies.get(name);
    evict();
  }

  let isCounted = false;
  const countAll = async () => {
    await loadCopies();
    isCounted = !isClosed;
  };
  const counted = countAll().catch((error: unknown) =>
    log.error({ err: error }, "cannot count the copies of the last run"),
  );

  return {
    get maxBytes() {
      return maxBytes;
    },
    get maxCopyBytes() {
      return Math.floor(maxBytes / 4);
    },
    resize(next) {
      maxBytes = next;
      evict();
    },
    add(copy) {
      put(copy);
      evict();
    },
    has: (bucketId, key) => copies.has(nameOf(bucketId, key)),
    use: (bucketId, key) => copies.get(nameOf(bucketId, key)),
    drop: (bucketId, key) => void copies.delete(nameOf(bucketId, key)),
    get usage() {
      return { count: copies.size, bytes: copies.calculatedSize };
    },
    reserve(bytes) {
      reserved = bytes;
    },
    evict,
    counted,
    get isCounted() {
      return isCounted;
    },
    async close() {
      isClosed = true;
      await counted;
      await evicting;
    },
  };
}

/** The rows of a bucket in that state, page by page, until `isClosed`. Damaged rows are among them. */
export async function* rowsIn(
  bucket: Pick<FsBucket, "rows">,
  state: RowState,
  isClosed: () => boolean = () => false,
): AsyncGenerator<RowFacts, void, undefined> {
  for (let after: string | undefined = ""; after !== undefined && !isClosed(); await nextTurn()) {
    const page: readonly RowFacts[] = await bucket.rows(state, after);
    yield* page;
    after = page.at(-1)?.key;
  }
}
