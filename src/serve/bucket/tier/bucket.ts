// One bucket of a remote store with this disk in front of it. The disk (`edge`) holds pending objects, copies of remote
// objects, tombstones, and the epochs, which only this server knows. The remote store is the authority except for
// pending objects. This file has lookups and reads; changes.ts has the writes.
import { LRUCache } from "lru-cache";
import { LiveMap } from "../../../async/live-map.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import type { BucketDriver } from "../contract/driver.ts";
import { createChanges } from "./changes.ts";
import { createComparison } from "./comparison.ts";
import type { TierContext } from "./context.ts";
import { createCurrentEntries } from "./current-entries.ts";
import { listMerged, queryKeysMerged, usageMerged } from "./listing.ts";
import { createLookups } from "./lookups.ts";
import { createDownloads, type ReadStart } from "./reading/download.ts";

export interface TieredBucket extends BucketDriver {
  /** Uploads a pending object to the remote store. Throws store_failed, store_full; the object then stays pending. */
  upload(key: Key): Promise<void>;
  /** Another node has changed the key: from now on nothing is served of it that was known before. */
  follow(key: Key): void;
  /** Changes of other nodes may have been missed: reads that run leave no copy. */
  followAll(): void;
}

export function createTieredBucket(context: TierContext): TieredBucket {
  const { id, remote, edge, damaged, isDown, locks, spools, coordination, changed, log, ticks } = context;
  /** Keys whose remote object has changed. */
  const changedKeys = createChangedKeys();
  /** Changes of other nodes that this disk does not show yet. */
  const followed = new LiveMap<Key, Promise<void>>();

  const downloads = createDownloads({
    remote,
    spools,
    beginRead,
    storeCopy,
    onDamaged(info, version) {
      log.error({ bucket: id, key: info.key, sha256: info.hashes.sha256 }, "an object in the remote store is damaged");
      damaged.note(info.key, version);
    },
  });
  const lookups = createLookups(context, {
    beginCopy() {
      const read = beginRead();
      return (info, body) => storeCopy(info, body, read);
    },
    liftTombstone: (key) => unlessLocked(key, () => edge.driver.undelete(key)),
    async raiseEpoch(key) {
      await edge.driver.purge(key, { hard: false });
      return (await edge.driver.lookup(key)).epoch;
    },
  });
  const current = createCurrentEntries(context, lookups.isNoImage);
  const comparison = createComparison(context, current, withKeyLock);
  const changes = createChanges(context, current, comparison.trustPending);

  const lockName = (key: Key) => `${id}\n${key}`;

  /** Throws url_invalid if the remote store can have no object under the key. */
  function checkName(key: Key): void {
    if (!remote.isTooLong(key)) return;
    throw new HuiyuanError(
      "url_invalid",
      `Cannot use "${key}" as a key: its name in the remote store would be too long`,
    );
  }

  async function withKeyLock<Result>(key: Key, run: () => Promise<Result>): Promise<Result> {
    checkName(key);
    return locks.hold([lockName(key)], run);
  }

  /**
   * Runs a reader's side effect on this disk, or skips it while the key is locked. A change may hold the lock for long,
   * while it waits for the remote store, and makes the side effect useless.
   */
  async function unlessLocked(key: Key, run: () => Promise<unknown>): Promise<void> {
    if (!locks.isHeld(lockName(key))) await withKeyLock(key, run);
  }

  function beginRead(): ReadStart {
    return { revision: changedKeys.revision, at: ticks() };
  }

  /** Stores a copy of a remote object, unless its key has changed since the read began, or is being changed. */
  async function storeCopy(info: ObjectInfo, body: WholeBody, { revision, at }: ReadStart): Promise<void> {
    damaged.forget(info.key, lookups.versionOf(info) ?? "");
    if (lookups.isStale(info)) return;
    await unlessLocked(info.key, async () => {
      if (!changedKeys.hasChanged(info.key, revision)) await edge.put(info, body, at);
    }).catch((error: unknown) =>
      log.debug({ bucket: id, key: info.key, err: error }, "cannot store a copy on this disk"),
    );
  }

  /** Runs a change of the remote store under the locks of its keys. `told`: of which the other nodes are told. */
  async function lockForChange<Result>(
    keys: readonly Key[],
    change: () => Promise<Result>,
    told: readonly Key[] = keys,
  ): Promise<Result> {
    for (const key of keys) checkName(key);
    const names = [...new Set(keys)].map(lockName);
    return locks.hold(names, async () => {
      try {
        return await change();
      } catch (error) {
        // The remote store may have carried out a change whose answer was an error.
        for (const key of keys) {
          edge.distrust(key);
          changed(key);
        }
        throw error;
      } finally {
        changedKeys.note(keys);
        for (const key of told) coordination.announce(id, key);
      }
    });
  }

  /** Another node has changed the key. Lookups wait until this disk has followed. */
  function follow(key: Key): void {
    changed(key);
    changedKeys.note([key]);
    const following = withKeyLock(key, () => changes.followOther(key))
      .catch((error: unknown) => {
        comparison.distrust(key);
        log.warn({ bucket: id, key, err: error }, "cannot follow another node's change: the key is compared with S3");
      })
      .finally(() => {
        if (followed.get(key) === following) followed.delete(key);
      });
    followed.set(key, following);
  }

  /** The object's version in the remote store; undefined if the store has another object or none. */
  async function remoteVersion(info: ObjectInfo): Promise<string | undefined> {
    const version = lookups.versionOf(info);
    if (version !== undefined) return version;
    const found = await remote.head(info.key);
    if (found.state !== "object" || found.info.hashes.sha256 !== info.hashes.sha256) return undefined;
    if (found.isStale) lookups.markStale(info);
    return found.version;
  }

  return {
    isRemote: true,
    async lookup(key) {
      // As with another tool's object, nothing can be stored here.
      if (remote.isTooLong(key)) return { state: "absent", epoch: 0, certainty: "foreign" };
      await followed.get(key);
      let local = await edge.driver.lookup(key);
      if (local.state === "object") {
        const found = await comparison.check(local);
        if (found === "believed") return local;
        if (found === "unknown") return { ...local, certainty: "unknown" };
        local = await edge.driver.lookup(key);
        if (local.state === "object") return local;
      }
      if (local.state === "tombstone" && isDown()) return local;
      const found = await lookups.entry(key, local);
      if (found.state !== "absent") return found;
      // The disk may have received the object during the remote lookup.
      const since = await edge.driver.lookup(key);
      return since.state === "absent" ? found : since;
    },
    async open(info, options) {
      const localReader = await edge.driver.open(info, options);
      if (localReader !== undefined) return localReader;
      const version = await remoteVersion(info);
      return version === undefined ? undefined : downloads.open(info, version);
    },
    put: (info, body, condition) =>
      condition.when === "absent"
        ? withKeyLock(info.key, () => changes.putPending(info, body, condition))
        : lockForChange([info.key], () => changes.putThrough(info, body, condition)),
    copy: (from, to, condition) => lockForChange([from, to.key], () => changes.copy(from, to, condition), [to.key]),
    delete: (key, tombstone) => lockForChange([key], () => changes.delete(key, tombstone)),
    undelete: (key) => lockForChange([key], () => changes.undelete(key)),
    renew: (key, renewal) => lockForChange([key], () => changes.renew(key, renewal)),
    purge: (key, options) => lockForChange([key], () => changes.purge(key, options)),
    findBySha1: edge.driver.findBySha1,
    hasTwin: edge.driver.hasTwin,
    list: (options) => listMerged(options, remote, edge.driver),
    usage: () => usageMerged(remote, edge.driver),
    queryKeys: () => queryKeysMerged(remote, edge.driver),
    upload: (key) => withKeyLock(key, () => changes.upload(key)),
    follow,
    followAll: changedKeys.forget,
  };
}

/** Bound of the remembered keys, the last to change: more than change while a slow image arrives. */
const MAX_KEYS = 10_000;

/**
 * Remembers which keys have changed since a given revision, so that a read that began before a change leaves no copy.
 * For changes long ago only the revision is kept; then every key counts as changed.
 */
export function createChangedKeys(maxKeys = MAX_KEYS) {
  let revision = 0;
  let forgotten = 0;
  const changedAt = new LRUCache<Key, number>({
    max: maxKeys,
    dispose(at, _key, reason) {
      if (reason === "evict") forgotten = at;
    },
  });

  return {
    /** Rises with every change. */
    get revision(): number {
      return revision;
    },
    note(keys: readonly Key[]): void {
      revision += 1;
      for (const key of keys) changedAt.set(key, revision);
    },
    /** Every key counts as changed. */
    forget(): void {
      revision += 1;
      forgotten = revision;
      changedAt.clear();
    },
    /** Whether the key may have changed since `revision` was read. */
    hasChanged: (key: Key, since: number) => (changedAt.peek(key) ?? forgotten) > since,
  };
}
