// Part of the composition root: opens the place that the settings name for objects. The embedded store is always open, for
// one-time tokens, spool files and what is this machine's own; an S3 store stands behind it where one is set.
import { ALL_DIGESTS } from "../body/spool/hashing.ts";
import { createSpoolPool, type SpoolPool } from "../body/spool/spool-pool.ts";
import type { Store } from "../bucket/contract/driver.ts";
import type { FreeSpace } from "../bucket/fs/free-space.ts";
import { createFsStore } from "../bucket/fs/store.ts";
import { openS3Store } from "../bucket/s3/store.ts";
import { createDiskCache, EDGE_FOLDER, VARIANT_FOLDER } from "../bucket/tier/disk/disk-cache.ts";
import { createVariantTier, type VariantBucket } from "../bucket/tier/disk/variants.ts";
import { createTieredStore } from "../bucket/tier/store.ts";
import type { Log } from "../core/log.ts";
import type { DigestName, Key } from "../core/object.ts";
import { s3Place } from "../core/s3-place.ts";
import { createSystemResolve } from "../origin/dial/lookup.ts";
import { createCaller } from "../origin/exchange/caller.ts";
import type { Settings } from "../settings/schema/schema.ts";
import type { OnceLedger } from "../sign/once.ts";

/** Everything of a data folder. */
export interface Stores {
  readonly store: Store;
  /** Where variants of a bucket's images lie: always on this disk, bounded, and under a name that no bucket has. */
  variants(bucketId: string): VariantBucket;
  readonly once: OnceLedger;
  readonly spools: SpoolPool;
  /** Where spools put their files. */
  readonly spoolDir: string;
  /** Of the disk; `resize` of the stores is its as well. */
  readonly freeSpace: FreeSpace;
  /** What waits for a remote store; nothing where there is none. */
  backlog(): { readonly depth: number; readonly oldestMs: number };
  /** Objects on this disk that are damaged and that nobody else has; undefined where that cannot be read. */
  damaged(): number | undefined;
  /** What an operator should know. */
  notes(): readonly string[];
  resize(limits: Settings["limits"]): void;
  close(): Promise<void>;
}

export interface StoresParts {
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Memory must let go of an object. */
  readonly changed: (bucketId: string, key: Key) => void;
  /** Whether memory has served an object since this was asked last. */
  readonly wasUsed: (bucketId: string, key: Key) => boolean;
}

const CONNECT_TIMEOUT_MS = 3_000;
// Copies and variants come and go all the time, and what is evicted is to be free soon.
const BLOB_GRACE_MS = 30_000;
const SWEEP_MS = 15_000;

/** Throws data_locked, store_failed, settings_invalid; leaves nothing open then. */
export async function openStores(settings: Settings, { log, now, changed, wasUsed }: StoresParts): Promise<Stores> {
  const { data: dir, store: place, limits } = settings;
  const isEdge = place.type === "s3";
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
  // An S3 store is told all digests of what it is to keep; the embedded one makes them from its bytes when somebody asks.
  const digests: ReadonlySet<DigestName> = isEdge ? ALL_DIGESTS : new Set();
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
      return undefined; // Whoever reads or writes the catalogue is told.
    }
  };
  const damageNotes = () => {
    const count = damaged() ?? 0;
    return count === 0
      ? []
      : [`uploaded images that are damaged and that no origin has: ${count}; see the log and "ls"`];
  };
  const common = { once: near.once, spools, spoolDir: near.spoolDir, freeSpace, variants, damaged, resize };
  if (!isEdge) {
    return {
      ...common,
      store: near,
      backlog: () => ({ depth: 0, oldestMs: 0 }),
      notes: damageNotes,
      close: closeNear,
    };
  }
  try {
    const remote = await openRemote(place, { log, now });
    const tier = createTieredStore({ embedded: near, remote, disk, spools, changed, log, now });
    return {
      ...common,
      store: tier,
      backlog: tier.uploads.backlog,
      notes: () => [...tier.notes(), ...damageNotes()],
      async close() {
        await tier.close();
        await closeNear();
      },
    };
  } catch (error) {
    await closeNear();
    throw error;
  }
}

/** Of a bucket on the bounded part of the disk: copies are those of `<appid>/<bucket>`. */
function nameInMemory(id: string): string {
  return id.startsWith(EDGE_FOLDER) ? id.split("/").slice(-2).join("/") : id;
}

type S3Settings = Extract<Settings["store"], { type: "s3" }>;

async function openRemote(settings: S3Settings, { log, now }: Pick<StoresParts, "log" | "now">) {
  const place = s3Place(settings);
  const { bucket, prefix, accessKeyId, secretAccessKey, allowPrivate, connections } = settings;
  const caller = createCaller({
    url: place.url,
    allowPrivate,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    connections,
    resolve: createSystemResolve({ log }),
  });
  try {
    const { url, region } = place;
    const access = { url, region, bucket, accessKeyId, secretAccessKey };
    const remote = await openS3Store({ ...access, prefix, call: caller.call, log, now });
    const { close } = remote;
    return Object.assign(remote, {
      async close() {
        await close();
        await caller.close();
      },
    });
  } catch (error) {
    await caller.close();
    throw error;
  }
}
