// Writes to one bucket of a remote store. Each change looks up the remote entry and the queue, decides, and changes
// exactly the version it saw. The caller holds the lock of the key.
import { HuiyuanError } from "../../../core/errors.ts";
import { closeFile, openFile, readInto } from "../../../core/files.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import { decidePut, hasExpired, holdsVersion, raisesEpoch } from "../contract/conditions.ts";
import type { Entry, PurgeOptions, PutCondition, PutResult, Renewal, Tombstone } from "../contract/driver.ts";
import type { ByteSource, RemoteCondition, RemoteEntry } from "../remote/remote.ts";
import type { TierContext } from "./context.ts";
import { conditionFor, createOccupancy } from "./occupancy.ts";
import type { ForeignEntry } from "./reading/foreign.ts";

/** The changes are as in BucketDriver, with the differences described here. `isNoImage`: as for createOccupancy(). */
export function createChanges(context: TierContext, isNoImage: (key: Key, found: ForeignEntry) => Promise<boolean>) {
  const { remote, queue, edge, unconfirmed, isDown, addUpload, unqueue, checkRoom, now } = context;
  const { localOccupant, lookUp, confirmQueued, remoteState, decide } = createOccupancy(context, isNoImage);

  /** Stores an object of the mirror or a migration durably on this disk and queues its upload. */
  async function enqueuePut(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult> {
    const { key } = info;
    const { queued, local } = await localOccupant(key);
    let state: Entry["state"] | undefined = queued === undefined ? local.state : "object";
    if (state === "absent") state = isDown() ? undefined : await remoteState(key);
    const isUnknown = state === undefined;
    const result = decidePut({ state: state ?? "absent", epoch: local.epoch, sha256: undefined }, condition);
    if (result !== "stored") return result;
    checkRoom(body.size);
    const stored = await queue.put(info, body, { when: "absent" });
    if (stored === "stored") {
      if (isUnknown) unconfirmed.add(key);
      addUpload(info);
    }
    return stored;
  }

  /** Stores an upload or a revalidated object in the remote store before it resolves. */
  async function putThrough(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult> {
    const { result, remoteCondition, queued } = await decide(info.key, condition);
    if (result !== "stored") return result;
    const isPut = await withSource(body, (source) =>
      remote.put(info, source, { condition: remoteCondition, isStale: false }),
    );
    if (!isPut) return "exists";
    if (queued !== undefined) await unqueue(queued, "nowhere");
    await edge.replace(info, body, { raisesEpoch: raisesEpoch(condition) });
    return "stored";
  }

  /** The remote store copies by itself. If the source is still queued, its bytes are uploaded from here. */
  async function copy(from: Key, to: ObjectInfo, condition: PutCondition): Promise<PutResult | undefined> {
    const source = await lookUp(from);
    const found =
      source.queued === undefined ? source.remoteEntry : ({ state: "object", info: source.queued } as const);
    if (found.state !== "object" || found.info.hashes.sha256 !== to.hashes.sha256) return undefined;
    const { result, remoteCondition, queued } = await decide(to.key, condition);
    if (result !== "stored") return result;
    const isCopied =
      "version" in found
        ? // Few servers support conditions on the target of a copy, so the lookup just before has to suffice.
          (await remote.copy(from, found.version, to, { isStale: false })) || undefined
        : await putQueued(found.info, to, remoteCondition);
    if (isCopied !== true) return isCopied === undefined ? undefined : "exists";
    if (queued !== undefined) await unqueue(queued, "nowhere");
    await edge.copy(from, to, { raisesEpoch: raisesEpoch(condition) });
    return "stored";
  }

  /** Puts the bytes of a queued object under the description `to`; undefined if the object is no longer queued. */
  async function putQueued(
    source: ObjectInfo,
    to: ObjectInfo,
    condition: RemoteCondition,
    isStale = false,
  ): Promise<boolean | undefined> {
    const reader = await queue.open(source);
    if (reader === undefined) return undefined;
    try {
      const bytes = { size: to.size, hashes: to.hashes, read: reader.read };
      return await remote.put(to, bytes, { condition, isStale });
    } finally {
      reader.close();
    }
  }

  async function renew(key: Key, renewal: Renewal): Promise<boolean> {
    const { queued, local } = await localOccupant(key);
    const remoteEntry = queued === undefined ? await remote.head(key) : undefined;
    const info = queued ?? (remoteEntry?.state === "object" ? remoteEntry.info : undefined);
    if (info === undefined) return false;
    const { hashes, provenance } = info;
    const occupant = { state: "object", epoch: local.epoch, sha256: hashes.sha256, via: provenance.via } as const;
    if (!holdsVersion(occupant, renewal)) return false;
    if (queued !== undefined) return queue.renew(key, { ...renewal, epoch: (await queue.lookup(key)).epoch });
    const { originEtag, originLastModified, validated, staysStale = false } = renewal;
    const renewed = { ...info, provenance: { ...provenance, originEtag, originLastModified, validated } };
    const { version, isStale } = remoteEntry?.state === "object" ? remoteEntry : { version: "", isStale: false };
    // A copy onto itself changes the description without a transfer of bytes.
    if (!(await remote.copy(key, version, renewed, { isStale: isStale && staysStale }))) return false;
    await edge.driver.renew(key, renewal);
    return true;
  }

  /** False: another writer has changed the object since the lookup. */
  async function removeObject(key: Key, remoteEntry: RemoteEntry, queued: ObjectInfo | undefined): Promise<boolean> {
    if (remoteEntry.state === "object" && !(await remote.removeVersion(key, remoteEntry.version))) return false;
    if (queued !== undefined) await unqueue(queued, "nowhere");
    return true;
  }

  /** Writes the stale flag to the remote store too, because it must outlive the copy on this disk. */
  async function markStale(key: Key, remoteEntry: RemoteEntry, queued: ObjectInfo | undefined): Promise<boolean> {
    if (remoteEntry.state === "object")
      await remote.copy(key, remoteEntry.version, remoteEntry.info, { isStale: true });
    if (queued !== undefined) await queue.purge(key, { hard: false });
    return true;
  }

  /** True if an object of the mirror was there. */
  async function purge(key: Key, options: PurgeOptions, mayRetry = true): Promise<boolean> {
    const { hard, only } = options;
    const { queued, local, remoteEntry } = await lookUp(key);
    const object = queued ?? (remoteEntry.state === "object" ? remoteEntry.info : undefined);
    const via = object?.provenance.via;
    const occupant = { state: "object", epoch: local.epoch, sha256: object?.hashes.sha256, via } as const;
    if (only !== undefined && !holdsVersion(occupant, only)) return false;
    const isMirrored = via === "mirror";
    const isDone = !isMirrored || (await (hard ? removeObject : markStale)(key, remoteEntry, queued));
    // Another writer may just have put an upload, so look up once more.
    if (!isDone && mayRetry) return purge(key, options, false);
    if (!isDone) throw new HuiyuanError("store_failed", `Cannot purge "${key}": the remote object keeps changing`);
    await edge.driver.purge(key, { hard });
    return isMirrored;
  }

  async function putTombstone(key: Key, tombstone: Tombstone, mayRetry = true): Promise<boolean> {
    const { queued } = await localOccupant(key);
    const remoteEntry = await remote.head(key);
    // Replace only the version that was seen: a request that is carried out late would delete a newer upload.
    if (!(await remote.putTombstone(key, tombstone, conditionFor(remoteEntry)))) {
      if (mayRetry) return putTombstone(key, tombstone, false);
      throw new HuiyuanError("store_failed", `Cannot delete "${key}": the remote object keeps changing`);
    }
    if (queued !== undefined) await unqueue(queued, "nowhere");
    await edge.driver.delete(key, tombstone);
    edge.dropFromIndex(key);
    return (
      queued !== undefined ||
      remoteEntry.state === "object" ||
      (remoteEntry.state === "foreign" && remoteEntry.size > 0)
    );
  }

  async function undelete(key: Key): Promise<boolean> {
    const remoteEntry = await remote.head(key);
    const isDeleted = remoteEntry.state === "tombstone" && !hasExpired(remoteEntry, now());
    const isLifted = isDeleted && (await remote.removeVersion(key, remoteEntry.version));
    await edge.driver.undelete(key);
    return isLifted;
  }

  /** Uploads a queued object to the remote store. Throws store_failed, store_full; the object then stays queued. */
  async function upload(key: Key): Promise<void> {
    const queued = await queue.lookup(key);
    if (queued.state !== "object") return;
    const { info, isStale } = queued;
    const isPut = await putQueued(info, info, { when: "absent" }, isStale);
    if (isPut === undefined) return;
    if (isPut) return unqueue(info, "edge");
    const remoteEntry = await remote.head(key);
    if (!(await confirmQueued(info, remoteEntry))) return;
    if ((await putQueued(info, info, conditionFor(remoteEntry), isStale)) === true) return unqueue(info, "edge");
    throw new HuiyuanError("store_failed", `Cannot upload "${key}": the remote object keeps changing`);
  }

  return {
    enqueuePut,
    putThrough,
    copy,
    delete: (key: Key, tombstone: Tombstone) => putTombstone(key, tombstone),
    undelete,
    renew,
    purge,
    upload,
  };
}

/** Opens the body for `run` and closes it afterwards. Throws store_failed if its file cannot be read. */
async function withSource<Result>(body: WholeBody, run: (source: ByteSource) => Promise<Result>): Promise<Result> {
  const { size, hashes, content } = body;
  if (content.kind === "buffer") {
    const { buffer } = content;
    return run({ size, hashes, read: async (start, end) => buffer.subarray(start, end + 1) });
  }
  const failed = (cause: unknown) =>
    new HuiyuanError("store_failed", `Cannot read "${content.path}": ${String(cause)}`, { cause });
  const descriptor = await openFile(content.path, "r").catch((error: unknown) => {
    throw failed(error);
  });
  try {
    return await run({
      size,
      hashes,
      async read(start, end) {
        const bytes = Buffer.allocUnsafe(end - start + 1);
        if ((await readInto(descriptor, bytes, start)) < bytes.length) throw failed("the file is too short");
        return bytes;
      },
    });
  } finally {
    closeFile(descriptor);
  }
}
