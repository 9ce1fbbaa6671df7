// Reads a journal while a run may write it: counters, failed jobs, and failures by cause.
import { existsSync } from "node:fs";
import { storeFailure } from "../../../core/disk-failure.ts";
import { firstValue, openSqlite, type Sqlite } from "../../../core/sqlite.ts";
import type { MigrationFailures } from "../contract.ts";
import { readState, type State } from "./database.ts";

export type FailedJob = MigrationFailures["failures"][number];
export type CauseCount = MigrationFailures["causes"][number];

export interface JournalReader {
  state(): State;
  /** In the order of the scan, behind the job `after`. */
  failed(after: number, limit: number): readonly FailedJob[];
  /** The most frequent first. */
  causes(limit: number): readonly CauseCount[];
}

const FAILED = "SELECT serial, fileid, log FROM jobs WHERE status = 2 AND serial > ? ORDER BY serial LIMIT ?";
const CAUSES = `SELECT cause, count(*) AS count, min(log) AS example FROM jobs WHERE status = 2
 GROUP BY cause ORDER BY count DESC, cause LIMIT ?`;

/** Undefined: there is no journal, or its run was killed before it began. Throws store_failed. */
export function readJournal<Value>(path: string, read: (reader: JournalReader) => Value): Value | undefined {
  if (!existsSync(path)) return undefined;
  let database: Sqlite | undefined;
  try {
    const opened = openSqlite(path);
    database = opened;
    if (firstValue(opened, "PRAGMA user_version") === 0) return undefined;
    return read({
      state: () => readState(opened),
      failed: (after, limit) => opened.prepare<[number, number], FailedJob>(FAILED).all(after, limit),
      causes: (limit) => opened.prepare<[number], CauseCount>(CAUSES).all(limit),
    });
  } catch (error) {
    throw storeFailure(error, `read the journal "${path}"`);
  } finally {
    database?.close();
  }
}
