// The operation log of all buckets. Entries collect in memory, are written to the ledger every second off the request
// path, and are kept for 30 days on which the server runs. A crash loses the entries since the last write. Only ids say
// which entry is earlier, because the clock may be wrong for a while: no entry is removed for its time.
import type { Log } from "../../core/log.ts";
import type { Ledger, LedgerPlan, LedgerRow } from "../../ledger/ledger.ts";
import type { InputOf } from "../admin/contract/contract.ts";
import type { Operation } from "../admin/operation.ts";
import type { LogEntry, LogPage, showLogCsv } from "./contract.ts";
import { withoutSign } from "./logged-operation.ts";

/** An undefined field does not filter. Times are Unix milliseconds, both inclusive. */
export interface OperationFilter extends Omit<InputOf<typeof showLogCsv>, "bucket"> {
  readonly bucketId: string | undefined;
}

/** `after`: the id of the entry before. */
export type PageRange = Readonly<Record<"after" | "limit", number>>;

export interface OperationLog {
  /** Returns at once. Long texts are cut. With 10,000 unwritten entries, further ones are lost and counted. */
  record(operation: Operation): void;
  /**
   * Matching entries after an id, by ascending ids. A full page has a `next`: the `after` of the next one. Throws
   * store_failed.
   */
  page(filter: OperationFilter, range: PageRange): Promise<LogPage>;
  /** The newest matching entries, by ascending ids. */
  latest(filter: OperationFilter, limit: number): Promise<readonly LogEntry[]>;
  /** Writes all unwritten entries. */
  flush(): Promise<void>;
  /** Flushes once more. */
  close(): Promise<void>;
}

export interface OperationLogOptions {
  readonly ledger: Ledger<keyof typeof OPERATIONS_PLAN.statements>;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Limit of kept rows a bucket: successful ones, and failed ones. */
  readonly maxRows?: { readonly done: number; readonly failed: number };
}

const DAY_MS = 86_400_000;
const RETENTION_DAYS = 30;
// Separate limits, so that a flood of refused calls does not evict successful operations.
const MAX_ROWS = { done: 1_000_000, failed: 100_000 };
const MAX_UNWRITTEN = 10_000;
const FLUSH_MS = 1_000;
const AFTER_FAULT_MS = 5_000;
const SWEEP_MS = 60_000;
const REMOVED_AT_ONCE = 2_000;
const MAX_TEXT = 2_048;
const MAX_AGENT = 256;

const dayOf = (time: string) => `CAST(${time} AS INTEGER) / ${DAY_MS}`;
const DAYS = `FROM days WHERE day BETWEEN ${dayOf("@from")} AND ${dayOf("@to")}`;
// The table `days` bounds the ids of a period, so that a filter by time does not read the whole log.
const MATCHES = `(@bucket IS NULL OR bucket = @bucket) AND at BETWEEN @from AND @to AND id > @after
  AND id >= (SELECT min(first) ${DAYS}) AND id <= (SELECT max(last) ${DAYS})`;
// The first id that is kept, or NULL.
const KEPT = `(SELECT first FROM days ORDER BY first DESC LIMIT 1 OFFSET ${RETENTION_DAYS})`;

// The fields of a LogEntry, whose times entryOf() writes. Only this program writes the table.
const COLUMNS = `id, reported_at AS reportedAt, at, bucket, operation, fileid, url, client,
  user_agent AS userAgent, code, message, bytes, request_id AS requestId`;

/** The condition of each statement, which an index on its column answers. All have the same parameters. */
const FILTERS = {
  all: "@operation IS NULL AND @fileid IS NULL",
  byOperation: "operation = @operation AND @fileid IS NULL",
  byFileid: "fileid = @fileid AND (@operation IS NULL OR +operation = @operation)",
};
const select = (filter: keyof typeof FILTERS, order: "ASC" | "DESC") =>
  `SELECT ${COLUMNS} FROM operations WHERE ${FILTERS[filter]} AND ${MATCHES} ORDER BY id ${order} LIMIT @limit`;

export const OPERATIONS_PLAN = {
  name: "operations",
  steps: [
    `CREATE TABLE operations (
       id INTEGER PRIMARY KEY AUTOINCREMENT,
       reported_at INTEGER NOT NULL,
       at INTEGER NOT NULL,
       bucket TEXT NOT NULL,
       operation TEXT NOT NULL,
       fileid TEXT NOT NULL,
       url TEXT NOT NULL,
       client TEXT NOT NULL,
       user_agent TEXT NOT NULL,
       code INTEGER NOT NULL,
       is_failed INTEGER NOT NULL,
       message TEXT NOT NULL,
       bytes INTEGER NOT NULL,
       request_id TEXT NOT NULL
     ) STRICT;
     CREATE INDEX operations_at ON operations (at);
     CREATE INDEX operations_bucket ON operations (bucket, is_failed);

     CREATE TABLE totals (
       bucket TEXT NOT NULL,
       is_failed INTEGER NOT NULL,
       entries INTEGER NOT NULL,
       PRIMARY KEY (bucket, is_failed)
     ) STRICT, WITHOUT ROWID;
     CREATE TRIGGER operation_noted AFTER INSERT ON operations BEGIN
       INSERT INTO totals VALUES (new.bucket, new.is_failed, 1) ON CONFLICT DO UPDATE SET entries = entries + 1;
     END;
     CREATE TRIGGER operation_gone AFTER DELETE ON operations BEGIN
       UPDATE totals SET entries = entries - 1 WHERE bucket = old.bucket AND is_failed = old.is_failed;
     END;`,
    `CREATE INDEX operations_operation ON operations (operation);
     CREATE INDEX operations_fileid ON operations (fileid);`,
    // The first and last id of the entries of each day (UTC), and of each day on which the server ran without entries.
    `DROP INDEX operations_at;
     CREATE TABLE days (day INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;
     INSERT INTO days SELECT at / ${DAY_MS}, min(id), max(id) FROM operations GROUP BY at / ${DAY_MS};
     CREATE TRIGGER operation_dated AFTER INSERT ON operations BEGIN
       INSERT INTO days VALUES (new.at / ${DAY_MS}, new.id, new.id) ON CONFLICT DO UPDATE SET last = new.id;
     END;`,
  ],
  statements: {
    add: `INSERT INTO operations
        (reported_at, at, bucket, operation, fileid, url, client, user_agent, code, is_failed, message, bytes, request_id)
      VALUES (@reportedAt, @at, @bucket, @operation, @fileid, @url, @client, @userAgent, @code, @isFailed, @message, @bytes,
        @requestId)`,
    ...{ allAscending: select("all", "ASC"), allDescending: select("all", "DESC") },
    ...{ byOperationAscending: select("byOperation", "ASC"), byOperationDescending: select("byOperation", "DESC") },
    ...{ byFileidAscending: select("byFileid", "ASC"), byFileidDescending: select("byFileid", "DESC") },
    // Begins with WITH, because the ledger creates its file for a statement that begins with INSERT.
    addDay: `WITH today (day) AS (SELECT ${dayOf("@now")}) INSERT INTO days
      SELECT day, seq + 1, seq FROM today, sqlite_sequence WHERE name = 'operations' ON CONFLICT DO NOTHING`,
    removeOld: `DELETE FROM operations WHERE id IN
      (SELECT id FROM operations WHERE id < ${KEPT} ORDER BY id LIMIT ${REMOVED_AT_ONCE})`,
    removeDays: `DELETE FROM days WHERE last < ${KEPT}`,
    tooMany: `SELECT bucket, is_failed, entries FROM totals
      WHERE entries > CASE is_failed WHEN 0 THEN @done ELSE @failed END`,
    removeFirst: `DELETE FROM operations WHERE id IN
      (SELECT id FROM operations WHERE bucket = @bucket AND is_failed = @isFailed ORDER BY id LIMIT @limit)`,
  },
} as const satisfies LedgerPlan<string>;

export function createOperationLog({ ledger, log, now, maxRows = MAX_ROWS }: OperationLogOptions): OperationLog {
  let unwritten: LedgerRow[] = [];
  let lost = 0;
  let flushing: Promise<void> | undefined;
  let sweptAt = Number.NEGATIVE_INFINITY;
  /** As performance.now(). */
  let retryAt = Number.NEGATIVE_INFINITY;

  function flush(): Promise<void> {
    flushing ??= writeAll().finally(() => {
      flushing = undefined;
    });
    return flushing;
  }

  async function writeAll(): Promise<void> {
    const rows = unwritten;
    unwritten = [];
    const reportedAt = now();
    try {
      await ledger.write("add", ...rows.map((row) => ({ ...row, reportedAt })));
      if (lost > 0) log.warn({ lost }, "operations are missing in the operation log");
      lost = 0;
    } catch (error) {
      unwritten = rows.concat(unwritten);
      lost += Math.max(0, unwritten.length - MAX_UNWRITTEN);
      unwritten.length = Math.min(unwritten.length, MAX_UNWRITTEN);
      log.warn({ err: error, waiting: unwritten.length, lost }, "cannot write the operation log; will retry");
      retryAt = performance.now() + AFTER_FAULT_MS;
      return;
    }
    await sweep();
  }

  /** Removes entries that are too old or over the limit. */
  async function sweep(): Promise<void> {
    if (Math.abs(now() - sweptAt) < SWEEP_MS) return;
    sweptAt = now();
    try {
      await ledger.write("addDay", { now: now() });
      while ((await ledger.write("removeOld", {})) === REMOVED_AT_ONCE);
      await ledger.write("removeDays", {});
      for (const { bucket = "", is_failed: isFailed = 0, entries } of await ledger.read("tooMany", maxRows)) {
        const allowed = isFailed === 0 ? maxRows.done : maxRows.failed;
        for (let surplus = Number(entries) - allowed; surplus > 0; surplus -= REMOVED_AT_ONCE)
          await ledger.write("removeFirst", { bucket, isFailed, limit: Math.min(surplus, REMOVED_AT_ONCE) });
      }
    } catch (error) {
      log.warn({ err: error }, "cannot remove old entries of the operation log; will retry");
    }
  }

  const writing = setInterval(() => {
    if (unwritten.length > 0 && performance.now() >= retryAt) void flush();
  }, FLUSH_MS).unref();
  // Old entries must go even if no new ones arrive.
  const sweeping = setInterval(() => void sweep(), 3_600_000).unref();

  async function search(
    order: "Ascending" | "Descending",
    filter: OperationFilter,
    range: PageRange,
  ): Promise<LogEntry[]> {
    await flush();
    const { bucketId: bucket = null, operation = null, fileid = null } = filter;
    const { from = 0, to = Number.MAX_SAFE_INTEGER } = filter;
    const row = { bucket, operation, fileid, from, to, ...range };
    const by = fileid !== null ? "byFileid" : operation !== null ? "byOperation" : "all";
    return (await ledger.read(`${by}${order}`, row)).map(entryOf);
  }

  return {
    record(operation) {
      if (unwritten.length >= MAX_UNWRITTEN) lost += 1;
      else unwritten.push(toRow(operation));
    },
    async page(filter, range) {
      const entries = await search("Ascending", filter, range);
      return { entries, next: entries.length === range.limit ? entries.at(-1)?.id : undefined };
    },
    async latest(filter, limit) {
      return (await search("Descending", filter, { after: 0, limit })).reverse();
    },
    flush,
    async close() {
      clearInterval(writing);
      clearInterval(sweeping);
      await flush();
      if (unwritten.length > 0) await flush();
      lost += unwritten.length;
      if (lost > 0) log.warn({ lost }, "operations were lost before they could be written to the operation log");
    },
  };
}

function entryOf({ at, reportedAt, ...row }: LedgerRow): LogEntry {
  const iso = (time: LedgerRow[string] | undefined) => new Date(Number(time)).toISOString();
  return { ...row, time: iso(at), reportTime: iso(reportedAt) } as unknown as LogEntry; // As COLUMNS says.
}

function toRow({ bucketId, fileid, url, client, userAgent, message, requestId, ...rest }: Operation): LedgerRow {
  return {
    ...rest, // at, operation, code, bytes
    bucket: bucketId,
    fileid: fileid.slice(0, MAX_TEXT),
    url: withoutSign(url).slice(0, MAX_TEXT),
    client: client.slice(0, MAX_AGENT),
    userAgent: userAgent.slice(0, MAX_AGENT),
    // An upload whose callback failed has bytes: it is stored and counts as done.
    isFailed: Number(rest.code !== 0 && rest.bytes === 0),
    message: message.slice(0, MAX_AGENT),
    requestId: requestId.slice(0, MAX_AGENT),
  };
}
