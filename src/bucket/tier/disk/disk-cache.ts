// The part of this disk that holds what can be had again, copies of remote objects and variants of images: bounded by
// bytes together, and what was used longest ago goes first. It owns the order of use; who brings what is others' affair.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Log } from "../../../core/log.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { FsStore } from "../../fs/store.ts";
import { type Copy, createLruIndex, type LruIndex } from "./lru-index.ts";

export interface DiskCache {
  readonly order: LruIndex;
  /** Bytes of everything together. */
  readonly maxBytes: number;
  resize(maxBytes: number): void;
  /** Something was added to the order. */
  grown(): void;
  /** Bytes of the bound that others use, and that give way to nobody. */
  reserve(bytes: () => number): void;
  /** Resolves when what an earlier run has left is counted. Never rejects. */
  readonly takenOver: Promise<void>;
  /** It is: the order has all that is there. Never so where the counting has failed. */
  readonly isCounted: boolean;
  /** Removes no more. The store is closed after it, by its owner. */
  close(): Promise<void>;
}

export interface DiskCacheOptions {
  readonly near: Pick<FsStore, "bucket" | "forget" | "listBuckets">;
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
const LOOKED_AT_ONCE = 1_024;

export function createDiskCache({ near, maxBytes: initial, wasUsed, log }: DiskCacheOptions): DiskCache {
  const order = createLruIndex();
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
      const { surplus, isAll } = takeSurplus();
      // Together, so that the writer commits them together: one by one they would go more slowly than others come.
      if (surplus.length > 0) await Promise.all(surplus.map(remove));
      else if (isAll) return;
      else await nextTurn();
    }
  }

  /** From the oldest on. One that memory has served has another turn; by then it must have done so again. */
  function takeSurplus(): { readonly surplus: readonly Copy[]; readonly isAll: boolean } {
    const surplus: Copy[] = [];
    for (let looked = 0; looked < LOOKED_AT_ONCE && surplus.length < REMOVED_AT_ONCE; looked += 1) {
      const oldest = order.popSurplus(Math.max(0, maxBytes - reserved()));
      if (oldest === undefined) return { surplus, isAll: true };
      if (wasUsed(oldest.bucketId, oldest.key)) order.add(oldest);
      else surplus.push(oldest);
    }
    return { surplus, isAll: false };
  }

  async function remove({ bucketId, key, sha256 }: Copy): Promise<void> {
    await near
      .forget(bucketId, key, sha256)
      .catch((error: unknown) => log.warn({ err: error }, "a copy could not be removed"));
  }

  /** In the order in which they were stored: uses are not written down. */
  async function takeOver(): Promise<void> {
    const older: { readonly copy: Copy; readonly storedAt: number }[] = [];
    for (const bucketId of near.listBuckets()) {
      if (!bucketId.startsWith(EDGE_FOLDER) && !bucketId.startsWith(VARIANT_FOLDER)) continue;
      for await (const { key, size, hashes, storedAt } of objectsOf(bucketId)) {
        older.push({
          copy: { bucketId, key, size, sha256: hashes.sha256, checkedAt: Number.NEGATIVE_INFINITY },
          storedAt,
        });
      }
    }
    order.addOlder(older.sort((a, b) => a.storedAt - b.storedAt).map(({ copy }) => copy));
    evict();
  }

  async function* objectsOf(bucketId: string): AsyncGenerator<ObjectInfo, void, undefined> {
    for (let after: Key | undefined; ; ) {
      const page = await near.bucket(bucketId).list({ prefix: "", after, limit: PAGE });
      yield* page.objects;
      after = page.next;
      if (after === undefined || isClosed) return;
      await nextTurn();
    }
  }

  let isCounted = false;
  const counted = async () => {
    await takeOver();
    isCounted = !isClosed;
  };
  const takenOver = counted().catch((error: unknown) =>
    log.error({ err: error }, "the copies that the last run has left could not be counted"),
  );

  return {
    order,
    get maxBytes() {
      return maxBytes;
    },
    resize(next) {
      maxBytes = next;
      evict();
    },
    grown: evict,
    reserve(bytes) {
      reserved = bytes;
    },
    takenOver,
    get isCounted() {
      return isCounted;
    },
    async close() {
      isClosed = true;
      await takenOver;
      await evicting;
    },
  };
}
