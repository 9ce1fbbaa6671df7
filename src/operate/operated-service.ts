// Opens the mirror with what its operator reads: metrics, the operation log and usage counters. The server uses it, and
// commands that find no running server, in their own process.
import { createPauses } from "../async/pauses.ts";
import type { Log } from "../core/log.ts";
import { createLedgers } from "../ledger/ledger.ts";
import { openService, type Service } from "../serve/wiring/service.ts";
import type { Settings } from "../settings/schema/schema.ts";
import type { MetricSources } from "./admin/metric-values.ts";
import { createMetrics, type Metrics } from "./admin/metrics.ts";
import { readLastBackups } from "./backups/last-backups.ts";
import { createOperationLog, OPERATIONS_PLAN, type OperationLog } from "./operations/operation-log.ts";
import { type BucketSize, createUsage, dayOf, USAGE_PLAN, type Usage } from "./usage/usage.ts";

export interface OperatedService {
  readonly service: Service;
  readonly metrics: Metrics;
  readonly operations: OperationLog;
  readonly usage: Usage;
  /** `isReady`: whether the server may be sent traffic. */
  metricSources(isReady: () => Promise<boolean>): MetricSources;
  /** The size of all buckets, without listing one; undefined: not counted yet. Throws store_failed. */
  stored(): Promise<{ readonly objects: number; readonly bytes: number } | undefined>;
  close(): Promise<void>;
}

const COUNT_MS = 600_000;
// S3 has no totals, so each count lists the whole bucket.
const COUNT_IN_S3_MS = 86_400_000;

/** Throws as openService(), and leaves nothing open then. */
export async function openOperatedService(settings: Settings, log: Log): Promise<OperatedService> {
  const metrics = createMetrics();
  const service = await openService({ settings, meters: metrics, log }).catch((error: unknown) => {
    metrics.stop();
    throw error;
  });
  const { buckets } = service.registry;
  const ledgers = createLedgers({ dir: settings.data, log });
  const operations = createOperationLog({ ledger: ledgers.open(OPERATIONS_PLAN), log, now: Date.now });
  const usage = createUsage({
    ledger: ledgers.open(USAGE_PLAN),
    bucketSizes: () => bucketSizesIn(buckets()),
    measureEveryMs: settings.store.type === "fs" ? COUNT_MS : COUNT_IN_S3_MS,
    log,
    now: Date.now,
  });
  return {
    ...{ service, metrics, operations, usage },
    metricSources: (isReady) => ({ ...service.gauges, isReady, backups: () => readLastBackups(settings.data) }),
    stored: () => storedIn(settings, buckets(), usage),
    async close() {
      await service.callbacks.close();
      await operations.close();
      await usage.close();
      await ledgers.close();
      await service.close();
      metrics.stop();
    },
  };
}

type BucketSites = ReturnType<Service["registry"]["buckets"]>;

async function* bucketSizesIn(buckets: BucketSites): AsyncIterable<BucketSize> {
  for (const [bucketId, [{ stored }]] of buckets) yield { bucketId, ...(await stored.bucket.usage()) };
}

const COUNTED_DAYS_MS = 7 * 86_400_000;

/** A folder knows its size; S3 would list all of it, so its last daily count is read. */
async function storedIn(
  { store }: Settings,
  buckets: BucketSites,
  usage: Usage,
): ReturnType<OperatedService["stored"]> {
  const counts = store.type === "fs" ? undefined : await lastCounts(usage, Date.now());
  const pause = createPauses();
  let total: { readonly objects: number; readonly bytes: number } | undefined;
  for (const [id, [{ stored }]] of buckets) {
    const size = counts === undefined ? await stored.bucket.usage() : counts.get(id);
    if (size !== undefined)
      total = { objects: (total?.objects ?? 0) + size.objects, bytes: (total?.bytes ?? 0) + size.bytes };
    await pause();
  }
  return total;
}

async function lastCounts(usage: Usage, now: number) {
  const days = await usage.days({ bucketId: undefined, from: dayOf(now - COUNTED_DAYS_MS), to: dayOf(now) });
  return new Map(days.flatMap(({ bucket, stored }) => (stored === undefined ? [] : [[bucket, stored] as const])));
}
