// The memory cache of all buckets: whole small objects, bounded by bytes with LRU eviction, and the results of recent
// look-ups. It holds copies only: the bucket decides, and every change of an object there must be followed by drop().
import { LRUCache } from "lru-cache";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import { type Chunks, createChunks } from "../../body/chunks.ts";
import { HEAD_ROOM_BYTES, withHeadRoom } from "../../body/head-room.ts";
import { createScratch, type Scratch } from "../../body/scratch.ts";
import { createExpiring } from "../expiring.ts";

/** An object in memory. Never mutated; a new version is a new CachedObject. */
export interface CachedObject {
  readonly info: ObjectInfo;
  readonly body: Buffer;
  /** The epoch of the key, as in Entry. */
  readonly epoch: number;
}

export interface MemoryCache {
  /** Synchronous, for the hot path. */
  get(bucketId: string, key: Key): CachedObject | undefined;
  /** Whether get() has found the object since the last call; the disk does not see hits in memory. */
  wasUsed(bucketId: string, key: Key): boolean;
  /**
   * Keeps the object, unless it is larger than the bound or any key was dropped since the revision `readAt`: an
   * object that was read from the bucket before a delete must not return after it.
   */
  set(bucketId: string, object: CachedObject, readAt: number): void;
  /**
   * Call it for each read of an object from the bucket: returns whether to keep the object. True at the second read
   * while there is room. Without room only if fewer bytes than the cache holds were read in between: else the object
   * would be evicted before its next request.
   */
  admits(bucketId: string, info: ObjectInfo): boolean;
  /** As admits(), for an object that was just stored. True while there is room, as its next request may follow soon. */
  admitsNew(bucketId: string, info: ObjectInfo): boolean;
  /** The result of a recent look-up. */
  cachedLookup(bucketId: string, key: Key): CachedLookup | undefined;
  /** Keeps a look-up result for a short time. If `readAt` is outdated, as in set(), it removes the kept one instead. */
  cacheLookup(bucketId: string, key: Key, result: CachedLookup, readAt: number): void;
  drop(bucketId: string, key: Key): void;
  dropAll(): void;
  /** Read it before a read from the bucket, and pass it to set(). */
  cacheRevision(): number;
  /** Buffers for objects that are read from the bucket and not kept. */
  readonly scratch: Scratch;
  readonly chunks: Chunks;
  /** Largest object kept, bytes. */
  readonly maxObjectBytes: number;
  usage(): { readonly objects: number; readonly bytes: number };
  /** Evicts objects until the new bounds hold. */
  resize(next: MemoryCacheBounds): void;
}

interface CacheEntry {
  object: CachedObject;
  isUsed: boolean;
  /** As ticks. */
  readonly keptAt: number;
}

/** An object that is not purged, or `absent`. */
export type CachedLookup = Pick<CachedObject, "info" | "epoch"> | "absent";

/** Bytes. */
export interface MemoryCacheBounds {
  readonly maxBytes: number;
  readonly maxObjectBytes: number;
}

// The size of an entry without its body: key, info, header block and the facts about its requests, measured with small
// variants; and the room for a head.
const ENTRY_OVERHEAD_BYTES = 4_096 + HEAD_ROOM_BYTES;

/** Other servers may change a remote store, so a look-up expires soon. Milliseconds. */
const LOOKUP_MS = 10_000;
/** Each takes about 600 bytes. */
const MAX_LOOKUPS = 16_384;
const MAX_FILTER_NAMES = 16_384;

/** With other nodes an object leaves memory after this time, and is looked up again. Milliseconds. */
const SHARED_MS = 60_000;

/**
 * An empty memory cache. `ticks`: as performance.now(). `isAttached`: false while other nodes may change objects
 * without telling; nothing is found then. Undefined: there are no other nodes.
 */
export function createMemoryCache(
  initial: MemoryCacheBounds,
  ticks = () => performance.now(),
  isAttached?: () => boolean,
): MemoryCache {
  let bounds = initial;
  let cacheRevision = 0;
  const create = (maxBytes: number) =>
    new LRUCache<string, CacheEntry>({
      maxSize: Math.max(1, maxBytes),
      sizeCalculation: ({ object }) => costOf(object.body.byteLength),
    });
  let objects = create(bounds.maxBytes);
  let lookups = createExpiring<CachedLookup>(MAX_LOOKUPS);
  const isRepeatedRead = createAdmissionFilter(MAX_FILTER_NAMES);

  const maySee = ({ keptAt }: CacheEntry) => isAttached?.() === true && ticks() - keptAt < SHARED_MS;

  const hasRoomFor = ({ size }: ObjectInfo) => objects.calculatedSize + costOf(size) <= bounds.maxBytes;

  function admits(bucketId: string, info: ObjectInfo): boolean {
    const within = hasRoomFor(info) ? Number.POSITIVE_INFINITY : bounds.maxBytes;
    return isRepeatedRead(`${bucketId}\n${info.key}`, costOf(info.size), within);
  }

  return {
    get(bucketId, key) {
      const kept = objects.get(`${bucketId}\n${key}`);
      if (kept === undefined || (isAttached !== undefined && !maySee(kept))) return undefined;
      if (!kept.isUsed) {
        kept.isUsed = true;
        kept.object = { ...kept.object, body: withHeadRoom(kept.object.body) };
      }
      return kept.object;
    },
    wasUsed(bucketId, key) {
      const kept = objects.peek(`${bucketId}\n${key}`);
      if (kept?.isUsed !== true) return false;
      kept.isUsed = false;
      return true;
    },
    set(bucketId, object, readAt) {
      if (readAt !== cacheRevision || object.body.byteLength > bounds.maxObjectBytes) return;
      const { info, body, epoch } = object;
      // Most fetched images are never requested again, so the first hit makes the room for a head. A body with more
      // than that room around it is copied now, because it would keep memory that is not counted.
      const isRoomy = body.buffer.byteLength > body.byteLength + HEAD_ROOM_BYTES;
      const own = isRoomy ? withHeadRoom(body) : body;
      const keptAt = isAttached === undefined ? 0 : ticks();
      objects.set(`${bucketId}\n${info.key}`, { object: { info, body: own, epoch }, isUsed: false, keptAt });
    },
    admits,
    admitsNew: (bucketId, info) => hasRoomFor(info) || admits(bucketId, info),
    cachedLookup: (bucketId, key) =>
      isAttached?.() === false ? undefined : lookups.get(`${bucketId}\n${key}`, ticks()),
    cacheLookup(bucketId, key, result, readAt) {
      const id = `${bucketId}\n${key}`;
      if (readAt === cacheRevision) lookups.set(id, result, { now: ticks(), ttlMs: LOOKUP_MS });
      else lookups.delete(id);
    },
    drop(bucketId, key) {
      cacheRevision += 1;
      const id = `${bucketId}\n${key}`;
      objects.delete(id);
      lookups.delete(id);
    },
    dropAll() {
      cacheRevision += 1;
      objects.clear();
      lookups = createExpiring(MAX_LOOKUPS);
    },
    cacheRevision: () => cacheRevision,
    scratch: createScratch(),
    chunks: createChunks(),
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
      for (const [key, kept] of [...old.entries()].reverse()) {
        if (kept.object.body.byteLength <= bounds.maxObjectBytes) objects.set(key, kept);
      }
    },
  };
}

function costOf(bodyBytes: number): number {
  return bodyBytes + ENTRY_OVERHEAD_BYTES;
}

/**
 * Keeps the latest `maxNames` names. The returned function records a read of `bytes`. True at the second read of the
 * name, if at most `withinBytes` were read since the first, this read included; the name is then forgotten.
 */
export function createAdmissionFilter(maxNames: number) {
  /** By name: the bytes that had been read before. */
  const seen = new LRUCache<string, number>({ max: maxNames });
  let readBytes = 0;
  return (id: string, bytes: number, withinBytes: number): boolean => {
    readBytes += bytes;
    const at = seen.peek(id);
    const isRepeated = at !== undefined && readBytes - at <= withinBytes;
    if (isRepeated) seen.delete(id);
    else seen.set(id, readBytes);
    return isRepeated;
  };
}
