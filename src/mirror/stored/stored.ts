// A bucket behind the memory cache: every request looks a key up here first, and all changes of objects pass through it
// as well (stored-changes.ts). It knows no origins.
import type { Chunks } from "../../body/chunks.ts";
import type { Bucket } from "../../bucket/contract/bucket.ts";
import type { Entry, ObjectReader } from "../../bucket/contract/driver.ts";
import { withReadDeadline } from "../../bucket/remote/read-deadline.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import { createPendingWrites, type PendingWrites } from "../storing/pending-writes.ts";
import { createRecoveredWrites, type RecoveredWrites } from "../storing/recovered-writes.ts";
import type { CachedObject, MemoryCache } from "./memory-cache.ts";
import { createStoredBytes, readAll, type StoredBytes } from "./stored-bytes.ts";
import { createStoredChanges, type StoredChanges, type StoredHooks } from "./stored-changes.ts";

/** A stored object, without its bytes. */
export interface StoredObject {
  readonly info: ObjectInfo;
  /** Purged, so it needs a revalidation. Never true in memory. */
  readonly isStale: boolean;
  readonly epoch: number;
  /** As in Entry. */
  readonly isPending?: boolean;
}

/**
 * `memory`: in the memory cache.
 * `loaded`: small, read whole from the bucket. `free` reuses the memory of the body; call it only after the body was
 * sent, if no other code holds it.
 * `large`: to be read in parts; the caller closes the reader.
 * `absent`: `failure` and `isForeign` as in Entry.
 */
export type Found =
  | { readonly state: "memory"; readonly object: CachedObject }
  | ({
      readonly state: "loaded";
      readonly object: CachedObject;
      readonly free: (() => void) | undefined;
    } & Pick<StoredObject, "isStale" | "isPending">)
  | ({ readonly state: "large"; readonly reader: ObjectReader } & StoredObject)
  | { readonly state: "tombstone" }
  | {
      readonly state: "absent";
      readonly epoch: number;
      readonly failure: HuiyuanError | undefined;
      readonly isForeign: boolean | undefined;
    };

export interface Stored extends StoredBytes, StoredChanges {
  /** `<appid>/<bucket>` */
  readonly bucketId: string;
  readonly bucket: Bucket;
  /** Chunks for bodies that are read from the bucket and sent. */
  readonly chunks: Chunks;
  /** From memory only; synchronous, for the hot path. */
  peek(key: Key): CachedObject | undefined;
  /** As lookup(), without a request to the bucket: from memory, or from a recent look-up. Never a purged object. */
  peekInfo(key: Key): ObjectInfo | "absent" | undefined;
  /** As in Bucket; the result is kept for a short time. */
  lookup(key: Key): Promise<Entry>;
  /** Throws store_failed. The store quarantines a damaged object, which is then absent. */
  find(key: Key): Promise<Found>;
  /** The images that are still to be written to this bucket. */
  readonly pendingWrites: PendingWrites;
  /** The images that an earlier run left unstored; look-ups wait for them. */
  readonly recovered: RecoveredWrites;
  /** Objects that a mirror fetched under the key count as missing until the returned function is called. */
  hide(key: Key): () => void;
}

/** The object that was found has been replaced or removed: the look-up is repeated. */
const RETRYABLE: ReadonlySet<string> = new Set(["store_corrupt", "original_replaced"]);

/** The memory cache is shared by all buckets. */
export function createStored(
  bucketId: string,
  bucket: Bucket,
  memoryCache: MemoryCache,
  hooks: StoredHooks = {},
): Stored {
  const pendingWrites = createPendingWrites();
  const recovered = createRecoveredWrites();
  const hidden = new Map<Key, number>();

  async function lookupVisible(key: Key): Promise<Entry> {
    const entry = await bucket.lookup(key);
    const isHidden = entry.state === "object" && entry.info.provenance.via === "mirror" && hidden.has(key);
    return isHidden ? { state: "absent", epoch: entry.epoch } : entry;
  }

  async function loadObject(
    { info, isStale, epoch, isPending = false }: Extract<Entry, { readonly state: "object" }>,
    reader: ObjectReader,
    generation: number,
  ): Promise<Found> {
    try {
      // An object in memory is served without a look-up, which would show that it is stale or unknown.
      const isStorable = !isStale && !isUnknown(info.key, isPending) && memoryCache.admits(bucketId, info);
      const lease = isStorable ? undefined : memoryCache.scratch.take(info.size);
      const object = { info, body: await readAll(reader, info.size, lease?.bytes), epoch };
      if (isStorable) memoryCache.set(bucketId, object, generation);
      return { state: "loaded", object, isStale, isPending, free: lease?.free };
    } finally {
      reader.close();
    }
  }

  function isUnknown(key: Key, isPending: boolean | undefined): boolean {
    return isPending === true && bucket.isUnknown(key);
  }

  async function lookup(key: Key): Promise<Entry> {
    if (recovered.size > 0) await recovered.storeNow(key);
    const generation = memoryCache.generation;
    const entry = await lookupVisible(key);
    if (entry.state === "object" && !entry.isStale && !isUnknown(key, entry.isPending))
      memoryCache.note(bucketId, key, { info: entry.info, epoch: entry.epoch }, generation);
    else if (entry.state === "absent" && entry.failure === undefined)
      memoryCache.note(bucketId, key, "absent", generation);
    return entry;
  }

  async function findOnce(key: Key): Promise<Found | "retry"> {
    if (recovered.size > 0) await recovered.storeNow(key);
    const generation = memoryCache.generation;
    const entry = await lookupVisible(key);
    if (entry.state === "tombstone") return { state: "tombstone" };
    if (entry.state === "absent") {
      const { epoch, failure, isForeign } = entry;
      return { state: "absent", epoch, failure, isForeign };
    }
    const reader = await bucket.open(entry.info);
    if (reader === undefined) return "retry";
    const { size } = entry.info;
    if (size > memoryCache.maxObjectBytes || !memoryCache.chunks.mayBeWhole(size))
      return { ...entry, state: "large", reader };
    try {
      const loading = loadObject(entry, reader, generation);
      return await (reader.proven === undefined ? loading : withReadDeadline(key, loading));
    } catch (error) {
      if (error instanceof HuiyuanError && RETRYABLE.has(error.code)) return "retry";
      throw error;
    }
  }

  return {
    bucketId,
    bucket,
    chunks: memoryCache.chunks,
    peek: (key) => memoryCache.get(bucketId, key),
    peekInfo(key) {
      const known = memoryCache.get(bucketId, key) ?? memoryCache.noted(bucketId, key);
      return known === "absent" ? known : known?.info;
    },
    lookup: (key) => lookup(key),
    ...createStoredBytes(bucketId, bucket, memoryCache),
    ...createStoredChanges({ bucketId, bucket, memoryCache, recovered, hooks }),
    async find(key) {
      const object = memoryCache.get(bucketId, key);
      if (object !== undefined) return { state: "memory", object };
      // Two retries: between look-up and opening the object may be deleted, or found damaged.
      for (let attempt = 0; attempt < 3; attempt += 1) {
        const found = await findOnce(key);
        if (found !== "retry") return found;
      }
      throw new HuiyuanError("store_failed", `Cannot open "${key}": it keeps vanishing between look-up and opening`);
    },
    pendingWrites,
    recovered,
    hide(key) {
      hidden.set(key, (hidden.get(key) ?? 0) + 1);
      memoryCache.drop(bucketId, key);
      return () => {
        const others = (hidden.get(key) ?? 1) - 1;
        if (others === 0) hidden.delete(key);
        else hidden.set(key, others);
        // Look-ups have noted the key as absent.
        memoryCache.drop(bucketId, key);
      };
    },
  };
}
