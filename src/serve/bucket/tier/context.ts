// The parts of one bucket of a tiered store, which its files share.
import type { KeyLocks } from "../../../async/key-locks.ts";
import type { Log } from "../../../core/log.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import type { Coordination } from "../contract/coordination.ts";
import type { RemoteBucket } from "../remote/remote.ts";
import type { Edge } from "./disk/edge.ts";
import type { Marks } from "./marks.ts";
import type { DamagedObjects } from "./reading/damaged.ts";

export interface TierContext {
  readonly id: string;
  readonly remote: RemoteBucket;
  readonly edge: Edge;
  /** Larger objects get no copy on this disk. Bytes. */
  readonly maxCopyBytes: () => number;
  readonly damaged: DamagedObjects;
  readonly marks: Marks;
  readonly coordination: Coordination;
  readonly isDown: () => boolean;
  readonly locks: KeyLocks;
  /** Schedules the upload of a pending object. */
  readonly addUpload: (info: ObjectInfo) => void;
  /** Throws store_full if no object of so many bytes may become pending. */
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
