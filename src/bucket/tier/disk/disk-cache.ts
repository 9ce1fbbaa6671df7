// The part of this disk that holds what can be had again, copies of remote objects and variants of images: bounded by
// bytes together, and what was used longest ago goes first. It owns the order of use; who brings what is others' affair.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Log } from "../../../core/log.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { FsStore } from "../../fs/store.ts";
import { type Copy, createLruIndex, type LruIndex } from "./lru-index.ts";

export interface DiskCache {
  readonly index: LruIndex;
  /** Bytes of everything together. */
  readonly maxBytes: number;
  resize(maxBytes: number): void;
  /** Something was added to the order. */
  noteGrowth(): void;
  /** Bytes of the bound that others use, and that give way to nobody. */
  reserve(bytes: () => number): void;
  /** Resolves when what an earlier run has left is counted. Never rejects. */
  readonly counted: Promise<void>;
  /** It is: the order has all that is there. Never so where the counting has failed. */
  readonly isCounted: boolean;
  /** Removes no more. The store is closed after it, by its owner. */
  close(): Promise<void>;
}

export interface DiskCacheOptions {
  readonly embedded: Pick<FsStore, "bucket" | "forget" | "listBuckets">;
  readonly maxBytes: number;
  /** Whether memory has served it since this was asked last: that is a use of which nothing comes here. */
  readonly wasUsed: (bucketId: string, key: Key) => boolean;
  readonly log: Log;
}

/** How the ids of the embedded store's buckets begin whose objects are bounded here. */
export const EDGE_FOLDER = "edge/";
export const VARIANT_FOLDER = "variants/";

const PAGE = 1_000;
/** The writer does nothing else meanwhile. */
const REMOVED_AT_ONCE = 256;
const EXAMINED_AT_ONCE = 1_024;

export function createDiskCache({ embedded, maxBytes: initial, wasUsed, log }: DiskCacheOptions): DiskCache {
  const index = createLruIndex();
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
    await nextTurn();
    while (!isClosed) {
      const { excess, isAll } = takeExcess();
      // Together, so that the writer commits them together: one by one they would go more slowly than others come.
      if (excess.length > 0) await Promise.all(excess.map(remove));
      else if (isAll) return;
      else await nextTurn();
    }
  }

  /** From the oldest on. One that memory has served has another turn; by then it must have done so again. */
  function takeExcess(): { readonly excess: readonly Copy[]; readonly isAll: boolean } {
    const excess: Copy[] = [];
    for (let examined = 0; examined < EXAMINED_AT_ONCE && excess.length < REMOVED_AT_ONCE; examined += 1) {
      const oldest = index.popExcess(Math.max(0, maxBytes - reserved()));
      if (oldest === undefined) return { excess, isAll: true };
      if (wasUsed(oldest.bucketId, oldest.key)) index.add(oldest);
      else excess.push(oldest);
    }
    return { excess, isAll: false };
  }

  async function remove({ bucketId, key, sha256 }: Copy): Promise<void> {
    await embedded
      .forget(bucketId, key, sha256)
      .catch((error: unknown) => log.warn({ err: error }, "a copy could not be removed"));
  }

  /** In the order in which they were stored: uses are not written down. */
  async function loadCopies(): Promise<void> {
    const older: { readonly copy: Copy; readonly storedAt: number }[] = [];
    for (const bucketId of embedded.listBuckets()) {
      if (!bucketId.startsWith(EDGE_FOLDER) && !bucketId.startsWith(VARIANT_FOLDER)) continue;
      for await (const { key, size, hashes, storedAt } of objectsOf(bucketId)) {
        older.push({
          copy: { bucketId, key, size, sha256: hashes.sha256, checkedAt: Number.NEGATIVE_INFINITY },
          storedAt,
        });
      }
    }
    index.addOlder(older.sort((a, b) => a.storedAt - b.storedAt).map(({ copy }) => copy));
    evict();
  }

  async function* objectsOf(bucketId: string): AsyncGenerator<ObjectInfo, void, undefined> {
    for (let after: Key | undefined; ; ) {
      const page = await embedded.bucket(bucketId).list({ prefix: "", after, limit: PAGE });
      yield* page.objects;
      after = page.next;
      if (after === undefined || isClosed) return;
      await nextTurn();
    }
  }

  let isCounted = false;
  const countAll = async () => {
    await loadCopies();
    isCounted = !isClosed;
  };
  const counted = countAll().catch((error: unknown) =>
    log.error({ err: error }, "the copies that the last run has left could not be counted"),
  );

  return {
    index,
    get maxBytes() {
      return maxBytes;
    },
    resize(next) {
      maxBytes = next;
      evict();
    },
    noteGrowth: evict,
    reserve(bytes) {
      reserved = bytes;
    },
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
