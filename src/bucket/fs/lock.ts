// The data lock: one process a data folder. It is the kernel's lock on a small SQLite file, so it vanishes with its
// process, kill -9 included. Nothing else may open that file: POSIX locks die when any descriptor of it is closed.
import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { HuiyuanError } from "../../core/errors.ts";
import { errorCodeOf, storeFailure } from "./failure.ts";

export interface DataLock {
  release(): void;
}

/** `dir`: the data folder; made where it is missing. Throws data_locked, or store_failed where it cannot be written. */
export function lockData(dir: string): DataLock {
  const path = join(dir, "lock");
  let database: Database.Database | undefined;
  try {
    makeFolder(dir);
    // SQLite would open and lock a read-only file as well.
    accessSync(dir, constants.W_OK);
    database = new Database(path, { timeout: 0 });
    // In memory: the transaction writes nothing, and no journal file is left behind by a kill.
    database.pragma("journal_mode = MEMORY");
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    if (errorCodeOf(error).startsWith("SQLITE_BUSY")) {
      throw new HuiyuanError(
        "data_locked",
        `Cannot use the data folder "${dir}": another huiyuan process is using it; stop that one, ask it through its admin port, or choose another folder under \`data\``,
        { cause: error },
      );
    }
    throw storeFailure(error, `use the data folder "${dir}", it must be a folder that this user may write to`);
  }
  const held = database;
  return { release: () => held.close() };
}

/** As mkdir -p. Node's own never returns where the system says ENOENT of a folder whose parent is there, as in /proc. */
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
