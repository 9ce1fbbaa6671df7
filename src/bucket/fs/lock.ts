// The data lock: only one process may use a data folder. It is the kernel's lock on a small SQLite file, so it ends
// with its process, even after kill -9. No other code may open that file: closing any descriptor of a file releases the
// process's POSIX locks.
import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorCodeOf, storeFailure } from "../../core/disk-failure.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { openSqlite, type Sqlite } from "../../core/sqlite.ts";

/**
 * `dir`: the data folder, created if it is missing. Throws data_locked, or store_failed if it cannot be written. The
 * returned function releases the lock.
 */
export function lockData(dir: string): () => void {
  const path = join(dir, "lock");
  let database: Sqlite | undefined;
  try {
    makeFolder(dir);
    // SQLite would open and lock even a read-only file.
    accessSync(dir, constants.W_OK);
    database = openSqlite(path, { timeout: 0 });
    // The journal stays in memory: the transaction writes nothing, and a kill leaves no journal file behind.
    database.exec("PRAGMA journal_mode = MEMORY");
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    if (errorCodeOf(error).startsWith("SQLITE_BUSY")) {
      throw new HuiyuanError(
        "data_locked",
        `Cannot use the data folder "${dir}": another huiyuan process is using it; stop that process, use its admin port, or choose another folder under \`data\``,
        { cause: error },
      );
    }
    throw storeFailure(error, `use the data folder "${dir}", it must be a folder that this user may write to`);
  }
  const locked = database;
  return () => locked.close();
}

/**
 * As `mkdir -p`. Node's recursive mkdir never returns if the system reports ENOENT for a folder whose parent exists, as
 * in /proc.
 */
function makeFolder(dir: string): void {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true) return;
  const parent = dirname(dir);
  if (parent !== dir) makeFolder(parent);
  try {
    mkdirSync(dir);
  } catch (error) {
    if (errorCodeOf(error) !== "EEXIST") throw error;
  }
}
