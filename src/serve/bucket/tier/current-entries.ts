// Looks up a key on this disk and in the remote store, and decides whether a change may replace what is there. It drops
// pending objects that another writer has overtaken, and makes no other change.
import type { Key, ObjectInfo } from "../../../core/object.ts";
import { decidePut, hasExpired } from "../contract/conditions.ts";
import type { Entry, PutCondition } from "../contract/driver.ts";
import type { RemoteCondition, RemoteEntry } from "../remote/remote.ts";
import type { TierContext } from "./context.ts";
import { pendingIn } from "./disk/edge.ts";
import type { ForeignEntry } from "./reading/foreign.ts";

export type CurrentEntries = ReturnType<typeof createCurrentEntries>;

/** `isNoImage`: whether another tool's object is no image. Throws store_failed, store_full. */
export function createCurrentEntries(
  { id, remote, edge, damaged, marks, changed, log, now }: TierContext,
  isNoImage: (key: Key, found: ForeignEntry) => Promise<boolean>,
) {
  /** The entries on this disk and in the remote store. A pending object that may no longer be uploaded is dropped. */
  async function currentEntries(key: Key) {
    const local = await edge.driver.lookup(key);
    const remoteEntry = await remote.head(key);
    const pending = pendingIn(local);
    if (pending === undefined || (await reconcile(pending, remoteEntry)) === "pending")
      return { pending, local, remoteEntry };
    return { pending: undefined, local: await edge.driver.lookup(key), remoteEntry };
  }

  /** Ends a pending object if another writer was first: it is a copy if that one has stored the same, or dropped. */
  async function reconcile(info: ObjectInfo, remoteEntry: RemoteEntry): Promise<"pending" | "ended"> {
    const { key, hashes, provenance } = info;
    if (!isOvertaken(info, remoteEntry)) return "pending";
    const found = remoteEntry.state === "object" ? remoteEntry.info : undefined;
    // `via` must match too: as a copy of an upload, an object of the mirror would be revalidated and purged.
    if (found?.hashes.sha256 === hashes.sha256 && found.provenance.via === provenance.via) {
      await edge.confirm(info);
      return "ended";
    }
    const message = "dropped a pending image: another writer has changed the key first";
    log.info({ bucket: id, key, found: remoteEntry.state }, message);
    await edge.forget(info);
    changed(key);
    return "ended";
  }

  /** Whether another writer was first, or has removed the key since the pending object was fetched. */
  const isOvertaken = (info: ObjectInfo, found: RemoteEntry) =>
    !isReplaceable(info.key, found) || isMarked(info, found);

  /**
   * The remote state for a put when absent; a replaceable entry counts as absent. `outdated`: a mark refuses the
   * object. Undefined if the lookup fails.
   */
  async function remoteState(info: ObjectInfo): Promise<Entry["state"] | "outdated" | undefined> {
    const { key } = info;
    // The result of such a put must be right, whether or not this disk has a copy; the upload has its own condition.
    const found = await remote.head(key).catch(() => undefined);
    if (found === undefined) return undefined;
    if (isReplaceable(key, found)) return isMarked(info, found) ? "outdated" : "absent";
    return found.state === "tombstone" ? "tombstone" : "object";
  }

  const isMarked = (info: ObjectInfo, found: RemoteEntry) => found.state === "tombstone" && marks.refuses(info, found);

  /** Expired tombstones, empty objects of other tools and damaged objects of the mirror may be replaced. */
  function isReplaceable(key: Key, found: RemoteEntry): boolean {
    if (found.state === "absent") return true;
    if (found.state === "foreign") return found.size === 0;
    if (found.state === "tombstone") return hasExpired(found, now());
    return found.info.provenance.via === "mirror" && damaged.has(key, found.version);
  }

  /** Whether a change may be made in the remote store, and under which condition. */
  async function decide(key: Key, condition: PutCondition) {
    if (condition.when === "always") return { result: "stored", remoteCondition: condition } as const;
    const { pending, local, remoteEntry } = await currentEntries(key);
    const object = pending ?? (remoteEntry.state === "object" ? remoteEntry.info : undefined);
    // Another tool's object that is no image is never served, so an upload may replace it.
    const mayBeNoImage = condition.when === "vacant" && remoteEntry.state === "foreign" && local.state !== "object";
    const isFree = isReplaceable(key, remoteEntry) || (mayBeNoImage && (await isNoImage(key, remoteEntry)));
    const isOccupied = object !== undefined || !isFree;
    const state = !isOccupied
      ? "absent"
      : remoteEntry.state === "tombstone" && object === undefined
        ? "tombstone"
        : "object";
    const result = decidePut({ state, epoch: local.epoch, sha256: object?.hashes.sha256 }, condition);
    // Only the mirror puts over an entity tag, and only over its own objects. Another server's upload of the same bytes
    // has raised no epoch here.
    const isOtherWriters = condition.when === "etag" && object?.provenance.via !== "mirror";
    return {
      result: result === "stored" && isOtherWriters ? "exists" : result,
      remoteCondition: conditionFor(remoteEntry),
    } as const;
  }

  return { currentEntries, reconcile, isOvertaken, remoteState, decide };
}

/** The condition that exactly the found entry is still there. */
export function conditionFor(found: RemoteEntry): RemoteCondition {
  return found.state === "absent" ? { when: "absent" } : { when: "version", version: found.version };
}
