// The parts of one bucket of a tiered store, which its files share.
import type { KeyLocks } from "../../../async/key-locks.ts";
import type { Log } from "../../../core/log.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import type { BucketDriver } from "../contract/driver.ts";
import type { RemoteBucket } from "../remote/remote.ts";
import type { Edge } from "./disk/edge.ts";
import type { DamagedObjects } from "./reading/damaged.ts";

export interface TierContext {
  readonly id: string;
  readonly remote: RemoteBucket;
  /** Objects on this disk that wait for upload. Its rows have no epochs. */
  readonly queue: BucketDriver;
  readonly edge: Edge;
  /** Larger objects get no copy on this disk. Bytes. */
  readonly maxCopyBytes: () => number;
  readonly damaged: DamagedObjects;
  /**
   * Keys that were queued while the remote store was down; it may have another object or a tombstone there. Bounded by
   * the queue.
   */
  readonly unconfirmed: Set<Key>;
  readonly isDown: () => boolean;
  readonly locks: KeyLocks;
  /** Schedules the upload of an object that is in the queue. */
  readonly addUpload: (info: ObjectInfo) => void;
  /** Removes an object from the queue: drops it, or turns it into an edge copy. */
  readonly unqueue: (info: ObjectInfo, to: "edge" | "nowhere") => Promise<void>;
  /** Throws store_full if the queue has no room for so many more bytes. */
  readonly checkRoom: (bytes: number) => void;
  readonly spools: SpoolPool;
  /** Reports that the object differs from what this server has served, so that the memory cache drops it. */
  readonly changed: (key: Key) => void;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** As performance.now(). */
  readonly ticks: () => number;
}
