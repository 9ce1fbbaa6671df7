// The buckets of a remote store: translates reads and changes of objects and tombstones into the requests of one
// backend. If the store ignores conditions, a lookup checks them first, which is safe within one process only: the
// caller holds the key's lock.
import type { Key } from "../../../core/object.ts";
import type { Tombstone } from "../contract/driver.ts";
import type { Availability } from "./availability.ts";
import { createRemoteListing, type ObjectNames, objectNames } from "./listing.ts";
import { describe, describeTombstone, entryOf, tombstoneBody } from "./metadata.ts";
import type { RemoteBucket, RemoteCondition, RemoteEntry, RemoteStore } from "./remote.ts";
import type { RemoteRequests } from "./requests.ts";

/** The mark in place of a removed object: a tombstone that has expired by any server's clock. */
const markOf = (deletedAt: number) => ({ deletedAt, expiresAt: 0, reason: "taken away" });
const ABSENT: RemoteCondition = { when: "absent" };
const ALWAYS: RemoteCondition = { when: "always" };

function createRemoteBucket(requests: RemoteRequests, names: ObjectNames): RemoteBucket {
  async function head(key: Key): Promise<RemoteEntry> {
    const found = await requests.head(names.of(key));
    return found === undefined ? { state: "absent" } : entryOf(key, found);
  }

  async function isObeyed({ when }: RemoteCondition): Promise<boolean> {
    return when === "always" || (await requests.conditions())[when];
  }

  async function holds(key: Key, condition: RemoteCondition): Promise<boolean> {
    const found = await head(key);
    if (condition.when === "version") return "version" in found && found.version === condition.version;
    return condition.when === "always" || found.state === "absent";
  }

  /** The condition to send; undefined if a lookup has shown that it does not hold. */
  async function conditionFor(key: Key, condition: RemoteCondition): Promise<RemoteCondition | undefined> {
    if (await isObeyed(condition)) return condition;
    return (await holds(key, condition)) ? ALWAYS : undefined;
  }

  function putTombstone(key: Key, tombstone: Tombstone, condition: RemoteCondition): Promise<boolean> {
    return requests.put(names.of(key), tombstoneBody(), describeTombstone(tombstone), condition);
  }

  return {
    isTooLong: names.isTooLong,
    head,
    async put(info, source, { condition, isStale }) {
      const wanted = await conditionFor(info.key, condition);
      if (wanted === undefined) return false;
      if (await requests.put(names.of(info.key), source, describe(info, { isStale }), wanted)) return true;
      // An earlier attempt, by this program or a proxy, may have stored it and lost the response.
      const there = await head(info.key);
      if (there.state !== "object") return false;
      return there.info.hashes.sha256 === info.hashes.sha256 && there.info.storedAt === info.storedAt;
    },
    get: (key, version) => requests.get(names.of(key), version),
    async putTombstone(key, tombstone, condition) {
      // The caller has just looked the key up, so a condition that cannot be sent is omitted.
      const isSent = (await isObeyed(condition)) && !(condition.when === "version" && condition.version === "");
      if (await putTombstone(key, tombstone, isSent ? condition : ALWAYS)) return true;
      const there = await head(key);
      const { deletedAt, reason } = tombstone;
      return there.state === "tombstone" && there.deletedAt === deletedAt && there.reason === reason;
    },
    copy: (from, version, to, { isStale }) =>
      requests.copy(names.of(from), version, names.of(to.key), describe(to, { isStale })),
    async removeVersion(key, version, at) {
      const wanted = await conditionFor(key, version === undefined ? ABSENT : { when: "version", version });
      if (wanted === undefined) return false;
      if (wanted.when === "always" && version === undefined) return true;
      // Few stores support a conditional removal, and it must not remove another writer's acknowledged put. So a mark
      // is put with a condition instead.
      const isDone = await (wanted.when === "always"
        ? requests.remove(names.of(key))
        : putTombstone(key, markOf(at), wanted));
      if (isDone) return true;
      const there = await head(key);
      return (
        there.state === "absent" || (there.state === "tombstone" && there.expiresAt === 0 && there.deletedAt >= at)
      );
    },
    list: createRemoteListing(requests, names),
  };
}

export interface RemoteStoreParts extends Pick<RemoteStore, "id" | "name"> {
  /** Prepended to every object's name, such as `images/`. */
  readonly prefix: string;
  readonly requests: RemoteRequests;
  readonly availability: Availability;
  /** As in RemoteStore; undefined for a store that sends no time. */
  readonly clockNote?: RemoteStore["clockNote"];
  /** Aborts the requests in progress. */
  readonly close: () => void;
}

/** A remote store that holds all buckets of this program under a prefix. */
export function createRemoteStore(parts: RemoteStoreParts): RemoteStore {
  const { id, name, prefix, requests, availability, clockNote = () => undefined, close } = parts;
  const buckets = new Map<string, RemoteBucket>();
  return {
    id,
    name,
    bucket(bucketId) {
      const known = buckets.get(bucketId) ?? createRemoteBucket(requests, objectNames(prefix, bucketId));
      buckets.set(bucketId, known);
      return known;
    },
    get isDown() {
      return availability.isDown;
    },
    outageSince: () => availability.since,
    clockNote,
    onRecovery: availability.onRecovery,
    async close() {
      close();
    },
  };
}
