// What lies under a key, here and in the remote store, and whether a change may happen over it.
import type { Log } from "../../core/log.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import { decidePut, hasExpired } from "../contract/conditions.ts";
import type { BucketDriver, Entry, PutCondition } from "../contract/driver.ts";
import type { RemoteBucket, RemoteCondition, RemoteEntry } from "../remote/remote.ts";
import type { DamagedObjects } from "./reading/damaged.ts";
import type { ForeignEntry } from "./reading/foreign.ts";

export interface OccupancyParts {
  readonly id: string;
  readonly remote: RemoteBucket;
  readonly queue: BucketDriver;
  readonly edge: BucketDriver;
  readonly damaged: DamagedObjects;
  /** Of an object of another tool. Throws store_failed, store_full. */
  readonly isNoImage: (key: Key, found: ForeignEntry) => Promise<boolean>;
  /** Lets go of a queued object, or makes it an edge copy. */
  readonly unqueue: (info: ObjectInfo, to: "edge" | "nowhere") => Promise<void>;
  /** An object is not what this server said it is: memory must let go of it. */
  readonly changed: (key: Key) => void;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

export function createOccupancy(parts: OccupancyParts) {
  const { id, remote, queue, edge, damaged, isNoImage, unqueue, changed, log, now } = parts;

  async function localOccupant(key: Key): Promise<{ queued: ObjectInfo | undefined; local: Entry }> {
    const queued = await queue.lookup(key);
    return { queued: queued.state === "object" ? queued.info : undefined, local: await edge.lookup(key) };
  }

  /** What waits here and what is there. What would not be uploaded over it waits no more, and is of no account. */
  async function lookUp(key: Key) {
    const { queued, local } = await localOccupant(key);
    const remoteEntry = await remote.head(key);
    const isQueued = queued !== undefined && (await confirmQueued(queued, remoteEntry));
    return { queued: isQueued ? queued : undefined, local, remoteEntry };
  }

  /** Whether what is queued may go over what is there; else another writer was there first, and it is let go. */
  async function confirmQueued(info: ObjectInfo, remoteEntry: RemoteEntry): Promise<boolean> {
    const { key, hashes, provenance } = info;
    if (isReplaceable(key, remoteEntry)) return true;
    const found = remoteEntry.state === "object" ? remoteEntry.info : undefined;
    // The same bytes as an upload are no copy of it: they would be refreshed and purged as the mirror's.
    if (found?.hashes.sha256 === hashes.sha256 && found.provenance.via === provenance.via) {
      await unqueue(info, "edge");
      return false;
    }
    log.info({ bucket: id, key, found: remoteEntry.state }, "not uploaded: another writer was there first");
    await unqueue(info, "nowhere");
    changed(key);
    return false;
  }

  /**
   * For a put when absent: damaged objects of the mirror, and what has no bytes and no meaning, may be replaced. Undefined: it
   * could not be found out.
   */
  async function remoteState(key: Key): Promise<Entry["state"] | undefined> {
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
  async function isForeignNonImage(key: Key, remoteEntry: RemoteEntry, local: Entry): Promise<boolean> {
    return remoteEntry.state === "foreign" && local.state !== "object" && isNoImage(key, remoteEntry);
  }

  /** Whether a change that goes to the remote store at once may happen, and over what. */
  async function decide(key: Key, condition: PutCondition) {
    if (condition.when === "always") {
      return { result: "stored", remoteCondition: condition, queued: (await localOccupant(key)).queued } as const;
    }
    const { queued, local, remoteEntry } = await lookUp(key);
    const object = queued ?? (remoteEntry.state === "object" ? remoteEntry.info : undefined);
    const isFree =
      isReplaceable(key, remoteEntry) ||
      (condition.when === "vacant" && (await isForeignNonImage(key, remoteEntry, local)));
    const isOccupied = object !== undefined || !isFree;
    const state = !isOccupied
      ? "absent"
      : remoteEntry.state === "tombstone" && object === undefined
        ? "tombstone"
        : "object";
    const result = decidePut({ state, epoch: local.epoch, sha256: object?.hashes.sha256 }, condition);
    // Over an entity tag the mirror puts, over what is its own: another server's upload of the same bytes has raised no epoch here.
    const isOtherWriters = condition.when === "etag" && object?.provenance.via !== "mirror";
    return {
      result: result === "stored" && isOtherWriters ? "exists" : result,
      remoteCondition: conditionFor(remoteEntry),
      queued,
    } as const;
  }

  return { localOccupant, lookUp, confirmQueued, remoteState, decide };
}

/** Over exactly what was found. */
export function conditionFor(found: RemoteEntry): RemoteCondition {
  return found.state === "absent" ? { when: "absent" } : { when: "version", version: found.version };
}
