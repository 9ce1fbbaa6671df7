// The locks of a data folder, and the mark of an unfinished restore. Each lock is the kernel's, on a small SQLite file:
// it ends with its process, even after kill -9. No other code may open such a file, since closing any descriptor of it
// releases the process's POSIX locks.
import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorCodeOf, storeFailure } from "../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import { openSqlite } from "../../../core/sqlite.ts";

/** Held by the one process that may change the data folder. */
const DATA_LOCK = "lock";
/** Held while files of the store are removed, or must not be: by the sweep, and by a backup that still links them. */
export const SWEEP_LOCK = "sweep.lock";
/** Held by the one backup of a data folder that may run. */
export const BACKUP_LOCK = "backup.lock";

/** All of them, which an otherwise empty data folder may hold. */
export const LOCKS: readonly string[] = [DATA_LOCK, SWEEP_LOCK, BACKUP_LOCK];

/** Returns the function that releases the lock; undefined if it is held. Creates the file. Throws errors of SQLite. */
export function tryLock(path: string): (() => void) | undefined {
  const database = openSqlite(path, { timeout: 0 });
  try {
    // The journal stays in memory: the transaction writes nothing, and a kill leaves no journal file behind.
    database.exec("PRAGMA journal_mode = MEMORY");
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (errorCodeOf(error).startsWith("SQLITE_BUSY")) return undefined;
    throw error;
  }
  return () => database.close();
}

/**
 * `dir`: the data folder, created if it is missing. Throws data_locked, or store_failed if it cannot be written. The
 * returned function releases the lock.
 */
export function lockData(dir: string): () => void {
  let unlock: (() => void) | undefined;
  try {
    makeFolder(dir);
    // SQLite would open and lock even a read-only file.
    accessSync(dir, constants.W_OK);
    unlock = tryLock(join(dir, DATA_LOCK));
  } catch (error) {
    throw storeFailure(error, `use the data folder "${dir}", it must be a folder that this user may write to`);
  }
  if (unlock !== undefined) return unlock;
  throw new HuiyuanError(
    "data_locked",
    `Cannot use the data folder "${dir}": another huiyuan process is using it; stop it first, or choose another folder under \`data\``,
  );
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

/** A restore leaves this file in the data folder until all is there. */
export const UNFINISHED_RESTORE = "restore-unfinished";

/** Throws store_failed if the folder holds a part of a restore. */
export function refuseUnfinished(dir: string): void {
  if (!existsSync(join(dir, UNFINISHED_RESTORE))) return;
  const next = "run `huiyuan restore` again, or empty the folder";
  throw new HuiyuanError("store_failed", `Cannot use the data folder "${dir}": a restore into it did not end; ${next}`);
}
