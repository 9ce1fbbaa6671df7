// Writes to one bucket of a remote store. Each change looks up the entries of this disk and of the remote store,
// decides, and changes exactly the version it saw. The caller holds the lock of the key.
import { HuiyuanError } from "../../../core/errors.ts";
import { closeFile, openFile, readInto } from "../../../core/files.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import { decidePut, hasExpired, holdsVersion, raisesEpoch } from "../contract/conditions.ts";
import type { Entry, PurgeOptions, PutCondition, PutResult, Renewal, Tombstone } from "../contract/driver.ts";
import type { ByteSource, RemoteCondition, RemoteEntry } from "../remote/remote.ts";
import type { Comparison } from "./comparison.ts";
import type { TierContext } from "./context.ts";
import { type CurrentEntries, conditionFor } from "./current-entries.ts";
import { pendingIn } from "./disk/edge.ts";

/** The changes are as in BucketDriver, with the differences described here. */
export function createChanges(
  context: TierContext,
  { currentEntries, reconcile, remoteState, decide }: CurrentEntries,
  trustPending: Comparison["trustPending"],
) {
  const { id, remote, edge, marks, coordination, isDown, addUpload, checkRoom, log, now, ticks } = context;

  /** Stores an object of the mirror or a migration durably on this disk. It is pending until it is uploaded. */
  async function putPending(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult> {
    const local = await edge.driver.lookup(info.key);
    const at = ticks();
    let state: Entry["state"] | "outdated" | undefined = local.state;
    if (state === "absent") state = isDown() ? undefined : await remoteState(info);
    if (state === "outdated") return state;
    const result = decidePut({ state: state ?? "absent", epoch: local.epoch, sha256: undefined }, condition);
    if (result !== "stored") return result;
    checkRoom(body.size);
    const stored = await edge.driver.put(info, body, condition, state === undefined ? "unknown" : "pending");
    if (stored !== "stored") return stored;
    if (state !== undefined) trustPending(info.key, at);
    addUpload(info);
    return stored;
  }

  /** Stores an upload or a revalidated object in the remote store before it resolves. */
  async function putThrough(
    info: ObjectInfo,
    body: WholeBody,
    condition: PutCondition,
    mayRetry = true,
  ): Promise<PutResult> {
    const { result, remoteCondition } = await decide(info.key, condition);
    if (result !== "stored") return result;
    const at = ticks();
    const isPut = await withSource(body, (source) =>
      remote.put(info, source, { condition: remoteCondition, isStale: false }),
    );
    // Another server may just have left a mark, over which a put is free.
    if (!isPut) return mayRetry ? putThrough(info, body, condition, false) : "exists";
    await edge.replace(info, body, { raisesEpoch: raisesEpoch(condition), at });
    return "stored";
  }

  /** The remote store copies by itself. If the source is still pending, its bytes are uploaded from here. */
  async function copy(from: Key, to: ObjectInfo, condition: PutCondition): Promise<PutResult | undefined> {
    const { pending, remoteEntry } = await currentEntries(from);
    const found = pending === undefined ? remoteEntry : ({ state: "object", info: pending } as const);
    if (found.state !== "object" || found.info.hashes.sha256 !== to.hashes.sha256) return undefined;
    const { result, remoteCondition } = await decide(to.key, condition);
    if (result !== "stored") return result;
    const isCopied =
      "version" in found
        ? // Few servers support conditions on the target of a copy, so the lookup just before has to suffice.
          (await remote.copy(from, found.version, to, { isStale: false })) || undefined
        : await putLocal(found.info, to, remoteCondition);
    if (isCopied !== true) return isCopied === undefined ? undefined : "exists";
    await edge.clear(to.key, { raisesEpoch: raisesEpoch(condition) });
    return "stored";
  }

  /** Puts the bytes of a pending object under the description `to`; undefined if they are no longer on this disk. */
  async function putLocal(
    source: ObjectInfo,
    to: ObjectInfo,
    condition: RemoteCondition,
    isStale = false,
  ): Promise<boolean | undefined> {
    const reader = await edge.driver.open(source);
    if (reader === undefined) return undefined;
    try {
      const bytes = { size: to.size, hashes: to.hashes, read: reader.read };
      return await remote.put(to, bytes, { condition, isStale });
    } finally {
      reader.close();
    }
  }

  async function renew(key: Key, renewal: Renewal): Promise<boolean> {
    const local = await edge.driver.lookup(key);
    const pending = pendingIn(local);
    const remoteEntry = pending === undefined ? await remote.head(key) : undefined;
    const info = pending ?? (remoteEntry?.state === "object" ? remoteEntry.info : undefined);
    if (info === undefined) return false;
    const { hashes, provenance } = info;
    const current = { state: "object", epoch: local.epoch, sha256: hashes.sha256, via: provenance.via } as const;
    if (!holdsVersion(current, renewal)) return false;
    if (remoteEntry?.state === "object") {
      const { originEtag, originLastModified, validated, staysStale = false } = renewal;
      const renewed = { ...info, provenance: { ...provenance, originEtag, originLastModified, validated } };
      // A copy onto itself changes the description without a transfer of bytes.
      const isStale = remoteEntry.isStale && staysStale;
      if (!(await remote.copy(key, remoteEntry.version, renewed, { isStale }))) return false;
    }
    await edge.driver.renew(key, renewal);
    return true;
  }

  /** Leaves a mark in place of the entry. False: the key has another entry by now. */
  function leaveMark(key: Key, entry: RemoteEntry): Promise<boolean> {
    const at = now();
    marks.see(key, { deletedAt: at, reason: "" });
    return remote.removeVersion(key, "version" in entry ? entry.version : undefined, at);
  }

  /**
   * A hard purge marks a vacant key too, because another server may be fetching it. A soft one marks the remote object
   * as stale, because the flag must outlive the copy on this disk.
   */
  async function purgeRemote(key: Key, entry: RemoteEntry, hard: boolean): Promise<boolean> {
    if (entry.state === "object") {
      if (hard) return leaveMark(key, entry);
      await remote.copy(key, entry.version, entry.info, { isStale: true });
      return true;
    }
    const isVacant = entry.state === "absent" || (entry.state === "tombstone" && hasExpired(entry, now()));
    if (!hard || !isVacant) return true;
    // A store without room must not keep a pending object from being purged.
    return leaveMark(key, entry).catch((err: unknown) => {
      log.warn({ bucket: id, key, err }, "purged without a mark: another server may store what it has fetched before");
      return true;
    });
  }

  /** True if an object of the mirror was there. */
  async function purge(key: Key, options: PurgeOptions, mayRetry = true): Promise<boolean> {
    const { hard, only } = options;
    const { pending, local, remoteEntry } = await currentEntries(key);
    const object = pending ?? (remoteEntry.state === "object" ? remoteEntry.info : undefined);
    const via = object?.provenance.via;
    const current = { state: "object", epoch: local.epoch, sha256: object?.hashes.sha256, via } as const;
    if (only !== undefined && !holdsVersion(current, only)) return false;
    const isMirrored = via === "mirror";
    const isDone = (object !== undefined && !isMirrored) || (await purgeRemote(key, remoteEntry, hard));
    // Another writer may just have put an upload, so look up once more.
    if (!isDone && mayRetry) return purge(key, options, false);
    if (!isDone) throw new HuiyuanError("store_failed", `Cannot purge "${key}": the remote object keeps changing`);
    const isPurgedHere = await edge.driver.purge(key, { hard });
    if (hard && isPurgedHere) edge.dropFromIndex(key);
    return isMirrored;
  }

  async function putTombstone(key: Key, tombstone: Tombstone, mayRetry = true): Promise<boolean> {
    const pending = pendingIn(await edge.driver.lookup(key));
    const remoteEntry = await remote.head(key);
    // Replace only the version that was seen: a request that is carried out late would delete a newer upload.
    if (!(await remote.putTombstone(key, tombstone, conditionFor(remoteEntry)))) {
      if (mayRetry) return putTombstone(key, tombstone, false);
      throw new HuiyuanError("store_failed", `Cannot delete "${key}": the remote object keeps changing`);
    }
    // Its end is no news to this server, which ended the running fetches when it deleted.
    marks.see(key, tombstone);
    await edge.driver.delete(key, tombstone);
    edge.dropFromIndex(key);
    return (
      pending !== undefined ||
      remoteEntry.state === "object" ||
      (remoteEntry.state === "foreign" && remoteEntry.size > 0)
    );
  }

  async function undelete(key: Key): Promise<boolean> {
    const remoteEntry = await remote.head(key);
    const isDeleted = remoteEntry.state === "tombstone" && !hasExpired(remoteEntry, now());
    const isLifted = isDeleted && (await leaveMark(key, remoteEntry));
    // This disk may still have a copy, if the delete was another node's and the news of it is on its way.
    if (isLifted) await edge.clear(key, { raisesEpoch: false });
    else await edge.driver.undelete(key);
    return isLifted;
  }

  /** Uploads a pending object to the remote store. Throws store_failed, store_full; the object then stays pending. */
  async function upload(key: Key): Promise<void> {
    const local = await edge.driver.lookup(key);
    const info = pendingIn(local);
    // The bytes of a damaged object exist nowhere else; the operator has to put it again.
    if (local.state !== "object" || info === undefined || info.isDamaged === true) return;
    const at = ticks();
    const isPut = await putLocal(info, info, { when: "absent" }, local.isStale);
    if (isPut === undefined) return;
    if (isPut) return confirm(info, at);
    const remoteEntry = await remote.head(key);
    if ((await reconcile(info, remoteEntry)) !== "pending") return coordination.arrived(id, key);
    if ((await putLocal(info, info, conditionFor(remoteEntry), local.isStale)) === true) return confirm(info, at);
    throw new HuiyuanError("store_failed", `Cannot upload "${key}": the remote object keeps changing`);
  }

  async function confirm(info: ObjectInfo, at: number): Promise<void> {
    await edge.confirm(info, at);
    coordination.arrived(id, info.key);
  }

  /** Another node has changed the key. A pending object stays only if it may still be uploaded. */
  async function followOther(key: Key): Promise<void> {
    const pending = pendingIn(await edge.driver.lookup(key));
    if (pending === undefined) return edge.clear(key, { raisesEpoch: true });
    await edge.driver.purge(key, { hard: false });
    await reconcile(pending, await remote.head(key));
  }

  return {
    followOther,
    putPending,
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
