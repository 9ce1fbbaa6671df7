// Part of the composition root: opens the stores of a data folder. The embedded store is always open, for one-time
// tokens, spool files and this machine's own data. If the settings name an S3 store, it holds the objects.

import type { Log } from "../../core/log.ts";
import type { DigestName, Key } from "../../core/object.ts";
import { s3Place } from "../../core/s3-place.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import { ALL_DIGESTS } from "../body/spool/hashing.ts";
import { createSpoolPool, type SpoolPool } from "../body/spool/spool-pool.ts";
import type { Coordination } from "../bucket/contract/coordination.ts";
import type { Store } from "../bucket/contract/driver.ts";
import type { FreeSpace } from "../bucket/fs/free-space.ts";
import { createFsStore } from "../bucket/fs/fs-store.ts";
import type { RemoteStore } from "../bucket/remote/remote.ts";
import { openS3Store } from "../bucket/s3/s3-store.ts";
import { createDiskCache, EDGE_FOLDER, VARIANT_FOLDER } from "../bucket/tier/disk/disk-cache.ts";
import { createVariantTier, type VariantBucket } from "../bucket/tier/disk/variants.ts";
import { createTieredStore, type TieredStore } from "../bucket/tier/tiered-store.ts";
import { createSharedOnce } from "../cluster/shared-once.ts";
import { createSystemResolve } from "../origin/dial/lookup.ts";
import { createCaller } from "../origin/exchange/caller.ts";
import type { OnceLedger } from "../sign/once.ts";

/** Everything of a data folder. */
export interface Stores {
  readonly store: Store;
  /** The variants of a bucket: always on this disk, bounded, and under a folder name that no bucket can have. */
  variants(bucketId: string): VariantBucket;
  readonly once: OnceLedger;
  readonly spools: SpoolPool;
  /** The folder of spool files. */
  readonly spoolDir: string;
  /** Free space of the disk; resize() sets its limit too. */
  readonly freeSpace: FreeSpace;
  /** Objects that wait for the remote store; always empty without one. */
  backlog(): { readonly depth: number; readonly oldestMs: number };
  /** Number of damaged objects on this disk that exist nowhere else; undefined if it cannot be read. */
  damaged(): number | undefined;
  /** The remote store, if it does not answer. */
  outages(): readonly string[];
  /** Warnings for the operator. */
  notes(): readonly string[];
  /** As in TieredStore; nothing without a remote store. */
  follow(bucketId: string, key: Key): void;
  followAll(): void;
  isRemoteDown(): boolean;
  resize(limits: Settings["limits"]): void;
  close(): Promise<void>;
}

export interface StoresParts {
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Called when an object changed: the memory cache must drop it. */
  readonly changed: (bucketId: string, key: Key) => void;
  /** True if the memory cache has served the object since the last call. */
  readonly wasUsed: (bucketId: string, key: Key) => boolean;
  /** The other nodes on the same remote store; undefined if there are none. */
  readonly coordination?: Coordination | undefined;
}

const CONNECT_TIMEOUT_MS = 3_000;
// Copies and variants are evicted all the time, and their disk space must be free soon.
const BLOB_GRACE_MS = 30_000;
const SWEEP_MS = 15_000;

/** Throws data_locked, store_failed, settings_invalid, and leaves nothing open then. */
export async function openStores(settings: Settings, parts: StoresParts): Promise<Stores> {
  const { log, now, changed, wasUsed, coordination } = parts;
  const { data: dir, store: place, limits } = settings;
  const near = await createFsStore({
    dir,
    now,
    log,
    minFreeBytes: limits.freeDisk,
    blobGraceMs: BLOB_GRACE_MS,
    sweepEveryMs: SWEEP_MS,
    cacheBucketPrefixes: [EDGE_FOLDER, VARIANT_FOLDER],
  });
  const disk = createDiskCache({
    embedded: near,
    maxBytes: limits.disk,
    wasUsed: (id, key) => wasUsed(nameInMemory(id), key),
    log,
  });
  const variants = createVariantTier({ embedded: near, disk });
  // Puts to S3 need all digests; the embedded store computes them from its bytes on demand.
  const digests: ReadonlySet<DigestName> = place.type === "s3" ? ALL_DIGESTS : new Set();
  const { freeSpace } = near;
  const { spoolAllowance: room } = freeSpace;
  const spools = createSpoolPool({ dir: near.spoolDir, memoryBytes: limits.spoolMemory, digests, log, room });
  const closeNear = async () => {
    await spools.close();
    await disk.close();
    await near.close();
  };
  const resize = ({ spoolMemory, disk: maxBytes, freeDisk }: Settings["limits"]) => {
    freeSpace.resize(freeDisk);
    spools.resize(spoolMemory);
    disk.resize(maxBytes);
  };
  const damaged = () => {
    try {
      return near.damaged();
    } catch {
      return undefined; // Reads and writes of the catalogue report the failure.
    }
  };
  const damageNotes = () => {
    const count = damaged() ?? 0;
    return count > 0 ? [`uploaded images that are damaged and that no origin has: ${count}; see the log and "ls"`] : [];
  };
  let remote: RemoteStore | undefined;
  let tier: TieredStore | undefined;
  if (place.type === "s3") {
    try {
      remote = await openRemote(place, { log, now, isShared: coordination !== undefined });
      const { connections } = place;
      const options = { embedded: near, remote, connections, disk, spools, changed, log, now };
      tier = createTieredStore({ ...options, ...(coordination === undefined ? {} : { coordination }) });
    } catch (error) {
      await closeNear();
      throw error;
    }
  }
  const outages = () => tier?.notes() ?? [];
  const clockNotes = () => [remote?.clockNote()].filter((note) => note !== undefined);
  return {
    store: tier ?? near,
    variants,
    once: coordination === undefined || remote === undefined ? near.once : createSharedOnce(near.once, remote),
    spools,
    spoolDir: near.spoolDir,
    freeSpace,
    backlog: tier?.uploads.backlog ?? (() => ({ depth: 0, oldestMs: 0 })),
    damaged,
    outages,
    notes: () => [...outages(), ...clockNotes(), ...damageNotes()],
    follow: (bucketId, key) => tier?.follow(bucketId, key),
    followAll: () => tier?.followAll(),
    isRemoteDown: () => remote?.isDown ?? false,
    resize,
    async close() {
      await tier?.close();
      await closeNear();
    },
  };
}

/** The memory cache's name for a bucket of the disk cache: copies belong to `<appid>/<bucket>`. */
function nameInMemory(id: string): string {
  return id.startsWith(EDGE_FOLDER) ? id.split("/").slice(-2).join("/") : id;
}

type S3Settings = Extract<Settings["store"], { type: "s3" }>;

async function openRemote(
  settings: S3Settings,
  { log, now, isShared }: Pick<StoresParts, "log" | "now"> & { readonly isShared: boolean },
) {
  const place = s3Place(settings);
  const { bucket, prefix, accessKeyId, secretAccessKey, allowPrivate, connections } = settings;
  const caller = createCaller({
    url: place.url,
    allowPrivate,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    connections,
    resolve: createSystemResolve(),
  });
  try {
    const { url, region } = place;
    const keys = { accessKeyId, secretAccessKey };
    const options = { url, region, bucket, prefix, log, now, isShared };
    const remote = await openS3Store({ ...options, ...keys, call: caller.call });
    const { close } = remote;
    return Object.assign(remote, { close: () => close().then(caller.close) });
  } catch (error) {
    await caller.close();
    throw error;
  }
}
