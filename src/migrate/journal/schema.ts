// The tables of a journal, and how its file is opened.
import { HuiyuanError } from "../../core/errors.ts";
import type { Sqlite } from "../../core/sqlite.ts";
import { openDatabase } from "../../sqlite/open-database.ts";

/** `status` of a row. */
export const NEW = 0;
export const SUCCESSFUL = 1;
export const FAILED = 2;

/**
 * `locator` null: the name cannot become an object, so no run copies it. `scan`, `run`: numbers of the scan that found
 * the row and of the run that tried it last. `seen`: number of the last scan that listed the name. `changed`: the
 * source has replaced the object since it was copied, or `verify` has found another one at the target.
 */
const TABLES = `
CREATE TABLE jobs (
  serial INTEGER PRIMARY KEY,
  fileid TEXT NOT NULL,
  locator TEXT,
  size INTEGER,
  version TEXT,
  status INTEGER NOT NULL,
  run INTEGER NOT NULL DEFAULT 0,
  scan INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  changed INTEGER NOT NULL DEFAULT 0,
  cause TEXT,
  log TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX jobs_by_fileid ON jobs (fileid, locator IS NULL);
CREATE INDEX new_jobs ON jobs (serial) WHERE status = 0;
CREATE INDEX failed_jobs ON jobs (serial) WHERE status = 2;
CREATE TABLE metadata (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
`;

const CACHE_KIB = 16_384;
const MAX_LOG_BYTES = 16_777_216;
/** A check reads the whole file. */
const MAX_CHECKED_BYTES = 268_435_456;

/** Creates the file. Throws errors of SQLite, and store_failed for a file of a newer version or of another program. */
export function openJournalFile(path: string): Sqlite {
  try {
    const database = openDatabase(path, {
      name: `the journal ${JSON.stringify(path)}`,
      version: 1,
      stepsFrom: () => [TABLES],
      maxCheckedBytes: MAX_CHECKED_BYTES,
      maxLogBytes: MAX_LOG_BYTES,
    });
    database.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
    return database;
  } catch (error) {
    if (!String(error).includes("already exists")) throw error;
    const next = "run clean, or name another folder by --job: objects that it has copied are recognised";
    throw new HuiyuanError("store_failed", `Cannot use ${JSON.stringify(path)}: another program wrote it; ${next}`);
  }
}
