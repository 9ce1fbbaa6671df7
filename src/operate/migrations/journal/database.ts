// The file of a journal: its tables, and the state that changes in the transactions that change its rows.
import { errorCodeOf, isDamage, storeFailure } from "../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import { firstValue, type Sqlite, transaction } from "../../../core/sqlite.ts";
import { openDatabase } from "../../../sqlite/open-database.ts";
import type { MigrationAnswer } from "../contract.ts";

/** `status` of a row. */
export const NEW = 0;
export const SUCCESSFUL = 1;
export const FAILED = 2;

/**
 * `locator` empty: the name cannot become an object, so no run copies it. `scan`, `run`: numbers of the scan that found
 * the row and of the run that tried it last. `seen`: number of the last pass that listed the name. `changed`: 1 if the
 * source has replaced the object since it was copied, 2 if `verify` has not found the source's bytes at the target.
 */
const TABLES = `
CREATE TABLE jobs (
  serial INTEGER PRIMARY KEY,
  fileid TEXT NOT NULL,
  locator TEXT NOT NULL,
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
CREATE UNIQUE INDEX jobs_by_fileid ON jobs (fileid, locator = '');
CREATE INDEX new_jobs ON jobs (serial) WHERE status = 0;
CREATE INDEX failed_jobs ON jobs (serial) WHERE status = 2;
CREATE TABLE state (id INTEGER PRIMARY KEY, json TEXT NOT NULL);
`;

const CACHE_KIB = 4_096;
const MAX_LOG_BYTES = 16_777_216;
/** A check reads the whole file. */
const MAX_CHECKED_BYTES = 268_435_456;

const NO_COUNTERS = {
  ...{ submitted: 0, successful: 0, failed: 0, stored: 0, same: 0, deleted: 0, bytes: 0, run: 0 },
  ...{ scan: 0, pass: 0, isScanning: 0, scanNew: 0, scanChanged: 0, scanKnown: 0, scanIgnored: 0 },
};

/**
 * `submitted`, `successful`, `failed`: rows in all. `stored`, `same`, `deleted`: outcomes of successful ones. `bytes`:
 * sent to the target. `run`, `scan`: numbers from 1. `pass`: as `scan`, and a scan that begins again has another one.
 * `isScanning`: 1 until the scan has ended. `scan…`: of the last scan; `scanKnown`: names that had a row.
 */
export type Counters = { [Name in keyof typeof NO_COUNTERS]: number };

export interface State {
  counters: Counters;
  /** The options of the runs; undefined before the first one. */
  identity: Readonly<Record<string, string>> | undefined;
  /** Behind the last page of a scan that can be continued. */
  cursor: string | undefined;
  /** The last comparison, and the number of its run. */
  verification: (Verification & { readonly run: number }) | undefined;
}

export const INCONSISTENT =
  "It seems that jobs database is in inconsistent state. \nPlease run clean.sh to delete all jobs first. ";

/** Throws store_failed; store_corrupt if the file is damaged, or its counters disagree with its rows. */
export function openJournalFile(path: string): Sqlite {
  const name = `the journal ${JSON.stringify(path)}`;
  const limits = { maxCheckedBytes: MAX_CHECKED_BYTES, maxLogBytes: MAX_LOG_BYTES };
  let database: Sqlite | undefined;
  try {
    database = openDatabase(path, { name, version: 1, stepsFrom: () => [TABLES], ...limits });
    database.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
    if (isConsistent(database)) return database;
    throw new HuiyuanError("store_corrupt", INCONSISTENT);
  } catch (error) {
    database?.close();
    if (isDamage(error)) throw new HuiyuanError("store_corrupt", INCONSISTENT, { cause: error });
    // The file has tables of another program.
    if (errorCodeOf(error) !== "SQLITE_ERROR") throw storeFailure(error, `open ${name}`);
    const next = "run clean, or name another folder by --job: objects that it has copied are recognised";
    throw new HuiyuanError("store_failed", `Cannot use ${JSON.stringify(path)}: another program wrote it; ${next}`);
  }
}

export function readState(database: Sqlite): State {
  const json = firstValue(database, "SELECT json FROM state") as string | undefined;
  const written = json === undefined ? {} : (JSON.parse(json) as Partial<State>);
  return { counters: { ...NO_COUNTERS }, identity: undefined, cursor: undefined, verification: undefined, ...written };
}

/** Runs the work and writes the state in one transaction. If it fails, the state is as before. */
export function createCommit(database: Sqlite, state: State): (work: (state: State) => void) => void {
  const write = database.prepare("INSERT OR REPLACE INTO state (id, json) VALUES (1, ?)");
  return (work) => {
    const before = { ...state, counters: { ...state.counters } };
    try {
      transaction(database, () => {
        work(state);
        write.run(JSON.stringify(state));
      });
    } catch (error) {
      Object.assign(state, before);
      throw error;
    }
  };
}

/** Whether the counters agree with the rows. Reads all rows: about 0.2 s for 1,000,000. */
function isConsistent(database: Sqlite): boolean {
  const { submitted, successful, failed } = readState(database).counters;
  const count = (where: string) => firstValue(database, `SELECT count(*) FROM jobs ${where}`);
  return (
    submitted === count("") &&
    failed === count(`WHERE status = ${FAILED}`) &&
    successful === count(`WHERE status = ${SUCCESSFUL}`)
  );
}

type Answered = NonNullable<MigrationAnswer["verification"]>;
export type FindingKind = Answered["findings"][number]["kind"];

/** The contract says what the counts mean. They change while verify() runs. */
export interface Tally extends Pick<Answered, "objects" | "done" | "equal" | "hashed" | "skipped" | "bytes"> {
  /** `first`: the first 10 of each kind. `reason`: empty if the kind says all. */
  readonly findings: Readonly<
    Record<FindingKind, { count: number; readonly first: { readonly fileid: string; readonly reason: string }[] }>
  >;
}

/** `troubles` undefined: it has not ended. */
export interface Verification extends Tally, Readonly<Pick<Answered, "at" | "sample" | "troubles">> {}

export function createTally(): Tally {
  const none = () => ({ count: 0, first: [] });
  const findings = { differs: none(), missing: none(), gone: none(), unread: none(), failed: none(), deleted: none() };
  return { objects: 0, done: 0, equal: 0, hashed: 0, skipped: 0, bytes: 0, findings };
}
