// What changes one bucket of a remote store: each change looks at what is there and what is queued here, decides, and makes the
// change over exactly what was seen. Whoever calls sees to it that a key has one change at a time.
import type { WholeBody } from "../../body/spool/spool.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import { decidePut, hasExpired, holdsVersion, raisesEpoch } from "../contract/conditions.ts";
import type {
  BucketDriver,
  Entry,
  PurgeOptions,
  PutCondition,
  PutResult,
  Renewal,
  Tombstone,
} from "../contract/driver.ts";
import type { RemoteBucket, RemoteCondition, RemoteEntry } from "../remote/remote.ts";
import type { Edge } from "./disk/edge.ts";
import type { DamagedObjects } from "./reading/damaged.ts";
import type { ForeignEntry } from "./reading/foreign.ts";
import { readerSource, withSource } from "./sources.ts";
import type { Uploads } from "./uploads.ts";

export interface ChangesParts {
  readonly id: string;
  readonly remote: RemoteBucket;
  readonly queue: BucketDriver;
  readonly edge: Edge;
  readonly damaged: DamagedObjects;
  /** Queued while the remote store could not be asked. */
  readonly unsure: Set<Key>;
  readonly isDown: () => boolean;
  /** Of an object of another tool. Throws store_failed, store_full. */
  readonly isNoImage: (key: Key, found: ForeignEntry) => Promise<boolean>;
  readonly uploads: Uploads;
  /** Lets go of a queued object, or makes it an edge copy. */
  readonly unqueue: (info: ObjectInfo, to: "edge" | "nowhere") => Promise<void>;
  /** Throws store_full when so many more bytes may not wait. */
  readonly checkRoom: (bytes: number) => void;
  /** Told of each body that is put. */
  readonly learn: (body: WholeBody) => void;
  /** An object is not what this server said it is: memory must let go of it. */
  readonly changed: (key: Key) => void;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** As in BucketDriver, but for what differs here. */
export interface Changes extends Pick<BucketDriver, "copy" | "delete" | "undelete" | "renew"> {
  /** What the mirror or a migration brought: durable on this disk, then queued. */
  putLater(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult>;
  /** An upload or a refresh: in the remote store when it resolves. */
  putNow(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult>;
  /** Resolves with whether an object of the mirror was there. */
  purge(key: Key, options: PurgeOptions): Promise<boolean>;
  /** Brings a queued object to the remote store. Throws store_failed, store_full: it stays queued. */
  upload(key: Key): Promise<void>;
}

export function createChanges(parts: ChangesParts): Changes {
  const { id, remote, queue, edge, damaged, unsure, isDown, isNoImage, uploads, checkRoom, learn, changed, log, now } =
    parts;

  async function unqueue(info: ObjectInfo, to: "edge" | "nowhere"): Promise<void> {
    await parts.unqueue(info, to);
    unsure.delete(info.key);
  }

  async function occupantHere(key: Key): Promise<{ queued: ObjectInfo | undefined; kept: Entry }> {
    const queued = await queue.lookup(key);
    return { queued: queued.state === "object" ? queued.info : undefined, kept: await edge.driver.lookup(key) };
  }

  /** What waits here and what is there. What would not be uploaded over it waits no more, and is of no account. */
  async function look(key: Key) {
    const { queued, kept } = await occupantHere(key);
    const there = await remote.head(key);
    const isWaiting = queued !== undefined && (await staysQueued(queued, there));
    return { queued: isWaiting ? queued : undefined, kept, there };
  }

  /** Whether what is queued may go over what is there; else another writer was there first, and it is let go. */
  async function staysQueued(info: ObjectInfo, there: RemoteEntry): Promise<boolean> {
    const { key, hashes, provenance } = info;
    if (isReplaceable(key, there)) return true;
    const found = there.state === "object" ? there.info : undefined;
    // The same bytes as an upload are no copy of it: they would be refreshed and purged as the mirror's.
    if (found?.hashes.sha256 === hashes.sha256 && found.provenance.via === provenance.via) {
      await unqueue(info, "edge");
      return false;
    }
    log.info({ bucket: id, key, found: there.state }, "not uploaded: another writer was there first");
    await unqueue(info, "nowhere");
    changed(key);
    return false;
  }

  async function putLater(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult> {
    const { key } = info;
    const { queued, kept } = await occupantHere(key);
    let state: Entry["state"] | undefined = queued === undefined ? kept.state : "object";
    if (state === "absent") state = isDown() ? undefined : await stateThere(key);
    const isUnknown = state === undefined;
    const result = decidePut({ state: state ?? "absent", epoch: kept.epoch, sha256: undefined }, condition);
    if (result !== "stored") return result;
    checkRoom(body.size);
    const stored = await queue.put(info, body, { when: "absent" });
    if (stored === "stored") {
      if (isUnknown) unsure.add(key);
      learn(body);
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

  /** What another tool put and nobody is served: it is not in the way of an upload. */
  async function isRubbish(key: Key, there: RemoteEntry, kept: Entry): Promise<boolean> {
    return there.state === "foreign" && kept.state !== "object" && isNoImage(key, there);
  }

  /** Whether a change that goes to the remote store at once may happen, and over what. */
  async function decide(key: Key, condition: PutCondition) {
    if (condition.when === "always") {
      return { result: "stored", over: condition, queued: (await occupantHere(key)).queued } as const;
    }
    const { queued, kept, there } = await look(key);
    const object = queued ?? (there.state === "object" ? there.info : undefined);
    const isFree = isReplaceable(key, there) || (condition.when === "vacant" && (await isRubbish(key, there, kept)));
    const isOccupied = object !== undefined || !isFree;
    const state = !isOccupied ? "absent" : there.state === "tombstone" && object === undefined ? "tombstone" : "object";
    const result = decidePut({ state, epoch: kept.epoch, sha256: object?.hashes.sha256 }, condition);
    // Over an entity tag the mirror puts, over what is its own: another server's upload of the same bytes has raised no epoch here.
    const isAnothers = condition.when === "etag" && object?.provenance.via !== "mirror";
    return { result: result === "stored" && isAnothers ? "exists" : result, over: overOf(there), queued } as const;
  }

  async function putNow(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult> {
    const { result, over, queued } = await decide(info.key, condition);
    if (result !== "stored") return result;
    const isPut = await withSource(body, (source) => remote.put(info, source, { condition: over, isStale: false }));
    if (!isPut) return "exists";
    learn(body);
    if (queued !== undefined) await unqueue(queued, "nowhere");
    await edge.replace(info, body, { raisesEpoch: raisesEpoch(condition) });
    return "stored";
  }

  /** The remote store moves the bytes by itself; of what is still queued they go from here. */
  async function copy(from: Key, to: ObjectInfo, condition: PutCondition): Promise<PutResult | undefined> {
    const source = await look(from);
    const found = source.queued === undefined ? source.there : ({ state: "object", info: source.queued } as const);
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
    if (!holdsVersion(occupant, renewal)) return false;
    if (queued !== undefined) return queue.renew(key, { ...renewal, epoch: (await queue.lookup(key)).epoch });
    const { originEtag, originLastModified, validated, staysStale = false } = renewal;
    const renewed = { ...info, provenance: { ...provenance, originEtag, originLastModified, validated } };
    const { version, isStale } = there?.state === "object" ? there : { version: "", isStale: false };
    // The same bytes with another description, moved by nobody.
    if (!(await remote.copy(key, version, renewed, { isStale: isStale && staysStale }))) return false;
    await edge.driver.renew(key, renewal);
    return true;
  }

  /** False: another writer has changed what was found. */
  async function takeAway(key: Key, there: RemoteEntry, queued: ObjectInfo | undefined): Promise<boolean> {
    if (there.state === "object" && !(await remote.removeTombstone(key, there.version))) return false;
    if (queued !== undefined) await unqueue(queued, "nowhere");
    return true;
  }

  /** The same bytes with another description: the mark must outlive the copy on this disk. */
  async function markStale(key: Key, there: RemoteEntry, queued: ObjectInfo | undefined): Promise<boolean> {
    if (there.state === "object") await remote.copy(key, there.version, there.info, { isStale: true });
    if (queued !== undefined) await queue.purge(key, { hard: false });
    return true;
  }

  async function purge(key: Key, options: PurgeOptions, mayRepeat = true): Promise<boolean> {
    const { hard, only } = options;
    const { queued, kept, there } = await look(key);
    const object = queued ?? (there.state === "object" ? there.info : undefined);
    const via = object?.provenance.via;
    const occupant = { state: "object", epoch: kept.epoch, sha256: object?.hashes.sha256, via } as const;
    if (only !== undefined && !holdsVersion(occupant, only)) return false;
    const isMirrored = via === "mirror";
    const isDone = !isMirrored || (await (hard ? takeAway : markStale)(key, there, queued));
    // What another writer has just put may be no mirror's.
    if (!isDone && mayRepeat) return purge(key, options, false);
    if (!isDone) throw new HuiyuanError("store_failed", `Cannot purge "${key}": what is there keeps changing`);
    await edge.driver.purge(key, { hard });
    return isMirrored;
  }

  async function putTombstone(key: Key, tombstone: Tombstone, mayRepeat = true): Promise<boolean> {
    const { queued } = await occupantHere(key);
    const there = await remote.head(key);
    // Over what was seen only: a request that is carried out late would bury what was uploaded since.
    if (!(await remote.putTombstone(key, tombstone, overOf(there)))) {
      if (mayRepeat) return putTombstone(key, tombstone, false);
      throw new HuiyuanError("store_failed", `Cannot delete "${key}": what is there keeps changing`);
    }
    if (queued !== undefined) await unqueue(queued, "nowhere");
    await edge.driver.delete(key, tombstone);
    edge.dropped(key);
    return queued !== undefined || there.state === "object" || (there.state === "foreign" && there.size > 0);
  }

  async function undelete(key: Key): Promise<boolean> {
    const there = await remote.head(key);
    const isDeleted = there.state === "tombstone" && !hasExpired(there, now());
    const isLifted = isDeleted && (await remote.removeTombstone(key, there.version));
    await edge.driver.undelete(key);
    return isLifted;
  }

  async function upload(key: Key): Promise<void> {
    const queued = await queue.lookup(key);
    if (queued.state !== "object") return;
    const { info, isStale } = queued;
    const isPut = await putQueued(info, info, { when: "absent" }, isStale);
    if (isPut === undefined) return;
    if (isPut) return unqueue(info, "edge");
    const there = await remote.head(key);
    if (!(await staysQueued(info, there))) return;
    if ((await putQueued(info, info, overOf(there), isStale)) === true) return unqueue(info, "edge");
    throw new HuiyuanError("store_failed", `Cannot upload "${key}": what is there keeps changing`);
  }

  return {
    putLater,
    putNow,
    copy,
    delete: (key, tombstone) => putTombstone(key, tombstone),
    undelete,
    renew,
    purge,
    upload,
  };
}

/** Over exactly what was found. */
function overOf(found: RemoteEntry): RemoteCondition {
  return found.state === "absent" ? { when: "absent" } : { when: "version", version: found.version };
}
