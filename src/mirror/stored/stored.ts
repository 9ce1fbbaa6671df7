// A bucket with the memory tier in front of it: what is asked first for every key, and whoever changes an object changes
// it here, so that memory never outlives the bucket. It knows nothing of origins.
import type { Chunks } from "../../body/chunks.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import type { Bucket } from "../../bucket/contract/bucket.ts";
import type { Entry, ObjectReader, PutCondition, PutResult, Renewal } from "../../bucket/contract/driver.ts";
import { withReadDeadline } from "../../bucket/remote/read-deadline.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { etagOf, type Key, type ObjectInfo } from "../../core/object.ts";
import { createPendingWrites, type PendingWrites } from "../storing/pending-writes.ts";
import { createRecoveredWrites, type RecoveredWrites } from "../storing/recovered-writes.ts";
import { type FetchedVersion, isLater, isVersion, versionOf } from "../storing/versions.ts";
import type { CachedObject, MemoryCache } from "./memory-cache.ts";
import { readAll } from "./read-all.ts";
import { createStoredBytes, type StoredBytes } from "./stored-bytes.ts";

/** What is known of an object that was found. */
export interface StoredObject {
  readonly info: ObjectInfo;
  /** Purged: the origin is to be asked for it. Never so in memory. */
  readonly isStale: boolean;
  readonly epoch: number;
  /** As in Entry. */
  readonly isPending?: boolean;
}

/**
 * `loaded`: small, read whole from the bucket; `free`: for whoever has sent the body and knows of nobody else who has it, gives
 * its memory back. `large`: to be read in parts; the caller closes the reader. `failure` and `isTaken` as in Entry.
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

export interface Stored extends StoredBytes {
  /** `<appid>/<bucket>` */
  readonly bucketId: string;
  readonly bucket: Bucket;
  /** For what is read from the bucket to be sent. */
  readonly pieces: Chunks;
  /** From memory only; synchronous, for the hot path. */
  peek(key: Key): CachedObject | undefined;
  /** What is known of the key without asking the bucket: from memory, or a look-up a moment ago. Never a stale object. */
  peekInfo(key: Key): ObjectInfo | "absent" | undefined;
  /** As in Bucket; remembered for a moment. */
  lookup(key: Key): Promise<Entry>;
  /** Throws store_failed; a damaged object is set aside by the store and found absent. */
  find(key: Key): Promise<Found>;
  put(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult>;
  /** What is on its way here. */
  readonly waiting: PendingWrites;
  /** What an earlier run has left for it: look-ups wait for that. */
  readonly recovered: RecoveredWrites;
  /** As in Bucket. What is in memory is renewed with it. */
  renew(key: Key, renewal: Renewal): Promise<boolean>;
  /** These four as in Bucket; a purge that is not hard throws store_full while the newest version waits. Memory has let go of the key when they end, also when they fail. */
  copy(from: Key, to: Key, condition: PutCondition): Promise<PutResult | undefined>;
  delete(key: Key, reason: string, forMs?: number): Promise<boolean>;
  undelete(key: Key): Promise<boolean>;
  purge(key: Key, options: { readonly hard: boolean }): Promise<boolean>;
  /**
   * The origin has taken this version back: it is removed, or is stale from now on. False, and nothing changes, where another one is
   * there, or its origin has been heard of it since.
   */
  undo(info: ObjectInfo, epoch: number, fate: "superseded" | "gone"): Promise<boolean>;
  /** What came is not let in. */
  refused(info: ObjectInfo): Promise<void>;
  /** Whatever a mirror has brought under the key counts as missing until the returned function is called. */
  hide(key: Key): () => void;
}

/** What was found is not there any more. */
const LOOK_AGAIN: ReadonlySet<string> = new Set(["store_corrupt", "original_replaced"]);

export interface StoredHooks {
  /** Told of each version that has left, been purged or come too late, before that change ends; never rejects. */
  readonly gone?: (version: ObjectInfo) => Promise<void>;
  /** Resolves when what is on its way to this key, which clients have already, has been tried: with what is refused, and waits. Never rejects. */
  readonly tried?: (key: Key) => Promise<FetchedVersion | undefined>;
}

/** The tier of one bucket; `hot` is shared by all. */
export function createStored(
  bucketId: string,
  bucket: Bucket,
  memoryCache: MemoryCache,
  { gone, tried }: StoredHooks = {},
): Stored {
  const waiting = createPendingWrites();
  /** Of an earlier run; gone when all is adopted. */
  const recovered = createRecoveredWrites();
  const hidden = new Map<Key, number>();

  async function look(key: Key): Promise<Entry> {
    const entry = await bucket.lookup(key);
    const isHidden = entry.state === "object" && entry.info.provenance.via === "mirror" && hidden.has(key);
    return isHidden ? { state: "absent", epoch: entry.epoch } : entry;
  }

  async function loadFound(
    { info, isStale, epoch, isPending = false }: Extract<Entry, { readonly state: "object" }>,
    reader: ObjectReader,
    generation: number,
  ): Promise<Found> {
    try {
      // Memory hides the mark, and the whole of what it has is served without another look.
      const isStorable = !isStale && !isUnknown(info.key, isPending) && memoryCache.wants(bucketId, info);
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
    if (recovered.size > 0) await recovered.arrived(key);
    const generation = memoryCache.generation;
    const entry = await look(key);
    if (entry.state === "object" && !entry.isStale && !isUnknown(key, entry.isPending))
      memoryCache.note(bucketId, key, { info: entry.info, epoch: entry.epoch }, generation);
    else if (entry.state === "absent" && entry.failure === undefined)
      memoryCache.note(bucketId, key, "absent", generation);
    return entry;
  }

  async function findOnce(key: Key): Promise<Found | "again"> {
    if (recovered.size > 0) await recovered.arrived(key);
    const generation = memoryCache.generation;
    const entry = await look(key);
    if (entry.state === "tombstone") return { state: "tombstone" };
    if (entry.state === "absent") {
      const { epoch, failure, isForeign } = entry;
      return { state: "absent", epoch, failure, isForeign };
    }
    const reader = await bucket.open(entry.info);
    if (reader === undefined) return "again";
    const { size } = entry.info;
    if (size > memoryCache.maxObjectBytes || !memoryCache.pieces.mayBeWhole(size))
      return { ...entry, state: "large", reader };
    try {
      const loading = loadFound(entry, reader, generation);
      return await (reader.proven === undefined ? loading : withReadDeadline(key, loading));
    } catch (error) {
      if (error instanceof HuiyuanError && LOOK_AGAIN.has(error.code)) return "again";
      throw error;
    }
  }

  /** Afterwards, and not before: what a reader brings in meanwhile goes too, and what it brings later is refused. */
  async function changing<Result>(key: Key, change: () => Promise<Result>, comes?: ObjectInfo): Promise<Result> {
    const before = gone === undefined && recovered.size === 0 ? undefined : await bucket.lookup(key);
    let result: Result;
    try {
      result = await change();
    } finally {
      memoryCache.drop(bucketId, key);
    }
    // What was left at another epoch is never stored.
    if (recovered.size > 0 && before?.epoch !== (await bucket.lookup(key)).epoch) recovered.forget(key);
    // And not before memory has let go of it: who found it there later would take it for one that is still to be had.
    const version = before?.state === "object" ? before.info : undefined;
    if (version !== undefined && version.hashes.sha256 !== comes?.hashes.sha256) await gone?.(version);
    return result;
  }

  async function replace(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult> {
    const result = await changing(info.key, () => bucket.put(info, body, condition), info);
    if (result !== "stored") await refused(info);
    return result;
  }

  /** Its key was deleted, purged or written meanwhile, or has a later version: something may have been made of it. */
  async function refused(info: ObjectInfo): Promise<void> {
    const entry = gone === undefined ? undefined : await bucket.lookup(info.key);
    if (entry === undefined || (entry.state === "object" && entry.info.hashes.sha256 === info.hashes.sha256)) return;
    await gone?.(info);
  }

  /** What clients have already is not stored, though it has been tried. */
  async function isHeldUp(key: Key): Promise<boolean> {
    if (recovered.size > 0 && (await recovered.arrived(key))) return true;
    const waits = await tried?.(key);
    if (waits === undefined) return false;
    const entry = await bucket.lookup(key);
    return waits.epoch >= entry.epoch && (entry.state !== "object" || isLater(waits.info, entry.info));
  }

  return {
    bucketId,
    bucket,
    pieces: memoryCache.pieces,
    peek: (key) => memoryCache.get(bucketId, key),
    peekInfo(key) {
      const known = memoryCache.get(bucketId, key) ?? memoryCache.noted(bucketId, key);
      return known === "absent" ? known : known?.info;
    },
    lookup: (key) => lookup(key),
    ...createStoredBytes(bucketId, bucket, memoryCache),
    async find(key) {
      const object = memoryCache.get(bucketId, key);
      if (object !== undefined) return { state: "memory", object };
      // Twice more: a delete, or damage found, may come between the look-up and the opening.
      for (let attempt = 0; attempt < 3; attempt += 1) {
        const found = await findOnce(key);
        if (found !== "again") return found;
      }
      throw new HuiyuanError("store_failed", `Cannot open "${key}": it keeps vanishing between look-up and opening`);
    },
    async put(info, body, condition) {
      const epoch = condition.when === "absent" ? condition.epoch : undefined;
      // Nobody has said at which epoch it lies then, and memory must know.
      if (epoch === undefined) return replace(info, body, condition);
      const generation = memoryCache.generation;
      const result = await bucket.put(info, body, condition);
      if (result !== "stored") {
        await refused(info);
        return result;
      }
      if (bucket.isUnknown(info.key)) return result;
      if (memoryCache.noted(bucketId, info.key) !== undefined)
        memoryCache.note(bucketId, info.key, { info, epoch }, generation);
      if (body.content.kind === "buffer")
        memoryCache.set(bucketId, { info, body: body.content.buffer, epoch }, generation);
      return result;
    },
    waiting,
    recovered,
    async renew(key, renewal) {
      if (!(await bucket.renew(key, renewal))) return false;
      const object = memoryCache.get(bucketId, key);
      const note = memoryCache.noted(bucketId, key);
      const isIt = ({ hashes }: ObjectInfo) => etagOf(hashes) === renewal.etag;
      if (note !== undefined && note !== "absent" && isIt(note.info))
        memoryCache.note(bucketId, key, { ...note, info: renewed(note.info, renewal) }, memoryCache.generation);
      if (object !== undefined && isIt(object.info))
        memoryCache.set(bucketId, { ...object, info: renewed(object.info, renewal) }, memoryCache.generation);
      return true;
    },
    copy: (from, to, condition) => changing(to, () => bucket.copy(from, to, condition)),
    delete: (key, reason, forMs) => changing(key, () => bucket.delete(key, reason, forMs)),
    undelete: (key) => changing(key, () => bucket.undelete(key)),
    async purge(key, options) {
      // It is to be asked for again, and to help out until then: the last good one, not the one before.
      if (!options.hard && (await isHeldUp(key))) throw heldUp(key);
      return changing(key, () => bucket.purge(key, options));
    },
    async undo(info, epoch, fate) {
      const { key, hashes } = info;
      const entry = await bucket.lookup(key);
      const isIt = entry.state === "object" && isVersion(entry.info, versionOf(info));
      const only = { etag: etagOf(hashes), epoch };
      const change =
        isIt && bucket.purge(key, { hard: fate === "gone", only }).finally(() => memoryCache.drop(bucketId, key));
      const isUndone = await change;
      if (fate === "gone" && isUndone) await gone?.(info);
      else if (!isIt) await refused(info);
      return isUndone;
    },
    refused,
    hide(key) {
      hidden.set(key, (hidden.get(key) ?? 0) + 1);
      memoryCache.drop(bucketId, key);
      return () => {
        const others = (hidden.get(key) ?? 1) - 1;
        if (others === 0) hidden.delete(key);
        else hidden.set(key, others);
        // It was noted to be missing.
        memoryCache.drop(bucketId, key);
      };
    },
  };
}

function heldUp(key: Key): HuiyuanError {
  const why = "its newest version waits for the store, which refuses it; a hard purge drops it";
  return new HuiyuanError("store_full", `Cannot purge "${key}": ${why}`);
}

function renewed(info: ObjectInfo, { originEtag, originLastModified, validated }: Renewal): ObjectInfo {
  return { ...info, provenance: { ...info.provenance, originEtag, originLastModified, validated } };
}
