// Copies a database that another process may be writing.
import { openSqlite, type Sqlite } from "../core/sqlite.ts";
import { checkWhole } from "./open-database.ts";

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
