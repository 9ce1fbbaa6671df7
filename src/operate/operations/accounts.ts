// Part of the composition root: opens the ledgers beside the store, for callbacks, the operation log and usage
// counters. It does not write objects.
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { isKey } from "../../core/object.ts";
import { readVersion } from "../../core/version.ts";
import { createLedgers } from "../../ledger/ledger.ts";
import { createFailureLog } from "../../serve/mirror/failure-log.ts";
import { createSystemResolve } from "../../serve/origin/dial/lookup.ts";
import type { Uploaded } from "../../serve/upload/callback/callback.ts";
import type { CallbackTarget } from "../../serve/upload/callback/delivery.ts";
import { type CallbackMeter, createNotices, type Notices } from "../../serve/upload/callback/notices.ts";
import { createOutbox, OUTBOX_PLAN, type Outbox } from "../../serve/upload/callback/outbox.ts";
import type { SiteRegistry } from "../../serve/wiring/sites.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import { type BucketSize, createUsage, USAGE_PLAN, type Usage } from "../usage/usage.ts";
import { createOperationLog, OPERATIONS_PLAN, type OperationLog } from "./operation-log.ts";

export interface Accounts {
  /** Sends callbacks to business servers, also the pending ones of earlier runs once `apply` was called. */
  readonly notices: Notices;
  readonly outbox: Outbox;
  readonly operations: OperationLog;
  readonly usage: Usage;
  /** Applies new settings to callbacks that are sent from now on. */
  apply(settings: Settings): void;
  /** Stops sending callbacks and writes buffered entries. */
  close(): Promise<void>;
}

export interface AccountsParts {
  /** Undefined until the sites exist. */
  readonly registry: () => SiteRegistry | undefined;
  readonly meter: CallbackMeter;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

const COUNT_MS = 600_000;
// S3 has no totals, so each count lists the whole bucket.
const COUNT_IN_S3_MS = 86_400_000;

/** Opens each ledger at its first use. The caller holds the data folder's lock until close() has resolved. */
export function createAccounts({ data, store }: Settings, { registry, meter, log, now }: AccountsParts): Accounts {
  const ledgers = createLedgers({ dir: data, log });
  const outbox = createOutbox(ledgers.open(OUTBOX_PLAN));
  const operations = createOperationLog({ ledger: ledgers.open(OPERATIONS_PLAN), log, now });
  const usage = createUsage({
    ledger: ledgers.open(USAGE_PLAN),
    bucketSizes: () => bucketSizesIn(registry()),
    measureEveryMs: store.type === "fs" ? COUNT_MS : COUNT_IN_S3_MS,
    log,
    now,
  });
  const notices = createNotices({
    outbox,
    isStored: (uploaded) => isStored(uploaded, registry()),
    userAgent: `Huiyuan/${readVersion()}`,
    resolve: createSystemResolve(),
    meter,
    now,
    log,
    failures: createFailureLog(log, {}, "callbacks"),
  });
  return {
    notices,
    outbox,
    operations,
    usage,
    apply: (settings) => notices.apply(callbackTargets(settings)),
    async close() {
      await notices.close();
      await operations.close();
      await usage.close();
      await ledgers.close();
    },
  };
}

async function* bucketSizesIn(registry: SiteRegistry | undefined): AsyncGenerator<BucketSize, void, undefined> {
  for (const [bucketId, [{ stored }]] of registry?.buckets() ?? [])
    yield { bucketId, ...(await stored.bucket.usage()) };
}

/** By `<appid>/<bucket>`. */
function callbackTargets({ projects }: Settings): ReadonlyMap<string, CallbackTarget> {
  return new Map(
    projects.flatMap(({ appid, buckets }) =>
      buckets.flatMap(({ name, callback }): [string, CallbackTarget][] => {
        if (callback === undefined) return [];
        const { timeout: timeoutMs, ...rest } = callback;
        return [[`${appid}/${name}`, { ...rest, timeoutMs }]];
      }),
    ),
  );
}

/** False for a mirrored object under the same name, even if its bytes are equal: nobody uploaded it. */
async function isStored(
  { appid, bucket, fileid, sha1 }: Uploaded,
  registry: SiteRegistry | undefined,
): Promise<boolean> {
  const stored = registry?.storedOf(`${appid}/${bucket}`);
  if (stored === undefined)
    throw new HuiyuanError("internal", `Cannot look up "${fileid}": its bucket is not in the settings`);
  if (!isKey(fileid)) return false;
  const entry = await stored.bucket.lookup(fileid);
  if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
  return entry.state === "object" && entry.info.provenance.via !== "mirror" && entry.info.hashes.sha1 === sha1;
}
