// One bucket that lies in a remote store, with this disk before it. On the disk: a queue of what the mirror brought and is
// not there yet, copies of what is there (`edge`), tombstones, and the epochs, which are this server's own. The remote store
// is the authority, except for what is queued. It is long since every change is in here, and each minds all of them.
import type { WholeBody } from "../../body/spool.ts";
import type { SpoolPool } from "../../body/spool-pool.ts";
import { HuiyuanError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Key, ObjectInfo } from "../../object.ts";
import { decidePut, hasExpired, mayRenew, raisesEpoch } from "../conditions.ts";
import type { BucketDriver, Entry, ObjectReader, OpenOptions, PutCondition, PutResult, Renewal } from "../driver.ts";
import type { RemoteBucket, RemoteCondition, RemoteEntry } from "../remote.ts";
import { createDamagedObjects } from "./damaged.ts";
import { createDownloads } from "./download.ts";
import type { Edge } from "./edge.ts";
import { isSameForeign } from "./foreign.ts";
import type { KeyLocks } from "./key-locks.ts";
import { listMerged } from "./listing.ts";
import { createLooks } from "./look.ts";
import { readerSource, withSource } from "./sources.ts";
import type { Uploads } from "./uploads.ts";

export interface TieredBucketParts {
  readonly id: string;
  readonly remote: RemoteBucket;
  /** What waits on this disk; its rows come and go without epochs. */
  readonly queue: BucketDriver;
  readonly edge: Edge;
  readonly isDown: () => boolean;
  readonly locks: KeyLocks;
  readonly uploads: Uploads;
  /** Lets go of a queued object, or makes it an edge copy. */
  readonly unqueue: (info: ObjectInfo, to: "edge" | "nowhere") => Promise<void>;
  /** Throws store_full when so many more bytes may not wait. */
  readonly checkRoom: (bytes: number) => void;
  readonly spools: SpoolPool;
  /** An object is not what this server said it is: memory must let go of it. */
  readonly changed: (key: Key) => void;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

export interface TieredBucket extends BucketDriver {
  /** An earlier run has queued it, perhaps while the remote store could not be asked. */
  doubt(key: Key): void;
  /** Brings a queued object to the remote store. Throws store_failed, store_full: it stays queued. */
  upload(key: Key): Promise<void>;
}

/** Copies that are compared behind an answer at the same time. */
const MAX_CHECKING = 16;

export function createTieredBucket(parts: TieredBucketParts): TieredBucket {
  const { id, remote, queue, edge, isDown, locks, uploads, checkRoom, spools, changed, log, now } = parts;
  /** Rises with every change of what is in the remote store: bytes that were asked for before one are not kept after it. */
  let generation = 0;
  const checking = new Set<Key>();
  /** Queued while the remote store could not be asked: it may have others, or tombstones. No more than are queued. */
  const unsure = new Set<Key>();
  const damaged = createDamagedObjects(now);

  const downloads = createDownloads({
    remote,
    spools,
    maxKeptBytes: () => edge.maxCopyBytes(),
    generation: () => generation,
    keep: keepCopy,
    damaged(info, version) {
      log.error({ bucket: id, key: info.key, sha256: info.hashes.sha256 }, "an object in S3 is damaged");
      damaged.note(info.key, version);
    },
  });
  const looks = createLooks({
    remote,
    spools,
    damaged,
    maxKeptBytes: () => edge.maxCopyBytes(),
    keep() {
      const readAt = generation;
      return (info, body) => keepCopy(info, body, readAt);
    },
    liftTombstone: (key) => alone(key, () => edge.driver.undelete(key)),
    now,
  });

  async function unqueue(info: ObjectInfo, to: "edge" | "nowhere"): Promise<void> {
    await parts.unqueue(info, to);
    unsure.delete(info.key);
  }

  const alone = <Result>(key: Key, run: () => Promise<Result>) => locks.hold([`${id}\n${key}`], run);

  /** A copy of what was read from the remote store, unless something has changed since `readAt`. */
  async function keepCopy(info: ObjectInfo, body: WholeBody, readAt: number): Promise<void> {
    damaged.forget(info.key, looks.versionOf(info) ?? "");
    if (looks.isStale(info)) return;
    await alone(info.key, async () => {
      if (readAt !== generation || (await queue.lookup(info.key)).state === "object") return;
      await edge.put(info, body, { when: "absent" });
    }).catch((error: unknown) => log.debug({ bucket: id, key: info.key, err: error }, "no copy was kept on this disk"));
  }

  /** A change of the remote store, alone with its keys. */
  function changing<Result>(keys: readonly Key[], change: () => Promise<Result>): Promise<Result> {
    const names = [...new Set(keys)].map((key) => `${id}\n${key}`);
    return locks.hold(names, async () => {
      try {
        return await change();
      } finally {
        generation += 1;
      }
    });
  }

  /** Compares a copy with the remote store, behind the answer that is made of it. */
  function checkBehind(info: ObjectInfo): void {
    const { key } = info;
    if (isDown() || checking.has(key) || checking.size >= MAX_CHECKING) return;
    checking.add(key);
    void check(info)
      .catch((error: unknown) => log.debug({ bucket: id, key, err: error }, "a copy could not be compared"))
      .finally(() => checking.delete(key));
  }

  async function check(info: ObjectInfo): Promise<void> {
    const { key } = info;
    await alone(key, async () => {
      const found = await remote.head(key);
      const isSame =
        found.state === "object"
          ? found.info.hashes.sha256 === info.hashes.sha256
          : found.state === "foreign" && isSameForeign(info, found);
      if (isSame) return edge.trust(key);
      const kept = await edge.driver.lookup(key);
      if (kept.state !== "object" || kept.info.hashes.sha256 !== info.hashes.sha256) return;
      await edge.forget(info);
      changed(key);
      log.info({ bucket: id, key, found: found.state }, "a copy was dropped: the object has changed in S3");
    });
  }

  async function occupantHere(key: Key): Promise<{ queued: ObjectInfo | undefined; kept: Entry }> {
    const queued = await queue.lookup(key);
    return { queued: queued.state === "object" ? queued.info : undefined, kept: await edge.driver.lookup(key) };
  }

  /** What this disk knows. The queue first: an object that arrives meanwhile is found in the edge then. */
  async function entryHere(key: Key): Promise<Entry> {
    const queued = await queue.lookup(key);
    const kept = await edge.driver.lookup(key);
    return queued.state === "object" ? { ...queued, epoch: kept.epoch, isQueued: true } : kept;
  }

  /** What the mirror or a migration brought: durable on this disk, then queued. */
  async function putLater(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult> {
    const { key } = info;
    const { queued, kept } = await occupantHere(key);
    let state: Entry["state"] | undefined = queued === undefined ? kept.state : "object";
    if (state === "absent") state = isDown() ? undefined : await stateThere(key);
    const isUnsure = state === undefined;
    const result = decidePut({ state: state ?? "absent", epoch: kept.epoch, sha256: undefined }, condition);
    if (result !== "stored") return result;
    checkRoom(body.size);
    const stored = await queue.put(info, body, { when: "absent" });
    if (stored === "stored") {
      if (isUnsure) unsure.add(key);
      downloads.learn(body);
      uploads.add({ bucketId: id, key, size: info.size, since: now() });
    }
    return stored;
  }

  /**
   * For a put when absent: damaged objects of the mirror, and what has no bytes and no meaning, may be replaced. Undefined: it
   * could not be found out.
   */
  async function stateThere(key: Key): Promise<Entry["state"] | undefined> {
    // The upload asks again, with a condition; now it only spares the way.
    const found = await remote.head(key).catch(() => undefined);
    if (found === undefined) return undefined;
    if (isReplaceable(key, found)) return "absent";
    return found.state === "tombstone" ? "tombstone" : "object";
  }

  function isReplaceable(key: Key, found: RemoteEntry): boolean {
    if (found.state === "absent") return true;
    if (found.state === "foreign") return found.size === 0;
    if (found.state === "tombstone") return hasExpired(found, now());
    return found.info.provenance.via === "mirror" && damaged.has(key, found.version);
  }

  /** Whether a change that goes to the remote store at once may happen, and over what. */
  async function decide(key: Key, condition: PutCondition) {
    const { queued, kept } = await occupantHere(key);
    if (condition.when === "always") return { result: "stored", over: condition, queued } as const;
    const there = await remote.head(key);
    const object = queued ?? (there.state === "object" ? there.info : undefined);
    const isOccupied = object !== undefined || !isReplaceable(key, there);
    const state = !isOccupied ? "absent" : there.state === "tombstone" && object === undefined ? "tombstone" : "object";
    const result = decidePut({ state, epoch: kept.epoch, sha256: object?.hashes.sha256 }, condition);
    return { result, over: overOf(there), queued } as const;
  }

  /** An upload or a refresh: in the remote store when it resolves. */
  async function putNow(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult> {
    const { result, over, queued } = await decide(info.key, condition);
    if (result !== "stored") return result;
    const isPut = await withSource(body, (source) => remote.put(info, source, { condition: over, isStale: false }));
    if (!isPut) return "exists";
    downloads.learn(body);
    if (queued !== undefined) await unqueue(queued, "nowhere");
    await edge.replace(info, body, { raisesEpoch: raisesEpoch(condition) });
    return "stored";
  }

  /** The remote store moves the bytes by itself; of what is still queued they go from here. */
  async function copy(from: Key, to: ObjectInfo, condition: PutCondition): Promise<PutResult | undefined> {
    const source = await queue.lookup(from);
    const found = source.state === "object" ? source : await remote.head(from);
    if (found.state !== "object" || found.info.hashes.sha256 !== to.hashes.sha256) return undefined;
    const { result, over, queued } = await decide(to.key, condition);
    if (result !== "stored") return result;
    const isCopied =
      "version" in found
        ? // Few servers know conditions on the target of a copy: the look just before must do.
          (await remote.copy(from, found.version, to, { isStale: false })) || undefined
        : await putQueued(found.info, to, over);
    if (isCopied !== true) return isCopied === undefined ? undefined : "exists";
    if (queued !== undefined) await unqueue(queued, "nowhere");
    await edge.copy(from, to, { raisesEpoch: raisesEpoch(condition) });
    return "stored";
  }

  /** The bytes of a queued object under a description; undefined when it is not there any more. */
  async function putQueued(
    source: ObjectInfo,
    to: ObjectInfo,
    condition: RemoteCondition,
    isStale = false,
  ): Promise<boolean | undefined> {
    const reader = await queue.open(source);
    if (reader === undefined) return undefined;
    try {
      return await remote.put(to, readerSource(to, reader), { condition, isStale });
    } finally {
      reader.close();
    }
  }

  async function renew(key: Key, renewal: Renewal): Promise<boolean> {
    const { queued, kept } = await occupantHere(key);
    const there = queued === undefined ? await remote.head(key) : undefined;
    const info = queued ?? (there?.state === "object" ? there.info : undefined);
    if (info === undefined) return false;
    const { hashes, provenance } = info;
    const occupant = { state: "object", epoch: kept.epoch, sha256: hashes.sha256, via: provenance.via } as const;
    if (!mayRenew(occupant, renewal)) return false;
    if (queued !== undefined) return queue.renew(key, { ...renewal, epoch: (await queue.lookup(key)).epoch });
    const { originEtag, originLastModified, validated } = renewal;
    const renewed = { ...info, provenance: { ...provenance, originEtag, originLastModified, validated } };
    const version = there?.state === "object" ? there.version : "";
    // The same bytes with another description, moved by nobody.
    if (!(await remote.copy(key, version, renewed, { isStale: false }))) return false;
    await edge.driver.renew(key, renewal);
    return true;
  }

  /** False: another writer has changed what was found. */
  async function takeAway(key: Key, there: RemoteEntry, queued: ObjectInfo | undefined): Promise<boolean> {
    if (there.state === "object" && !(await remote.clear(key, there.version))) return false;
    if (queued !== undefined) await unqueue(queued, "nowhere");
    return true;
  }

  /** The same bytes with another description: the mark must outlive the copy on this disk. */
  async function markStale(key: Key, there: RemoteEntry, queued: ObjectInfo | undefined): Promise<boolean> {
    if (there.state === "object") await remote.copy(key, there.version, there.info, { isStale: true });
    if (queued !== undefined) await queue.purge(key, { hard: false });
    return true;
  }

  async function purge(key: Key, hard: boolean, mayRepeat = true): Promise<boolean> {
    const { queued } = await occupantHere(key);
    const there = await remote.head(key);
    const object = queued ?? (there.state === "object" ? there.info : undefined);
    const isMirrored = object?.provenance.via === "mirror";
    const isDone = !isMirrored || (await (hard ? takeAway : markStale)(key, there, queued));
    // What another writer has just put may be no mirror's.
    if (!isDone && mayRepeat) return purge(key, hard, false);
    if (!isDone) throw new HuiyuanError("store_failed", `Cannot purge "${key}": what is there keeps changing`);
    await edge.driver.purge(key, { hard });
    return isMirrored;
  }

  async function openNear(info: ObjectInfo, options?: OpenOptions): Promise<ObjectReader | undefined> {
    return (await queue.open(info, options)) ?? edge.driver.open(info, options);
  }

  /** The version that the remote store has it under; undefined: it has another object. */
  async function versionThere(info: ObjectInfo): Promise<string | undefined> {
    const version = looks.versionOf(info);
    if (version !== undefined) return version;
    const found = await remote.head(info.key);
    if (found.state !== "object" || found.info.hashes.sha256 !== info.hashes.sha256) return undefined;
    if (found.isStale) looks.markStale(info);
    return found.version;
  }

  return {
    async lookup(key) {
      const kept = await entryHere(key);
      if (kept.state === "object") {
        if (kept.isQueued !== true && !edge.isTrusted(key)) checkBehind(kept.info);
        return kept;
      }
      if (kept.state === "tombstone" && isDown()) return kept;
      const found = await looks.entry(key, kept);
      if (found.state !== "absent") return found;
      // What has come to this disk while the remote store was asked, which it could not know.
      const since = await entryHere(key);
      return since.state === "absent" ? found : since;
    },
    isUnsure: (key) => unsure.has(key),
    async open(info, options) {
      const near = await openNear(info, options);
      if (near !== undefined) return near;
      const version = await versionThere(info);
      return version === undefined ? undefined : downloads.open(info, version);
    },
    async bring(info) {
      const near = await openNear(info, { mayBeReplaced: true });
      near?.close();
      const version = near === undefined ? await versionThere(info) : undefined;
      return version === undefined ? undefined : downloads.bring(info, version);
    },
    put: (info, body, condition) =>
      condition.when === "absent"
        ? alone(info.key, () => putLater(info, body, condition))
        : changing([info.key], () => putNow(info, body, condition)),
    copy: (from, to, condition) => changing([from, to.key], () => copy(from, to, condition)),
    delete: (key, tombstone) =>
      changing([key], async () => {
        const { queued } = await occupantHere(key);
        const there = await remote.head(key);
        await remote.bury(key, tombstone);
        if (queued !== undefined) await unqueue(queued, "nowhere");
        await edge.driver.delete(key, tombstone);
        edge.dropped(key);
        return queued !== undefined || there.state === "object" || (there.state === "foreign" && there.size > 0);
      }),
    undelete: (key) =>
      alone(key, async () => {
        const there = await remote.head(key);
        const isDeleted = there.state === "tombstone" && !hasExpired(there, now());
        const isLifted = isDeleted && (await remote.clear(key, there.version));
        await edge.driver.undelete(key);
        return isLifted;
      }),
    renew: (key, renewal) => changing([key], () => renew(key, renewal)),
    purge: (key, { hard }) => changing([key], () => purge(key, hard)),
    findBySha1: async (sha1) => (await queue.findBySha1(sha1)) ?? edge.driver.findBySha1(sha1),
    list: (options) => listMerged(options, { remote, queue, edge: edge.driver }),
    async usage() {
      // S3 keeps no sums: this walks the listing, 1,000 names a request.
      let { objects, bytes } = await queue.usage();
      for (let after: Key | undefined, isEnd = false; !isEnd; ) {
        const page = await remote.list({ prefix: "", after, limit: 1_000 });
        for (const { key, size } of page.names) {
          if ((await queue.lookup(key)).state === "object") continue;
          objects += 1;
          bytes += size;
        }
        after = page.names.at(-1)?.key;
        isEnd = page.isEnd || after === undefined;
      }
      return { objects, bytes };
    },
    doubt: (key) => void unsure.add(key),
    upload: (key) => alone(key, () => upload(key)),
  };

  async function upload(key: Key): Promise<void> {
    const queued = await queue.lookup(key);
    if (queued.state !== "object") return;
    const { info, isStale } = queued;
    const isPut = await putQueued(info, info, { when: "absent" }, isStale);
    if (isPut === undefined) return;
    if (isPut) return unqueue(info, "edge");
    const there = await remote.head(key);
    if (isReplaceable(key, there)) {
      if ((await putQueued(info, info, overOf(there), isStale)) === true) return unqueue(info, "edge");
      throw new HuiyuanError("store_failed", `Cannot upload "${key}": what is there keeps changing`);
    }
    if (there.state === "object" && there.info.hashes.sha256 === info.hashes.sha256) return unqueue(info, "edge");
    log.info({ bucket: id, key, found: there.state }, "not uploaded: another writer was there first");
    await unqueue(info, "nowhere");
    changed(key);
  }
}

/** Over exactly what was found. */
function overOf(found: RemoteEntry): RemoteCondition {
  return found.state === "absent" ? { when: "absent" } : { when: "version", version: found.version };
}
