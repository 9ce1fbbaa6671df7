// A remote store that holds all buckets of this program under a prefix, made of the requests of one backend.
import type { Availability } from "./availability.ts";
import { createRemoteBucket } from "./bucket.ts";
import { objectNames } from "./listing.ts";
import type { RemoteBucket, RemoteStore } from "./remote.ts";
import type { RemoteRequests } from "./requests.ts";

export interface RemoteStoreParts {
  /** As in RemoteStore. */
  readonly id: string;
  /** As in RemoteStore. */
  readonly name: string;
  /** Prepended to every object's name, such as `images/`. */
  readonly prefix: string;
  readonly requests: RemoteRequests;
  readonly availability: Availability;
  /** Aborts the requests in progress. */
  readonly close: () => void;
}

export function createRemoteStore({ id, name, prefix, requests, availability, close }: RemoteStoreParts): RemoteStore {
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
    onRecovery: availability.onRecovery,
    async close() {
      close();
    },
  };
}
