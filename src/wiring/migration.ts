// Part of the composition root: makes the target and the spools of a migration from its config.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ALL_DIGESTS } from "../body/spool/hashing.ts";
import { createSpoolPool, type SpoolPool, type SpoolPoolOptions } from "../body/spool/spool-pool.ts";
import { createBucket } from "../bucket/contract/bucket.ts";
import { HuiyuanError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { ConfigFaults, type MigrationConfig } from "../migrate/config/config.ts";
import type { Target } from "../migrate/target.ts";
import { createAdminTarget, type SendToAdmin } from "../migrate/targets/admin.ts";
import { createRestTarget } from "../migrate/targets/rest.ts";
import { createStoreTarget } from "../migrate/targets/store.ts";
import type { Settings } from "../settings/schema/schema.ts";
import { bucketOfDomain } from "./migration-sources.ts";
import { openStores } from "./stores.ts";

export interface MigrationTarget {
  readonly target: Target;
  readonly spools: SpoolPool;
  readonly maxBytes: number;
  /** Objects at once, unless the config says. */
  readonly concurrency: number;
  close(): Promise<void>;
}

/** A bucket of the store of these settings. */
export interface StorePlace {
  readonly settings: Settings;
  /** `<appid>/<bucket>` */
  readonly bucketId: string;
}

export interface TargetOptions {
  readonly config: MigrationConfig;
  /** Undefined: the target is the REST API of the config. */
  readonly store: StorePlace | undefined;
  /** The admin API of the server that runs with these settings; undefined if none runs. */
  readonly admin: SendToAdmin | undefined;
  /** A folder for spool files, unless the store has one. It is emptied, and removed by close(). */
  readonly spoolDir: string;
  readonly log: Log;
}

const SPOOL_BYTES = 67_108_864;
const REST_CONCURRENCY = 10;
/** The server takes as many bodies at once. */
const ADMIN_CONCURRENCY = 64;
/** A put waits for an fsync that it shares with others. */
const STORE_CONCURRENCY = 200;
const DEFAULT_MAX_BYTES = 104_857_600;

/** `<appid>/<bucket>` of the target: the one that the config names, or the only one. Throws ConfigFaults. */
export function targetBucket({ source, rest }: MigrationConfig, settings: Settings): string {
  const all = settings.projects.flatMap(({ appid, buckets }) => buckets.map(({ name: bucket }) => ({ appid, bucket })));
  // The origins of a domain are copied into its own bucket.
  const allowed = source.type === "origins" ? [bucketOfDomain(settings, source.host)] : all;
  const ids = allowed.map(({ appid, bucket }) => `${appid}/${bucket}`);
  const wanted = rest === undefined ? ids : ids.filter((id) => id === `${rest.appid}/${rest.bucket}`);
  if (wanted.length === 1) return wanted.join();
  const found = rest === undefined ? "are missing" : `name ${rest.appid}/${rest.bucket}`;
  throw new ConfigFaults([
    `Options appinfo.appid and appinfo.bucket ${found}, but must name one of: ${ids.join(", ")}.`,
  ]);
}

/** Throws data_locked if a server runs that cannot be reached, and store_failed. */
export async function openTarget({ config, store, admin, spoolDir, log }: TargetOptions): Promise<MigrationTarget> {
  const { tool, rest } = config;
  const end =
    store === undefined
      ? { target: createRestTarget({ ...rest!, timeoutMs: tool.timeoutMs }), concurrency: REST_CONCURRENCY }
      : admin === undefined
        ? await openStore(store, log)
        : { target: createAdminTarget({ send: admin, bucketId: store.bucketId }), concurrency: ADMIN_CONCURRENCY };
  const digests = store === undefined ? ALL_DIGESTS : new Set<never>();
  const spool = { dir: spoolDir, memoryBytes: SPOOL_BYTES, digests, ...("spool" in end && end.spool), log };
  // A killed run has left its files.
  rmSync(spool.dir, { recursive: true, force: true });
  mkdirSync(spool.dir, { recursive: true, mode: 0o700 });
  const spools = createSpoolPool(spool);
  const most = store?.settings.limits.objectSize;
  return {
    target: end.target,
    spools,
    maxBytes: Math.min(tool.maxObjectBytes ?? most ?? DEFAULT_MAX_BYTES, most ?? Number.POSITIVE_INFINITY),
    concurrency: tool.concurrency ?? end.concurrency,
    async close() {
      await end.target.close();
      await spools.close();
      rmSync(spool.dir, { recursive: true, force: true });
      if ("close" in end) await end.close();
    },
  };
}

async function openStore({ settings, bucketId }: StorePlace, log: Log) {
  const now = Date.now;
  const parts = { log, now, changed: () => undefined, wasUsed: () => false };
  const stores = await openStores(settings, parts).catch((error: unknown) => {
    if (!(error instanceof HuiyuanError) || error.code !== "data_locked") throw error;
    const reach = "it is not on the admin port of these settings: set server.adminPort, or stop it";
    throw new HuiyuanError("data_locked", `a server uses ${settings.data}, but ${reach}`, { cause: error });
  });
  const bucket = createBucket({
    driver: stores.store.bucket(bucketId),
    now,
    maxObjectBytes: settings.limits.objectSize,
  });
  const spool: Partial<SpoolPoolOptions> & Pick<SpoolPoolOptions, "dir"> = {
    // Below the store's own, whose files another run of the server may have left to be stored.
    dir: join(stores.spoolDir, "migration"),
    memoryBytes: settings.limits.spoolMemory,
    ...(settings.store.type === "s3" && { digests: ALL_DIGESTS }),
    room: stores.freeSpace.spoolAllowance,
  };
  return {
    target: createStoreTarget({ bucket, put: bucket.put }),
    concurrency: STORE_CONCURRENCY,
    spool,
    close: () => stores.close(),
  };
}
