// Part of the composition root: what a server owes to business servers, what was done to its buckets and what they were used
// for. All of it lies in ledgers beside the store.
import { HuiyuanError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { isKey } from "../core/object.ts";
import { readVersion } from "../core/version.ts";
import { createOperationLog, OPERATIONS_PLAN, type OperationLog } from "../insight/operation-log.ts";
import { type BucketSize, createUsage, USAGE_PLAN, type Usage } from "../insight/usage.ts";
import { createLedgers } from "../ledger/ledger.ts";
import { createSystemResolve } from "../origin/dial/lookup.ts";
import type { Settings } from "../settings/schema/schema.ts";
import type { Uploaded } from "../upload/callback/callback.ts";
import type { CallbackTarget } from "../upload/callback/delivery.ts";
import { type CallbackMeter, createNotices, type Notices } from "../upload/callback/notices.ts";
import { createOutbox, OUTBOX_PLAN, type Outbox } from "../upload/callback/outbox.ts";
import type { SiteRegistry } from "./sites.ts";

export interface Accounts {
  /** Tells business servers of uploads; sends what is owed from before once it is told to. */
  readonly notices: Notices;
  readonly outbox: Outbox;
  readonly operations: OperationLog;
  readonly usage: Usage;
  /** Puts new settings in force for what begins from now on. */
  apply(settings: Settings): void;
  /** Nothing is sent any more, and what was noted is written down. */
  close(): Promise<void>;
}

export interface AccountsParts {
  /** Undefined until the sites are made. */
  readonly registry: () => SiteRegistry | undefined;
  readonly meter: CallbackMeter;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

const LOOK_MS = 600_000;
// S3 keeps no sums, so that looking is a listing.
const LOOK_IN_S3_MS = 86_400_000;

/** Opens nothing before it is needed. The data folder's lock is held until this is closed. */
export function createAccounts({ data, store }: Settings, { registry, meter, log, now }: AccountsParts): Accounts {
  const ledgers = createLedgers({ dir: data, log });
  const outbox = createOutbox(ledgers.open(OUTBOX_PLAN));
  const operations = createOperationLog({ ledger: ledgers.open(OPERATIONS_PLAN), log, now });
  const usage = createUsage({
    ledger: ledgers.open(USAGE_PLAN),
    bucketSizes: () => bucketSizesIn(registry()),
    measureEveryMs: store.type === "fs" ? LOOK_MS : LOOK_IN_S3_MS,
    log,
    now,
  });
  const notices = createNotices({
    outbox,
    isStored: (uploaded) => isStored(uploaded, registry()),
    userAgent: `Huiyuan/${readVersion()}`,
    resolve: createSystemResolve({ log }),
    meter,
    now,
    log,
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
  const buckets = new Map(registry?.domains().map(({ stored }) => [stored.bucketId, stored.bucket]));
  for (const [bucketId, bucket] of buckets) yield { bucketId, ...(await bucket.usage()) };
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

/** What a mirror brought under the same name is another file, also where it has the same bytes: nobody uploaded it. */
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
