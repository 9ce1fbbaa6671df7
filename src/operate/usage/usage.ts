// Daily usage of each bucket (UTC): requests and bytes by operation, and the size of the bucket. Counts collect in
// memory, which is cheap enough for hits, and go to the ledger every 5 s. A crash loses the counts since then.
import type { Log } from "../../core/log.ts";
import type { Ledger, LedgerPlan, LedgerRow } from "../../ledger/ledger.ts";
import type { OperationName } from "../admin/operation.ts";
import type { Counts, DayOfUse } from "./contract.ts";

export type UseName = "download" | OperationName;

/** Stored objects of one bucket and their bytes. */
export interface BucketSize {
  readonly bucketId: string;
  readonly objects: number;
  readonly bytes: number;
}

export interface Usage {
  /** Returns at once. */
  count(
    bucketId: string,
    use: UseName,
    { isFailed, bytes }: { readonly isFailed: boolean; readonly bytes: number },
  ): void;
  /**
   * Days from `from` to `to`, both inclusive, in ascending order. At most 10,000 rows are read. Throws store_failed.
   */
  days(range: {
    readonly bucketId: string | undefined;
    readonly from: string;
    readonly to: string;
  }): Promise<readonly DayOfUse[]>;
  close(): Promise<void>;
}

export interface UsageOptions {
  readonly ledger: Ledger<keyof typeof USAGE_PLAN.statements>;
  /** Measures all buckets of the settings; may take minutes. */
  readonly bucketSizes: () => AsyncIterable<BucketSize>;
  /** Interval between two measurements while buckets are used. Milliseconds. */
  readonly measureEveryMs: number;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

const FLUSH_MS = 5_000;
const DAY_MS = 86_400_000;
const RETENTION_DAYS = 400;
const MAX_ROWS = 10_000;

// By number, not by the time: a clock that is wrong for a while removes nothing.
const forget = (table: "uses" | "held") =>
  `DELETE FROM ${table} WHERE day <= (SELECT DISTINCT day FROM ${table} ORDER BY day DESC LIMIT 1 OFFSET ${RETENTION_DAYS})`;

export const USAGE_PLAN = {
  name: "usage",
  steps: [
    `CREATE TABLE uses (
       day TEXT NOT NULL,
       bucket TEXT NOT NULL,
       operation TEXT NOT NULL,
       requests INTEGER NOT NULL,
       failures INTEGER NOT NULL,
       bytes INTEGER NOT NULL,
       PRIMARY KEY (day, bucket, operation)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE held (
       day TEXT NOT NULL,
       bucket TEXT NOT NULL,
       objects INTEGER NOT NULL,
       bytes INTEGER NOT NULL,
       PRIMARY KEY (day, bucket)
     ) STRICT, WITHOUT ROWID;`,
  ],
  statements: {
    count: `INSERT INTO uses VALUES (@day, @bucket, @operation, @requests, @failures, @bytes)
      ON CONFLICT DO UPDATE SET requests = requests + @requests, failures = failures + @failures, bytes = bytes + @bytes`,
    hold: `INSERT INTO held VALUES (@day, @bucket, @objects, @bytes)
      ON CONFLICT DO UPDATE SET objects = @objects, bytes = @bytes`,
    uses: `SELECT * FROM uses WHERE day BETWEEN @from AND @to AND (@bucket IS NULL OR bucket = @bucket)
      ORDER BY day, bucket LIMIT ${MAX_ROWS}`,
    held: `SELECT * FROM held WHERE day BETWEEN @from AND @to AND (@bucket IS NULL OR bucket = @bucket)
      ORDER BY day, bucket LIMIT ${MAX_ROWS}`,
    ...{ forgetUses: forget("uses"), forgetHeld: forget("held") },
  },
} as const satisfies LedgerPlan<string>;

export function createUsage({ ledger, bucketSizes, measureEveryMs, log, now }: UsageOptions): Usage {
  /** Bounded by the numbers of buckets and operations. */
  let counted = new Map<string, Map<UseName, Counts>>();
  let sweptOn = "";
  let measuredAt: number | undefined;
  let isMeasuring = false;
  let isClosed = false;

  function add(bucketId: string, use: UseName, { requests, failures, bytes }: Counts): void {
    let counts = counted.get(bucketId)?.get(use);
    if (counts === undefined) {
      counts = { requests: 0, failures: 0, bytes: 0 };
      counted.set(bucketId, (counted.get(bucketId) ?? new Map<UseName, Counts>()).set(use, counts));
    }
    counts.requests += requests;
    counts.failures += failures;
    counts.bytes += bytes;
  }

  async function flush(): Promise<void> {
    if (counted.size === 0) return;
    const taken = counted;
    counted = new Map();
    const day = dayOf(now());
    const rows = [...taken].flatMap(([bucket, uses]) =>
      [...uses].map(([operation, counts]): LedgerRow => ({ day, bucket, operation, ...counts })),
    );
    try {
      await ledger.write("count", ...rows);
    } catch (error) {
      log.warn({ err: error }, "cannot write the usage of the buckets; will retry");
      for (const [bucketId, uses] of taken) for (const [use, counts] of uses) add(bucketId, use, counts);
      return;
    }
    measureLater(day);
  }

  /** Measures in the background, because listing a large bucket may take minutes. */
  function measureLater(day: string): void {
    if (isMeasuring || isClosed) return;
    isMeasuring = true;
    measure(day)
      .catch((error: unknown) => {
        if (!isClosed) log.warn({ err: error }, "cannot measure the size of the buckets");
      })
      .finally(() => {
        isMeasuring = false;
      });
  }

  /** Runs only after use, because an unused bucket keeps its size. */
  async function measure(day: string): Promise<void> {
    if (sweptOn !== day) {
      await ledger.write("forgetUses", {});
      await ledger.write("forgetHeld", {});
      sweptOn = day;
    }
    if (measuredAt !== undefined && Math.abs(now() - measuredAt) < measureEveryMs) return;
    const isFirst = measuredAt === undefined;
    measuredAt = now();
    const today = { bucket: null, from: day, to: day };
    // An expensive measurement (S3) is not repeated after a restart on the same day.
    if (isFirst && measureEveryMs >= DAY_MS && (await ledger.read("held", today)).length > 0) return;
    for await (const { bucketId: bucket, objects, bytes } of bucketSizes()) {
      if (isClosed) return;
      await ledger.write("hold", { day, bucket, objects, bytes });
    }
  }

  let flushing: Promise<void> | undefined;
  const flushOnce = () => {
    flushing ??= flush().finally(() => {
      flushing = undefined;
    });
    return flushing;
  };
  const timer = setInterval(() => void flushOnce(), FLUSH_MS).unref();

  return {
    count(bucketId, use, { isFailed, bytes }) {
      add(bucketId, use, { requests: 1, failures: Number(isFailed), bytes });
    },
    async days({ bucketId, from, to }) {
      // A write that runs already lacks what was counted since it began.
      await flushing;
      await flushOnce();
      const range = { bucket: bucketId ?? null, from, to };
      return merged(await ledger.read("uses", range), await ledger.read("held", range));
    },
    async close() {
      clearInterval(timer);
      isClosed = true;
      await flushing;
      await flush();
    },
  };
}

/** `2015-07-17`, UTC. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** `uses`, `held`: rows of the tables, which only this program writes. */
function merged(uses: readonly LedgerRow[], held: readonly LedgerRow[]): readonly DayOfUse[] {
  const days = new Map<string, DayOfUse>();
  const dayAt = (row: LedgerRow): DayOfUse => {
    const [day, bucket] = [String(row.day), String(row.bucket)];
    const known = days.get(`${day} ${bucket}`) ?? { day, bucket, operations: {} };
    days.set(`${day} ${bucket}`, known);
    return known;
  };
  for (const row of uses) {
    const { requests, failures, bytes } = row;
    const counts = { requests: Number(requests), failures: Number(failures), bytes: Number(bytes) };
    dayAt(row).operations[String(row.operation)] = counts;
  }
  for (const row of held) dayAt(row).stored = { objects: Number(row.objects), bytes: Number(row.bytes) };
  return [...days].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, day]) => day);
}
