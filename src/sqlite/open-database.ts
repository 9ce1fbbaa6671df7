// Opens a database for writing: WAL, every commit synced, checked and migrated. A newer version is refused.
// Also copies a database that another process may be writing.
import { statSync } from "node:fs";
import { HuiyuanError } from "../core/errors.ts";
import { firstValue, openSqlite, type Sqlite, transaction } from "../core/sqlite.ts";

export interface DatabaseForm {
  /** Its name in messages, such as `the catalogue "/data/catalogue.db"`. */
  readonly name: string;
  /** Stored as user_version; a new file has version 0. */
  readonly version: number;
  /** The SQL that migrates the given earlier version, in order. */
  readonly stepsFrom: (version: number) => readonly string[];
  /** A larger file is not checked, because a check reads the whole file. Bytes. */
  readonly maxCheckedBytes: number;
  /** The log is cut to this size after a checkpoint. Bytes. */
  readonly maxLogBytes: number;
}

/** Throws errors of SQLite (SQLITE_CORRUPT also if the check fails), and store_failed if the version is newer. */
export function openDatabase(path: string, form: DatabaseForm): Sqlite {
  const database = openSqlite(path, { timeout: 1_000 });
  try {
    database.exec("PRAGMA journal_mode = WAL");
    database.exec("PRAGMA synchronous = FULL");
    database.exec(`PRAGMA journal_size_limit = ${form.maxLogBytes}`);
    if (statSync(path).size <= form.maxCheckedBytes) checkWhole(database);
    migrate(database, form);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Throws SQLITE_CORRUPT if the file is damaged. Reads all of it. */
export function checkWhole(database: Sqlite): void {
  const verdict = firstValue(database, "PRAGMA quick_check(1)");
  if (verdict !== "ok") throw Object.assign(new Error(String(verdict)), { code: "SQLITE_CORRUPT" });
}

function migrate(database: Sqlite, { name, version: wanted, stepsFrom }: DatabaseForm): void {
  const version = Number(firstValue(database, "PRAGMA user_version"));
  if (version > wanted) {
    const found = `it was written by a newer huiyuan (version ${version}, this one knows ${wanted})`;
    throw new HuiyuanError("store_failed", `Cannot open ${name}: ${found}; run the newer one`);
  }
  if (version === wanted) return;
  transaction(database, () => {
    for (const step of stepsFrom(version)) database.exec(step);
    database.exec(`PRAGMA user_version = ${wanted}`);
  });
}

const BUSY_MS = 10_000;

/**
 * Copies the database as it is at one moment, with the commits that are still in its log, to a new file and checks it.
 * The file is not synced. Throws errors of SQLite (SQLITE_CORRUPT also if the check fails).
 */
export function copyDatabase(from: string, to: string): void {
  // One statement holds one snapshot. The stepwise backup would begin again at each commit of the server.
  using(from, (database) => database.prepare("VACUUM INTO ?").run(to));
  using(to, checkWhole);
}

function using(path: string, run: (database: Sqlite) => void): void {
  const database = openSqlite(path, { readonly: true, timeout: BUSY_MS });
  try {
    run(database);
  } finally {
    database.close();
  }
}
