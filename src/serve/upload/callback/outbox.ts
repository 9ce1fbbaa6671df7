// The durable outbox of notices to business servers: one row each, from before the first attempt until it is delivered
// or dropped. notices.ts sends them; this file only stores them.
import type { Ledger, LedgerPlan, LedgerRow } from "../../../ledger/ledger.ts";
import type { CallbackFailure, Uploaded } from "./callback.ts";

/** A notice that has not been delivered. Times are Unix milliseconds. */
export interface OutboxEntry extends Uploaded {
  readonly id: number;
  /** When the entry was created. */
  readonly since: number;
  /** Attempts started so far. */
  readonly attempts: number;
  /** Earliest time of the next attempt; undefined: none follows unless an operator requests it. */
  readonly dueAt: number | undefined;
  /** False until the file is known to be stored. */
  readonly isStored: boolean;
  /** Failure of the last attempt, if that has ended. */
  readonly failure: CallbackFailure | undefined;
}

/** `waiting`: further attempts follow. `given-up`: none follow. */
export const OUTBOX_STATES = ["waiting", "given-up"] as const;
export type OutboxState = (typeof OUTBOX_STATES)[number];

export interface Selection {
  /** `<appid>/<bucket>`; undefined: every bucket. */
  readonly bucketId: string | undefined;
  readonly state: OutboxState | undefined;
  /** Undefined: every notice that matches the other fields. */
  readonly ids: readonly number[] | undefined;
}

/** All methods throw store_failed, store_full and overloaded. Changes are durable when a method resolves. */
export interface Outbox {
  /** Returns the id of the notice; undefined if the bucket has MAX_ENTRIES and none of them is given up. */
  enqueue(uploaded: Uploaded, times: { readonly since: number; readonly dueAt: number }): Promise<number | undefined>;
  /** Makes entries of an earlier process due whose file is not known to be stored. */
  inherit(now: number): Promise<void>;
  /** Makes entries due whose time is more than `longestMs` ahead: a wrong clock has set it. */
  correct(now: number, longestMs: number): Promise<void>;
  /** Removes a notice that was delivered or whose file was not stored. */
  forget(id: number): Promise<void>;
  postpone(id: number, next: Pick<OutboxEntry, "attempts" | "dueAt" | "isStored" | "failure">): Promise<void>;
  /** Due notices of one bucket, the longest due first. */
  due(bucketId: string, now: number, limit: number): Promise<readonly OutboxEntry[]>;
  /** The earliest due time of each bucket that has waiting notices. */
  nextDue(): Promise<readonly { readonly bucketId: string; readonly dueAt: number }[]>;
  /** By ascending id. */
  list(selection: Selection, page: { readonly after: number; readonly limit: number }): Promise<readonly OutboxEntry[]>;
  /** Makes the selected notices due. Returns their number. */
  retry(selection: Selection, now: number): Promise<number>;
  drop(selection: Selection): Promise<number>;
  counts(): Promise<readonly { readonly bucketId: string; readonly state: OutboxState; readonly count: number }[]>;
}

/** Most notices of one bucket. */
export const MAX_ENTRIES = 10_000;

// Entries whose file is not known to be stored are hidden: within minutes each becomes a notice or is removed.
const SELECTED = `is_stored = 1 AND (@bucket IS NULL OR bucket = @bucket) AND (@ids IS NULL OR id IN (SELECT value FROM json_each(@ids)))
  AND (@state IS NULL OR (due_at IS NULL) = (@state = 'given-up'))`;

// The fields of OutboxEntry.
const COLUMNS = `id, bucket, fileid, magic_context AS magicContext, sha1, size, url, userid, request_id AS requestId, since,
  attempts, due_at AS dueAt, is_stored AS isStored, reason, status`;

export const OUTBOX_PLAN = {
  name: "outbox",
  steps: [
    `CREATE TABLE notices (
       id INTEGER PRIMARY KEY AUTOINCREMENT,
       bucket TEXT NOT NULL,
       fileid TEXT NOT NULL,
       magic_context TEXT NOT NULL,
       sha1 TEXT NOT NULL,
       size INTEGER NOT NULL,
       url TEXT NOT NULL,
       userid TEXT NOT NULL,
       request_id TEXT NOT NULL,
       since INTEGER NOT NULL,
       is_stored INTEGER NOT NULL,
       attempts INTEGER NOT NULL,
       due_at INTEGER,
       reason TEXT,
       status INTEGER
     ) STRICT;
     CREATE INDEX notices_due ON notices (bucket, due_at);

     CREATE TABLE totals (bucket TEXT PRIMARY KEY, notices INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TRIGGER notice_owed AFTER INSERT ON notices BEGIN
       INSERT INTO totals VALUES (new.bucket, 1) ON CONFLICT (bucket) DO UPDATE SET notices = notices + 1;
     END;
     CREATE TRIGGER notice_gone AFTER DELETE ON notices BEGIN
       UPDATE totals SET notices = notices - 1 WHERE bucket = old.bucket;
     END;`,
  ],
  statements: {
    enqueue: `INSERT INTO notices (bucket, fileid, magic_context, sha1, size, url, userid, request_id, since, is_stored, attempts, due_at)
      SELECT @bucket, @fileid, @magicContext, @sha1, @size, @url, @userid, @requestId, @since, 0, 1, @dueAt
      WHERE NOT EXISTS (SELECT 1 FROM totals WHERE bucket = @bucket AND notices >= ${MAX_ENTRIES}) RETURNING id`,
    makeRoom: `DELETE FROM notices WHERE id =
      (SELECT id FROM notices WHERE bucket = @bucket AND due_at IS NULL ORDER BY id LIMIT 1)`,
    inherit: "UPDATE notices SET due_at = @now WHERE is_stored = 0 AND due_at > @now",
    correct: "UPDATE notices SET due_at = @now WHERE due_at > @now + @longestMs",
    forget: "DELETE FROM notices WHERE id = @id",
    postpone: `UPDATE notices SET attempts = @attempts, due_at = @dueAt, is_stored = @isStored, reason = @reason, status = @status
      WHERE id = @id`,
    due: `SELECT ${COLUMNS} FROM notices WHERE bucket = @bucket AND due_at <= @now ORDER BY due_at, id LIMIT @limit`,
    nextDue: "SELECT bucket, min(due_at) AS due_at FROM notices WHERE due_at IS NOT NULL GROUP BY bucket",
    list: `SELECT ${COLUMNS} FROM notices WHERE ${SELECTED} AND id > @after ORDER BY id LIMIT @limit`,
    retry: `UPDATE notices SET due_at = @now WHERE ${SELECTED}`,
    drop: `DELETE FROM notices WHERE ${SELECTED}`,
    counts: `SELECT bucket, due_at IS NULL AS is_given_up, count(*) AS count FROM notices WHERE is_stored = 1 GROUP BY bucket, due_at IS NULL`,
  },
} as const satisfies LedgerPlan<string>;

export function createOutbox(ledger: Ledger<keyof typeof OUTBOX_PLAN.statements>): Outbox {
  return {
    async enqueue(uploaded, times) {
      const { appid, bucket: name, ...rest } = uploaded;
      const bucket = `${appid}/${name}`;
      const row = { ...rest, bucket, ...times };
      let [entry] = await ledger.read("enqueue", row);
      if (entry === undefined && (await ledger.write("makeRoom", { bucket })) > 0)
        [entry] = await ledger.read("enqueue", row);
      return entry === undefined ? undefined : Number(entry.id);
    },
    async inherit(now) {
      await ledger.write("inherit", { now });
    },
    correct: async (now, longestMs) => void (await ledger.write("correct", { now, longestMs })),
    async forget(id) {
      await ledger.write("forget", { id });
    },
    async postpone(id, { attempts, dueAt = null, isStored, failure }) {
      const [reason, status] = [failure?.reason ?? null, failure?.status ?? null];
      await ledger.write("postpone", { id, attempts, dueAt, isStored: Number(isStored), reason, status });
    },
    due: async (bucket, now, limit) => (await ledger.read("due", { bucket, now, limit })).map(toOutboxEntry),
    nextDue: async () =>
      (await ledger.read("nextDue")).map((row) => ({ bucketId: String(row.bucket), dueAt: Number(row.due_at) })),
    list: async (selection, page) =>
      (await ledger.read("list", { ...selected(selection), ...page })).map(toOutboxEntry),
    retry: (selection, now) => ledger.write("retry", { ...selected(selection), now }),
    drop: (selection) => ledger.write("drop", selected(selection)),
    counts: async () =>
      (await ledger.read("counts")).map((row) => ({
        bucketId: String(row.bucket),
        state: row.is_given_up === 1 ? "given-up" : "waiting",
        count: Number(row.count),
      })),
  };
}

function selected({ bucketId, state, ids }: Selection): LedgerRow {
  return { bucket: bucketId ?? null, state: state ?? null, ids: ids === undefined ? null : JSON.stringify(ids) };
}

/** `row`: as COLUMNS says; only this program writes the table. */
function toOutboxEntry({ bucket, dueAt, isStored, reason, status, ...row }: LedgerRow): OutboxEntry {
  const [appid, name] = String(bucket).split("/");
  const failure = reason === null ? undefined : { reason, ...(status === null ? {} : { status }) };
  return { ...row, appid, bucket: name, dueAt: dueAt ?? undefined, isStored: isStored === 1, failure } as OutboxEntry;
}
