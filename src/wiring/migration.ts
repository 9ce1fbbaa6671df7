// Part of the composition root: makes the source, the target and the spools of a migration from its config.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ALL_DIGESTS } from "../body/spool/hashing.ts";
import { createSpoolPool, type SpoolPool, type SpoolPoolOptions } from "../body/spool/spool-pool.ts";
import { createBucket } from "../bucket/contract/bucket.ts";
import { HuiyuanError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { ConfigFaults, type MigrationConfig, type RestPlace } from "../migrate/config/config.ts";
import type { Target } from "../migrate/target.ts";
import { createAdminTarget, type SendToAdmin } from "../migrate/targets/admin.ts";
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
  /** The admin API of the server that runs with these settings; undefined if none runs. */
  readonly admin: SendToAdmin | undefined;
  /** A folder for spool files, unless the store has one. It is emptied. */
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

/** Throws data_locked if a server runs that cannot be reached, store_failed, settings_invalid and ConfigFaults. */
export async function openTarget(options: TargetOptions): Promise<MigrationParts> {
  const { config, settings, admin } = options;
  const { tool } = config;
  if (settings === undefined) {
    const target = createRestTarget({ ...config.rest!, timeoutMs: tool.timeoutMs });
    return openFar(options, { target, concurrency: REST_CONCURRENCY, digests: ALL_DIGESTS });
  }
  if (admin === undefined) return openStore(options, settings);
  const target = createAdminTarget({ send: admin, bucketId: bucketIdOf(config.rest, settings) });
  const maxBytes = settings.limits.objectSize;
  return openFar(options, { target, concurrency: ADMIN_CONCURRENCY, digests: new Set(), maxBytes });
}

function openFar(
  { config: { tool }, spoolDir, log }: TargetOptions,
  far: Pick<MigrationParts, "target" | "concurrency"> &
    Required<Pick<SpoolPoolOptions, "digests">> & { readonly maxBytes?: number },
): MigrationParts {
  const { target, digests, maxBytes = DEFAULT_MAX_BYTES } = far;
  const dir = emptied(spoolDir);
  const spools = createSpoolPool({ dir, memoryBytes: SPOOL_BYTES, digests, log });
  return {
    target,
    spools,
    maxBytes: Math.min(tool.maxObjectBytes ?? maxBytes, far.maxBytes ?? Number.POSITIVE_INFINITY),
    concurrency: tool.concurrency ?? far.concurrency,
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
  const parts = { log, now, changed: () => undefined, wasUsed: () => false };
  const stores = await openStores(settings, parts).catch((error: unknown) => {
    if (!(error instanceof HuiyuanError) || error.code !== "data_locked") throw error;
    const reach = "it is not on the admin port of these settings: set server.adminPort, or stop it";
    throw new HuiyuanError("data_locked", `a server uses ${settings.data}, but ${reach}`, { cause: error });
  });
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
