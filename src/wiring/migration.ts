// Part of the composition root: makes the source, the target and the spools of a migration from its config.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ALL_DIGESTS } from "../body/spool/hashing.ts";
import { createSpoolPool, type SpoolPool } from "../body/spool/spool-pool.ts";
import { createBucket } from "../bucket/contract/bucket.ts";
import type { Log } from "../core/log.ts";
import { ConfigFaults, type MigrationConfig, type RestPlace } from "../migrate/config/config.ts";
import type { Target } from "../migrate/target.ts";
import { createRestTarget } from "../migrate/targets/rest.ts";
import { createStoreTarget } from "../migrate/targets/store.ts";
import type { Settings } from "../settings/schema/schema.ts";
import { openStores } from "./stores.ts";

export interface MigrationParts {
  readonly target: Target;
  readonly spools: SpoolPool;
  readonly maxBytes: number;
  /** Objects at once, unless the config says. */
  readonly concurrency: number;
  close(): Promise<void>;
}

export interface TargetOptions {
  readonly config: MigrationConfig;
  /** The target is the store of these settings; undefined: the REST API of the config. */
  readonly settings: Settings | undefined;
  /** A folder for spool files, unless the store has one. It is emptied. */
  readonly spoolDir: string;
  readonly log: Log;
}

const REST_SPOOL_BYTES = 67_108_864;
const REST_CONCURRENCY = 10;
/** A put waits for an fsync that it shares with others. */
const STORE_CONCURRENCY = 200;
const DEFAULT_MAX_BYTES = 104_857_600;

/** `<appid>/<bucket>` of the target. Throws ConfigFaults if the settings do not have it. */
export function bucketIdOf(rest: Pick<RestPlace, "appid" | "bucket"> | undefined, settings: Settings): string {
  const ids = settings.projects.flatMap(({ appid, buckets }) => buckets.map(({ name }) => `${appid}/${name}`));
  const wanted = rest === undefined ? ids[0] : `${rest.appid}/${rest.bucket}`;
  if (rest === undefined && ids.length > 1)
    throw new ConfigFaults([
      `Options appinfo.appid and appinfo.bucket must name one of the buckets: ${ids.join(", ")}.`,
    ]);
  if (wanted === undefined || !ids.includes(wanted))
    throw new ConfigFaults([
      `Options appinfo.appid and appinfo.bucket name ${wanted}, which the settings do not have.`,
    ]);
  return wanted;
}

/** Throws data_locked if a server runs on the data folder, store_failed, settings_invalid and ConfigFaults. */
export async function openTarget(options: TargetOptions): Promise<MigrationParts> {
  const { config, settings } = options;
  return settings === undefined ? openRest(options, config.rest!) : openStore(options, settings);
}

function openRest({ config, spoolDir, log }: TargetOptions, rest: RestPlace): MigrationParts {
  const dir = emptied(spoolDir);
  const spools = createSpoolPool({ dir, memoryBytes: REST_SPOOL_BYTES, digests: ALL_DIGESTS, log });
  const target = createRestTarget({ ...rest, timeoutMs: config.tool.timeoutMs });
  return {
    target,
    spools,
    maxBytes: config.tool.maxObjectBytes ?? DEFAULT_MAX_BYTES,
    concurrency: config.tool.concurrency ?? REST_CONCURRENCY,
    async close() {
      await target.close();
      await spools.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function openStore({ config, log }: TargetOptions, settings: Settings): Promise<MigrationParts> {
  const bucketId = bucketIdOf(config.rest, settings);
  const now = Date.now;
  const stores = await openStores(settings, { log, now, changed: () => undefined, wasUsed: () => false });
  const { objectSize, spoolMemory } = settings.limits;
  const bucket = createBucket({ driver: stores.store.bucket(bucketId), now, maxObjectBytes: objectSize });
  const target = createStoreTarget({ bucket, put: bucket.put });
  const spools = createSpoolPool({
    // Below the store's own, whose files another run of the server may have left to be stored.
    dir: emptied(join(stores.spoolDir, "migration")),
    memoryBytes: spoolMemory,
    digests: settings.store.type === "s3" ? ALL_DIGESTS : new Set(),
    log,
    room: stores.freeSpace.spoolAllowance,
  });
  return {
    target,
    spools,
    maxBytes: Math.min(config.tool.maxObjectBytes ?? objectSize, objectSize),
    concurrency: config.tool.concurrency ?? STORE_CONCURRENCY,
    async close() {
      await target.close();
      await spools.close();
      await stores.close();
    },
  };
}

/** A killed run has left its files. */
function emptied(dir: string): string {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return dir;
}
