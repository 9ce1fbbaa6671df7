// A bucket behind the memory cache: every request looks a key up here first, and all changes of objects pass through it
// as well (stored-changes.ts). It knows no origins.

import { errorKind, HuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { Chunks } from "../../body/chunks.ts";
import { bodyRoom } from "../../body/head-room.ts";
import type { Lease } from "../../body/scratch.ts";
import type { Bucket } from "../../bucket/contract/bucket.ts";
import type { Entry, ObjectReader } from "../../bucket/contract/driver.ts";
import { withReadDeadline } from "../../bucket/remote/read-deadline.ts";
import type { HeldBytes, ImageBytes } from "./image-bytes.ts";
import type { CachedLookup, CachedObject, MemoryCache } from "./memory-cache.ts";
import { createPendingWrites, type PendingWrites } from "./pending-writes.ts";
import { createStoredChanges, type OnVersionGone, type StoredChanges } from "./stored-changes.ts";

/** A stored object, without its bytes. */
export interface StoredObject {
  readonly info: ObjectInfo;
  /** Purged, so it needs a revalidation. Never true in memory. */
  readonly isStale: boolean;
  readonly epoch: number;
  /** Absent: the store has confirmed the object. */
  readonly certainty?: "pending" | "unknown" | undefined;
}

/**
 * An object whose bytes are at hand. `memory`: in the memory cache.
 * `loaded`: small, read whole from the bucket. `free` reuses the memory of the body; call it only after the body was
 * sent, if no other code holds it.
 * `large`: to be read in parts; the caller closes the reader.
 */
export type Found =
  | { readonly state: "memory"; readonly object: Pick<CachedObject, "info" | "body"> }
  | {
      readonly state: "loaded";
      readonly object: Pick<CachedObject, "info" | "body">;
      readonly free: (() => void) | undefined;
    }
  | { readonly state: "large"; readonly info: ObjectInfo; readonly reader: ObjectReader };

type Loaded = Extract<Found, { readonly state: "loaded" }>;
type Opened = Exclude<Found, { readonly state: "memory" }>;

export type NoObject = Exclude<Entry, { readonly state: "object" }>;

export interface Stored extends StoredChanges {
  readonly bucketId: string;
  readonly bucket: Bucket;
  /** Chunks for bodies that are read from the bucket and sent. */
  readonly chunks: Chunks;
  /** The images that are still to be written to this bucket. */
  readonly pendingWrites: PendingWrites;
  /** From memory only; synchronous, for the hot path. */
  peek(key: Key): CachedObject | undefined;
  /** The result of a recent lookup(); synchronous. Never a purged object. */
  cachedLookup(key: Key): CachedLookup | undefined;
  /** As in Bucket, for a request that needs the bytes. */
  lookupVisible(key: Key): Promise<Entry>;
  /** As in Bucket, for a variant: it needs the description only, so the result is kept for a short time. */
  lookup(key: Key): Promise<Entry>;
  /** Call it before lookup(), and pass it to open(). */
  cacheRevision(): number;
  /**
   * Opens an object that was looked up after `cacheRevision`. Undefined: it has been replaced or removed since. Throws
   * store_failed, and store_corrupt if it is damaged; the store quarantines it then, and its key is absent.
   */
  open(object: StoredObject, cacheRevision: number): Promise<Opened | undefined>;
  /** As lookupVisible() and open(), in this turn of the event loop, if the bucket can (RecentReads). Never purged. */
  lookupRecent(key: Key): StoredObject | undefined;
  openRecent(object: StoredObject): Loaded | undefined;
  /**
   * All bytes of an object that was looked up, perhaps some time ago. Throws original_replaced if its bytes are no
   * longer available, store_corrupt if they are damaged, store_failed.
   */
  load(info: ObjectInfo): Promise<Buffer>;
  /** The bytes of such an object for later; with `download` if the bucket is remote. */
  bytesOf(info: ObjectInfo): ImageBytes;
  /** Looks up and opens. Throws store_failed. */
  find(key: Key): Promise<Found | NoObject>;
  /**
   * Gives up the pending write of the key. Objects that a mirror fetched count as missing until the returned function
   * is called.
   */
  hide(key: Key): () => void;
}

export interface StoredHooks {
  readonly onVersionGone?: OnVersionGone | undefined;
  /** Resolves once the other nodes know the changes that were made. */
  readonly confirmed?: (() => Promise<unknown>) | undefined;
}

/** `bucketId`: `<appid>/<bucket>`. The memory cache is shared by all buckets. */
export function createStored(
  bucketId: string,
  bucket: Bucket,
  memoryCache: MemoryCache,
  { onVersionGone, confirmed }: StoredHooks = {},
): Stored {
  const pendingWrites = createPendingWrites();
  const hidden = new Map<Key, number>();

  const isHidden = ({ key, provenance }: ObjectInfo) => provenance.via === "mirror" && hidden.has(key);

  async function lookupVisible(key: Key): Promise<Entry> {
    const entry = await bucket.lookup(key);
    return entry.state === "object" && isHidden(entry.info) ? { state: "absent", epoch: entry.epoch } : entry;
  }

  async function lookup(key: Key): Promise<Entry> {
    const cacheRevision = memoryCache.cacheRevision();
    const entry = await lookupVisible(key);
    if (entry.state === "object" && !entry.isStale && entry.certainty !== "unknown")
      memoryCache.cacheLookup(bucketId, key, { info: entry.info, epoch: entry.epoch }, cacheRevision);
    else if (entry.state === "absent" && entry.failure === undefined)
      memoryCache.cacheLookup(bucketId, key, "absent", cacheRevision);
    return entry;
  }

  function lookupRecent(key: Key): StoredObject | undefined {
    const entry = bucket.recent?.entry(key);
    return entry === undefined || entry.isStale || isHidden(entry.info) ? undefined : entry;
  }

  function openRecent(object: StoredObject): Loaded | undefined {
    const { info } = object;
    if (!mayBeWhole(info)) return undefined;
    const lease = memoryCache.scratch.take(info.size);
    const body = bucket.recent?.read(info, lease?.bytes);
    if (body === undefined) return void lease?.free();
    return loaded(object, body, { lease, cacheRevision: memoryCache.cacheRevision() });
  }

  const mayBeWhole = ({ size }: ObjectInfo) =>
    size <= memoryCache.maxObjectBytes && memoryCache.chunks.mayBeWhole(size);

  async function open(object: StoredObject, cacheRevision: number): Promise<Opened | undefined> {
    const { info } = object;
    const reader = await bucket.open(info);
    if (reader === undefined) return undefined;
    if (!mayBeWhole(info)) return { state: "large", info, reader };
    const loading = loadObject(object, reader, cacheRevision);
    return reader.proven === undefined ? loading : withReadDeadline(info.key, loading);
  }

  async function loadObject(object: StoredObject, reader: ObjectReader, cacheRevision: number): Promise<Opened> {
    try {
      const { size } = object.info;
      const lease = memoryCache.scratch.take(size);
      return loaded(object, await readAll(reader, size, lease?.bytes), { lease, cacheRevision });
    } finally {
      reader.close();
    }
  }

  function loaded(
    { info, isStale, epoch, certainty }: StoredObject,
    body: Buffer,
    { lease, cacheRevision }: { readonly lease: Lease | undefined; readonly cacheRevision: number },
  ): Loaded {
    const object = { info, body, epoch };
    // An object in memory is served without a look-up, which would show that it is stale or unknown.
    const isStorable = !isStale && certainty !== "unknown" && memoryCache.admits(bucketId, info);
    if (isStorable) memoryCache.set(bucketId, object, cacheRevision);
    // The memory cache may use the same memory now.
    return { state: "loaded", object, free: isStorable ? undefined : lease?.free };
  }

  function inMemory({ key, hashes }: ObjectInfo): Buffer | undefined {
    const object = memoryCache.get(bucketId, key);
    return object?.info.hashes.sha256 === hashes.sha256 ? object.body : undefined;
  }

  async function load(info: ObjectInfo): Promise<Buffer> {
    const body = inMemory(info);
    if (body !== undefined) return body;
    const cacheRevision = memoryCache.cacheRevision();
    const reader = await bucket.open(info, { mayBeReplaced: true });
    if (reader === undefined) throw replaced(info);
    try {
      return await readWhole(info, reader, cacheRevision);
    } finally {
      reader.close();
    }
  }

  async function download(info: ObjectInfo): Promise<HeldBytes | undefined> {
    if (inMemory(info) !== undefined) return undefined;
    const cacheRevision = memoryCache.cacheRevision();
    const reader = await bucket.open(info, { mayBeReplaced: true });
    // Without `proven` it is on this machine already, and `load` opens it again.
    if (reader?.proven === undefined) return void reader?.close();
    try {
      await reader.proven();
    } catch (error) {
      reader.close();
      throw error;
    }
    return { load: () => readWhole(info, reader, cacheRevision), release: () => reader.close() };
  }

  async function readWhole(info: ObjectInfo, reader: ObjectReader, cacheRevision: number): Promise<Buffer> {
    const body = await readAll(reader, info.size);
    // Only if a cached look-up confirms this version. An original with many variants is read many times.
    const known = memoryCache.cachedLookup(bucketId, info.key);
    const isCurrent = known !== undefined && known !== "absent" && known.info.hashes.sha256 === info.hashes.sha256;
    if (isCurrent && memoryCache.admits(bucketId, info)) memoryCache.set(bucketId, { ...known, body }, cacheRevision);
    return body;
  }

  function bytesOf(info: ObjectInfo): ImageBytes {
    return { load: () => load(info), download: bucket.isRemote ? () => download(info) : undefined };
  }

  async function findOnce(key: Key): Promise<Found | NoObject | "retry"> {
    const cacheRevision = memoryCache.cacheRevision();
    // Not lookup(): variants would push the cached look-ups of originals out.
    const entry = await lookupVisible(key);
    if (entry.state !== "object") return entry;
    try {
      return (await open(entry, cacheRevision)) ?? "retry";
    } catch (error) {
      if (errorKind(error) === "replaced") return "retry";
      throw error;
    }
  }

  return {
    bucketId,
    bucket,
    chunks: memoryCache.chunks,
    pendingWrites,
    peek: (key) => memoryCache.get(bucketId, key),
    cachedLookup: (key) => memoryCache.cachedLookup(bucketId, key),
    lookupVisible,
    lookup,
    cacheRevision: memoryCache.cacheRevision,
    open,
    lookupRecent,
    openRecent,
    load,
    bytesOf,
    ...createStoredChanges({ bucketId, bucket, memoryCache, pendingWrites, onVersionGone, confirmed }),
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
    hide(key) {
      pendingWrites.drop(key);
      hidden.set(key, (hidden.get(key) ?? 0) + 1);
      memoryCache.drop(bucketId, key);
      return () => {
        const others = (hidden.get(key) ?? 1) - 1;
        if (others === 0) hidden.delete(key);
        else hidden.set(key, others);
        // Look-ups that are cached say that the key is absent.
        memoryCache.drop(bucketId, key);
      };
    },
  };
}

function replaced({ key }: ObjectInfo): HuiyuanError {
  return new HuiyuanError("original_replaced", `Cannot read "${key}": it has changed`, { retryAfterSeconds: 1 });
}

// The largest read of an ObjectReader.
const MAX_READ_BYTES = 1_048_576;

/** All bytes of an open object. Throws as ObjectReader.read; `into` as there, for an object that one read covers. */
export async function readAll(reader: ObjectReader, size: number, into?: Buffer): Promise<Buffer> {
  if (into !== undefined) return reader.read(0, size - 1, into);
  if (size > 0 && size <= MAX_READ_BYTES) return reader.read(0, size - 1);
  const whole = bodyRoom(size);
  for (let start = 0; start < size; start += MAX_READ_BYTES) {
    const target = whole.subarray(start, start + MAX_READ_BYTES);
    const chunk = await reader.read(start, start + target.length - 1, target);
    // A reader need not use the buffer that it is given.
    if (chunk.buffer !== whole.buffer) chunk.copy(target);
  }
  return whole;
}
