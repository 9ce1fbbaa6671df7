// Part of the composition root: makes the target and the spools of a migration from its config.
import { mkdirSync, rmSync } from "node:fs";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { DigestName } from "../../../core/object.ts";
import { createSpoolPool } from "../../../serve/body/spool/spool-pool.ts";
import { createBucket } from "../../../serve/bucket/contract/bucket.ts";
import { openStores } from "../../../serve/wiring/stores.ts";
import type { Settings } from "../../../settings/schema/schema.ts";
import { ConfigFaults, type MigrationConfig } from "../config/config.ts";
import type { CopyContext } from "../runner/copy.ts";
import type { SendToAdmin } from "../target.ts";
import { createAdminTarget } from "../targets/admin.ts";
import { createRestTarget } from "../targets/rest.ts";
import { createStoreTarget } from "../targets/store.ts";
import { bucketOfDomain } from "./sources.ts";

export interface MigrationTarget extends Pick<CopyContext, "target" | "spools" | "maxBytes"> {
  /** Objects at once, unless the config says. */
  readonly concurrency: number;
  /** Objects that only the disk of this machine has, until a server has put them into S3. */
  backlog(): number;
  close(): Promise<void>;
}

export interface TargetOptions {
  readonly config: MigrationConfig;
  /** `<appid>/<bucket>` of the target. Undefined: the target is the REST API of the config. */
  readonly bucketId: string | undefined;
  /** The settings whose store is the target. */
  readonly settings: Settings | undefined;
  /** The admin API of the server that is the target, or that runs with these settings. */
  readonly admin: SendToAdmin | undefined;
  /** A folder for spool files, unless the store has one. It is emptied, and removed at the end. */
  readonly spoolDir: string;
  readonly log: Log;
}

const SPOOL_BYTES = 67_108_864;
const REST_CONCURRENCY = 10;
/** The server takes as many bodies at once. */
const ADMIN_CONCURRENCY = 64;
/** A put waits for an fsync that it shares with others. */
const STORE_CONCURRENCY = 100;
const DEFAULT_MAX_BYTES = 104_857_600;

/** The bucket of the settings, or the one of these ids, that the config names; or the only one. Throws ConfigFaults. */
export function targetBucket({ source, rest }: MigrationConfig, known: Settings | readonly string[]): string {
  const ids = "projects" in known ? bucketsFor(source, known) : known;
  const wanted = rest === undefined ? ids : ids.filter((id) => id === `${rest.appid}/${rest.bucket}`);
  if (wanted.length === 1) return wanted.join();
  const found = rest === undefined ? "are missing" : `name ${rest.appid}/${rest.bucket}`;
  if (ids.length === 0)
    throw new ConfigFaults(["The target has no bucket yet: make one first, in the console or the settings."]);
  throw new ConfigFaults([
    `Options appinfo.appid and appinfo.bucket ${found}, but must name one of: ${ids.join(", ")}.`,
  ]);
}

function bucketsFor(source: MigrationConfig["source"], settings: Settings): readonly string[] {
  // The origins of a domain are copied into its own bucket.
  if (source.type === "origins") return [bucketOfDomain(settings, source.host)];
  return settings.projects.flatMap(({ appid, buckets }) => buckets.map(({ name }) => `${appid}/${name}`));
}

/** Throws data_locked if a server runs that cannot be reached, and store_failed. */
export async function openTarget(options: TargetOptions): Promise<MigrationTarget> {
  const { config, bucketId, settings, admin } = options;
  const { maxObjectBytes, concurrency, timeoutMs } = config.tool;
  const objectSize = settings?.limits.objectSize;
  const maxBytes = Math.min(maxObjectBytes ?? objectSize ?? DEFAULT_MAX_BYTES, objectSize ?? Number.POSITIVE_INFINITY);
  const bounds = (objects: number) => ({ maxBytes, concurrency: concurrency ?? objects });
  if (bucketId === undefined) {
    const target = createRestTarget({ ...config.rest!, timeoutMs });
    return { target, ...bounds(REST_CONCURRENCY), ...openSpools(options) };
  }
  if (admin === undefined)
    return { ...bounds(STORE_CONCURRENCY), ...(await openStore(settings!, bucketId, options.log)) };
  const target = createAdminTarget(admin, bucketId);
  return { target, ...bounds(ADMIN_CONCURRENCY), ...openSpools(options, { digests: new Set() }) };
}

function openSpools({ spoolDir: dir, log }: TargetOptions, more: { readonly digests?: ReadonlySet<DigestName> } = {}) {
  // A killed run has left its files.
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const spools = createSpoolPool({ dir, memoryBytes: SPOOL_BYTES, log, ...more });
  return {
    spools,
    backlog: () => 0,
    async close() {
      await spools.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function openStore(settings: Settings, bucketId: string, log: Log) {
  const now = Date.now;
  const parts = { log, now, changed: () => undefined, wasUsed: () => false };
  const { store, spools, backlog, close } = await openStores(settings, parts).catch((error: unknown) => {
    if (!(error instanceof HuiyuanError) || error.code !== "data_locked") throw error;
    const who = "another run, or a server that is not on the admin port of these settings";
    const message = `${settings.data} is in use by ${who}: wait for the run, or set server.adminPort`;
    throw new HuiyuanError("data_locked", message, { cause: error });
  });
  const bucket = createBucket({ driver: store.bucket(bucketId), now, maxObjectBytes: settings.limits.objectSize });
  const target = createStoreTarget({ bucket, put: bucket.put });
  return { target, spools, backlog: () => backlog().depth, close };
}
