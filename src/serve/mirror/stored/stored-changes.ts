// The changes of one bucket's objects: each passes the bucket, then the memory cache, which must never hold an object
// that the bucket has lost. Reports versions that are gone. It reads no bodies; stored.ts does.

import { HuiyuanError } from "../../../core/errors.ts";
import { etagOf, type Key, type ObjectInfo } from "../../../core/object.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import type { Bucket } from "../../bucket/contract/bucket.ts";
import type { PutCondition, PutResult, Renewal } from "../../bucket/contract/driver.ts";
import type { Withdrawal } from "../policy.ts";
import type { MemoryCache } from "./memory-cache.ts";
import type { PendingWrites } from "./pending-writes.ts";
import { isLater, isVersion, type Version, versionOf } from "./versions.ts";

/** An image that was fetched for this bucket. */
export interface Fetched {
  readonly info: ObjectInfo;
  /** The key's epoch when the fill began. */
  readonly epoch: number;
  /** The version that was stored when the fetch began; it may be replaced, whatever the clock says. */
  readonly replaces?: Version | undefined;
}

export interface StoredChanges {
  /** As in Bucket. */
  put(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult>;
  /**
   * Stores a fetched image if the key is absent, or over an earlier version. In the end the version that the origin
   * sent or confirmed last is stored, whatever the order of the writes. As put(); `exists`: a version that the origin
   * sent or confirmed later is stored, or one that no mirror fetched.
   */
  putFetched(body: WholeBody, fetched: Fetched): Promise<PutResult>;
  /** As in Bucket; also updates the object in memory. */
  renew(key: Key, renewal: Renewal): Promise<boolean>;
  /** These four as in Bucket. When they end, also with an error, memory has dropped the key. */
  copy(from: Key, to: Key, condition: PutCondition): Promise<PutResult | undefined>;
  delete(key: Key, reason: string, forMs?: number): Promise<boolean>;
  undelete(key: Key): Promise<boolean>;
  /** A purge that is not hard throws store_full while the newest version is pending. */
  purge(key: Key, options: { readonly hard: boolean }): Promise<boolean>;
  /**
   * Applies the origin's withdrawal of this version: `gone` removes it, `superseded` makes it stale. False, without a
   * change, if another version is stored, or if the origin has confirmed this one since.
   */
  invalidateVersion(info: ObjectInfo, epoch: number, withdrawal: Withdrawal): Promise<boolean>;
  /**
   * Call it if a version is not stored after all: reports it through OnVersionGone, unless its bytes are
   * stored. Variants of it may exist by now.
   */
  reportRefused(info: ObjectInfo): Promise<void>;
}

/** Called before a change ends that removes, purges or refuses the last version with these bytes; never rejects. */
export type OnVersionGone = (version: ObjectInfo) => Promise<void>;

export function createStoredChanges(parts: {
  readonly bucketId: string;
  readonly bucket: Bucket;
  readonly memoryCache: MemoryCache;
  readonly pendingWrites: PendingWrites;
  readonly onVersionGone: OnVersionGone | undefined;
  /** Resolves once the other nodes know the changes that were made. */
  readonly confirmed: (() => Promise<unknown>) | undefined;
}): StoredChanges {
  const { bucketId, bucket, memoryCache, pendingWrites, onVersionGone, confirmed } = parts;

  /** Variants belong to the bytes, which another key may have too. */
  async function reportGone(version: ObjectInfo): Promise<void> {
    if (onVersionGone !== undefined && !(await bucket.hasTwin(version))) await onVersionGone(version);
  }

  /**
   * Drops the key after the change: what a read cached meanwhile is dropped too, and what it caches later is refused.
   */
  async function applyChange<Result>(key: Key, change: () => Promise<Result>, incoming?: ObjectInfo): Promise<Result> {
    const before = onVersionGone === undefined ? undefined : await bucket.lookup(key);
    let result: Result;
    try {
      result = await change();
    } finally {
      memoryCache.drop(bucketId, key);
    }
    // Only after memory was dropped: a later hit would take the version for one that still exists.
    const version = before?.state === "object" ? before.info : undefined;
    if (version !== undefined && version.hashes.sha256 !== incoming?.hashes.sha256) await reportGone(version);
    // A client that is told of a change must see it on every node. Nobody waits for the images of a mirror.
    if (incoming?.provenance.via !== "mirror") await confirmed?.();
    return result;
  }

  async function replace(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult> {
    const result = await applyChange(info.key, () => bucket.put(info, body, condition), info);
    if (result !== "stored") await reportRefused(info);
    return result;
  }

  async function reportRefused(info: ObjectInfo): Promise<void> {
    const entry = onVersionGone === undefined ? undefined : await bucket.lookup(info.key);
    if (entry === undefined || (entry.state === "object" && entry.info.hashes.sha256 === info.hashes.sha256)) return;
    await reportGone(info);
  }

  /** Stores the pending image of the key, if there is one. True if the store refuses it. */
  async function isPending(key: Key): Promise<boolean> {
    const write = pendingWrites.find(key);
    await write?.tryNow();
    return write !== undefined && pendingWrites.has(write) && write.epoch >= (await bucket.lookup(key)).epoch;
  }

  /**
   * Under this condition the epoch of the object is known, so that memory may keep it. `fetched`: may replace an
   * earlier version.
   */
  async function putIfAbsent(info: ObjectInfo, body: WholeBody, epoch: number, fetched?: Fetched): Promise<PutResult> {
    const cacheRevision = memoryCache.cacheRevision();
    const result = await bucket.put(info, body, { when: "absent", epoch });
    if (result === "exists" && fetched !== undefined) return replaceEarlier(body, fetched);
    if (result !== "stored") {
      await reportRefused(info);
      return result;
    }
    // A remote store that did not answer may have another object, which will win.
    const entry = bucket.isRemote === true ? await bucket.lookup(info.key) : undefined;
    if (entry?.state === "object" && entry.certainty === "unknown") return result;
    if (memoryCache.cachedLookup(bucketId, info.key) !== undefined)
      memoryCache.cacheLookup(bucketId, info.key, { info, epoch }, cacheRevision);
    if (body.content.kind === "buffer" && memoryCache.admitsNew(bucketId, info))
      memoryCache.set(bucketId, { info, body: body.content.buffer, epoch }, cacheRevision);
    return result;
  }

  async function replaceEarlier(body: WholeBody, { info, epoch, replaces }: Fetched): Promise<PutResult> {
    const entry = await bucket.lookup(info.key);
    if (entry.state !== "object") return putIfAbsent(info, body, epoch);
    const there = entry.info;
    const mayReplace = isLater(info, there) || (replaces !== undefined && isVersion(there, replaces));
    if (mayReplace && there.hashes.sha256 !== info.hashes.sha256)
      return replace(info, body, { when: "etag", etag: etagOf(there.hashes), epoch });
    await reportRefused(info);
    return "exists";
  }

  return {
    put(info, body, condition) {
      const epoch = condition.when === "absent" ? condition.epoch : undefined;
      return epoch === undefined ? replace(info, body, condition) : putIfAbsent(info, body, epoch);
    },
    putFetched(body, fetched) {
      const { info, epoch, replaces } = fetched;
      if (replaces !== undefined) return replaceEarlier(body, fetched);
      return putIfAbsent(info, body, epoch, info.isSuspect ? undefined : fetched);
    },
    async renew(key, renewal) {
      if (!(await bucket.renew(key, renewal))) return false;
      const object = memoryCache.get(bucketId, key);
      const known = memoryCache.cachedLookup(bucketId, key);
      const isSame = ({ hashes }: ObjectInfo) => etagOf(hashes) === renewal.etag;
      if (known !== undefined && known !== "absent" && isSame(known.info))
        memoryCache.cacheLookup(
          bucketId,
          key,
          { ...known, info: renewed(known.info, renewal) },
          memoryCache.cacheRevision(),
        );
      if (object !== undefined && isSame(object.info))
        memoryCache.set(bucketId, { ...object, info: renewed(object.info, renewal) }, memoryCache.cacheRevision());
      return true;
    },
    copy: (from, to, condition) => applyChange(to, () => bucket.copy(from, to, condition)),
    delete: (key, reason, forMs) => applyChange(key, () => bucket.delete(key, reason, forMs)),
    undelete: (key) => applyChange(key, () => bucket.undelete(key)),
    async purge(key, options) {
      // A purged object is served if its revalidation fails: that must be the newest good version, not the one before.
      if (!options.hard && (await isPending(key))) throw purgeBlocked(key);
      return applyChange(key, () => bucket.purge(key, options));
    },
    async invalidateVersion(info, epoch, withdrawal) {
      const { key, hashes } = info;
      const entry = await bucket.lookup(key);
      const isSame = entry.state === "object" && isVersion(entry.info, versionOf(info));
      const only = { etag: etagOf(hashes), epoch };
      const change =
        isSame &&
        bucket.purge(key, { hard: withdrawal === "gone", only }).finally(() => memoryCache.drop(bucketId, key));
      const isDone = await change;
      if (withdrawal === "gone" && isDone) await reportGone(info);
      else if (!isSame) await reportRefused(info);
      return isDone;
    },
    reportRefused,
  };
}

function purgeBlocked(key: Key): HuiyuanError {
  const why = "its newest version waits for the store, which refuses it; a hard purge drops it";
  return new HuiyuanError("store_full", `Cannot purge "${key}": ${why}`);
}

function renewed(info: ObjectInfo, { originEtag, originLastModified, validated }: Renewal): ObjectInfo {
  return { ...info, provenance: { ...info.provenance, originEtag, originLastModified, validated } };
}
