// Reads a journal while a run may write it: counters, failed jobs, and failures by cause.
import { existsSync } from "node:fs";
import { setImmediate as immediate } from "node:timers/promises";
import { storeFailure } from "../../../core/disk-failure.ts";
import { firstValue, openSqlite, type Sqlite } from "../../../core/sqlite.ts";
import type { MigrationFailures } from "../contract.ts";
import { readState, type State } from "./database.ts";

export type FailedJob = MigrationFailures["failures"][number];
export type CauseCount = MigrationFailures["causes"][number];

const FAILED = "SELECT serial, fileid, log FROM jobs WHERE status = 2 AND serial > ? ORDER BY serial LIMIT ?";
/** Counts the causes of the next failures behind a job, and names the last of these. 20,000 take some 10 ms. */
const CAUSES = `SELECT cause, count(*) AS count, min(log) AS example, max(serial) AS last
 FROM (SELECT serial, cause, log FROM jobs WHERE status = 2 AND serial > ? ORDER BY serial LIMIT 20000) GROUP BY cause`;

/** Undefined: there is no journal, or its run was killed before it began. Throws store_failed. */
function readJournal<Value>(path: string, read: (journal: Sqlite) => Value): Value | undefined {
  if (!existsSync(path)) return undefined;
  let database: Sqlite | undefined;
  try {
    const opened = openSqlite(path);
    database = opened;
    if (firstValue(opened, "PRAGMA user_version") === 0) return undefined;
    return read(opened);
  } catch (error) {
    throw storeFailure(error, `read the journal "${path}"`);
  } finally {
    database?.close();
  }
}

/** The state as of the last commit. Undefined as readJournal(). */
export const readStateIn = (path: string): State | undefined => readJournal(path, readState);

function readRows<Row>(path: string, sql: string, ...values: readonly number[]): readonly Row[] {
  return readJournal(path, (journal) => journal.prepare<number[], Row>(sql).all(...values)) ?? [];
}

/** Failed jobs in the order of the scan, behind the job `after`. */
export function readFailed(path: string, after: number, limit: number): readonly FailedJob[] {
  return readRows<FailedJob>(path, FAILED, after, limit);
}

/** The most frequent causes of all failures first. A server answers other requests in between. */
export async function readCauses(path: string, limit: number): Promise<readonly CauseCount[]> {
  const all = new Map<string, CauseCount>();
  for (let after = 0; ; await immediate()) {
    const found = readRows<CauseCount & { readonly last: number }>(path, CAUSES, after);
    for (const { cause, count, example } of found) {
      const before = all.get(cause);
      const least = before !== undefined && before.example < example ? before.example : example;
      all.set(cause, { cause, count: count + (before?.count ?? 0), example: least });
    }
    if (found.length === 0) break;
    after = Math.max(...found.map(({ last }) => last));
  }
  return [...all.values()].sort((a, b) => b.count - a.count || (a.cause < b.cause ? -1 : 1)).slice(0, limit);
}
