// The journal of a migration: one row an object, so that a run can be killed at any moment and resumed. Each call is
// one transaction, synced to the disk. It holds pages of rows, never all of them.
import { isDamage, storeFailure } from "../../core/disk-failure.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Sqlite } from "../../core/sqlite.ts";
import { CHANGED, type Counters, createMetadata, isConsistent } from "./metadata.ts";
import { FAILED, NEW, openJournalFile, SUCCESSFUL } from "./schema.ts";

/** An object that is to be copied. */
export interface Job {
  readonly serial: number;
  readonly fileid: string;
  readonly locator: string;
  readonly size: number | undefined;
  /** The source has replaced the object since it was copied: the earlier copy may be replaced. */
  readonly isChanged: boolean;
  /** Its last attempt, in an earlier run, failed. */
  readonly hasFailed: boolean;
  /** The failure text of the last attempt, else empty. */
  readonly log: string;
}

/** A row as `verify` reads it. */
export interface KnownJob extends Omit<Job, "locator"> {
  /** Undefined: the name cannot become an object, and `log` says why. */
  readonly locator: string | undefined;
  /** The last scan has listed the name. */
  readonly isListed: boolean;
}

/** One page of a scan, after the filters. */
export interface JournalPage {
  readonly objects: readonly {
    readonly fileid: string;
    readonly locator: string;
    readonly size: number | undefined;
    readonly version: string | undefined;
  }[];
  readonly failures: readonly { readonly shown: string; readonly reason: string }[];
  readonly ignored: number;
  readonly cursor: string | undefined;
}

/** `outcome`: as PutOutcome, without `differs`. `bytes`: 0 if the body was not sent. */
export type JobResult =
  | { readonly job: Job; readonly outcome: "stored" | "same" | "deleted"; readonly bytes: number }
  | { readonly job: Job; readonly outcome: "failed"; readonly cause: string; readonly log: string };

export interface Journal {
  /** As of the last commit. */
  readonly counters: Counters;
  /** True once a scan has ended, and no other has begun. */
  readonly isScanned: boolean;
  /** Begins a run. Returns the names of options that differ from those of the earlier runs; then nothing changes. */
  begin(identity: Readonly<Record<string, string>>): readonly string[];
  /** Begins a scan, or continues an interrupted one. Returns the cursor of its last page. */
  beginScan(isResumable: boolean): string | undefined;
  addPage(page: JournalPage): void;
  endScan(): void;
  /** Rows in the order of the scan, behind the row `after`: never tried, or failed in an earlier run. */
  next(kind: "new" | "failed", after: number, limit: number): readonly Job[];
  /** All rows in the order of their fileids' UTF-8 bytes, behind the row `after`. */
  nextByName(after: KnownJob | undefined, limit: number): readonly KnownJob[];
  settle(results: readonly JobResult[]): void;
  /** The next run copies these again, and may replace earlier copies. */
  reopen(jobs: readonly Pick<Job, "serial">[]): void;
  close(): void;
}

interface Row {
  readonly serial: number;
  readonly fileid: string;
  readonly locator: string | null;
  readonly size: number | null;
  readonly version: string | null;
  readonly status: number;
  readonly scan: number;
  readonly seen: number;
  readonly changed: number;
  readonly log: string;
}

type JobRow = Pick<Row, "serial" | "fileid" | "size" | "changed" | "log"> & { readonly locator: string };
type KnownRow = Omit<Row, "version" | "scan">;
type FoundRow = Pick<Row, "serial" | "locator" | "size" | "version" | "status" | "scan">;

const SELECT = "SELECT serial, fileid, locator, size, changed, log FROM jobs WHERE";

/** Throws store_failed. If the file is damaged, or its counters disagree with its rows, the message is INCONSISTENT. */
export function openJournal(path: string): Journal {
  let database: Sqlite | undefined;
  try {
    database = openJournalFile(path);
    if (!isConsistent(database)) throw new HuiyuanError("store_failed", INCONSISTENT);
    return createJournal(database);
  } catch (error) {
    database?.close();
    if (isDamage(error)) throw new HuiyuanError("store_failed", INCONSISTENT, { cause: error });
    throw storeFailure(error, `open the journal "${path}"`);
  }
}

export const INCONSISTENT =
  "It seems that jobs database is in inconsistent state. \nPlease run clean.sh to delete all jobs first. ";

function createJournal(database: Sqlite): Journal {
  const metadata = createMetadata(database);
  const { counters } = metadata;
  const addJob = database.prepare(
    `INSERT INTO jobs (fileid, locator, size, version, status, scan, seen, cause, log)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  );
  const find = database.prepare<[string], FoundRow>(
    `SELECT serial, locator, size, version, status, scan FROM jobs WHERE fileid = ? AND (locator IS NULL) = 0`,
  );
  const change = database.prepare(
    "UPDATE jobs SET locator = ?, size = ?, version = ?, status = 0, changed = ? WHERE serial = ?",
  );
  const selectNew = database.prepare<[number, number], JobRow>(
    `${SELECT} status = 0 AND serial > ? ORDER BY serial LIMIT ?`,
  );
  const selectFailed = database.prepare<[number, number, number], JobRow>(
    `${SELECT} status = 2 AND serial > ? AND run < ? AND locator IS NOT NULL ORDER BY serial LIMIT ?`,
  );
  const selectByName = database.prepare<[string, number, number], KnownRow>(
    `SELECT serial, fileid, locator, size, changed, log, seen, status FROM jobs
     WHERE (fileid, locator IS NULL) > (?, ?) ORDER BY fileid, locator IS NULL LIMIT ?`,
  );
  const see = database.prepare("UPDATE jobs SET seen = ? WHERE fileid = ? AND (locator IS NULL) = ?");
  const reopenJob = database.prepare(
    `UPDATE jobs SET status = ${NEW}, changed = ${CHANGED} WHERE serial = ? AND status = ${SUCCESSFUL}`,
  );
  const settleJob = database.prepare(
    "UPDATE jobs SET status = ?, run = ?, changed = changed AND ?, cause = ?, log = ? WHERE serial = ?",
  );

  /** A name that has a row: found before by this scan, changed at the source, or a second object of the name. */
  function addKnown({ fileid, locator, size, version }: JournalPage["objects"][number]): void {
    const row = find.get(fileid);
    if (row === undefined) return;
    see.run(counters.scan, fileid, 0);
    const isSameObject = row.locator === locator;
    if (row.scan === counters.scan && isSameObject) {
      counters.scanNew += 1;
      return;
    }
    const differs = differ(row.size, size) || differ(row.version, version);
    if (!isSameObject || !differs) {
      counters.scanKnown += 1;
      return;
    }
    counters.scanChanged += 1;
    if (row.status === SUCCESSFUL) counters.successful -= 1;
    if (row.status === FAILED) counters.failed -= 1;
    const isCopied = row.status === SUCCESSFUL ? CHANGED : 0;
    change.run(locator, size ?? null, version ?? null, isCopied, row.serial);
  }

  function addFailure({ shown, reason }: JournalPage["failures"][number]): void {
    const { scan } = counters;
    const { changes } = addJob.run(shown, null, null, null, FAILED, scan, scan, "unlisted", reason);
    if (changes === 0) see.run(scan, shown, 1);
    counters.scanNew += changes;
    counters.submitted += changes;
    counters.failed += changes;
  }

  function settleOne(result: JobResult): void {
    const { job, outcome } = result;
    const isFailed = outcome === "failed";
    settleJob.run(
      isFailed ? FAILED : SUCCESSFUL,
      counters.run,
      isFailed ? CHANGED : 0,
      isFailed ? result.cause : null,
      isFailed ? result.log : "",
      job.serial,
    );
    if (isFailed) counters.failed += job.hasFailed ? 0 : 1;
    else {
      counters.successful += 1;
      counters.failed -= job.hasFailed ? 1 : 0;
      counters[outcome] += 1;
      counters.bytes += result.bytes;
    }
  }

  return {
    counters,
    get isScanned() {
      return counters.scan > 0 && counters.isScanning === 0;
    },
    begin(identity) {
      const before = metadata.identity();
      const names = [...new Set([...Object.keys(before ?? identity), ...Object.keys(identity)])];
      const changed = names.filter((name) => before !== undefined && before[name] !== identity[name]);
      if (changed.length === 0) {
        metadata.commit(() => {
          metadata.setIdentity(identity);
          counters.run += 1;
        });
      }
      return changed.sort();
    },
    beginScan(isResumable) {
      const cursor = counters.isScanning === 1 && isResumable ? metadata.cursor() : undefined;
      if (cursor !== undefined) return cursor;
      metadata.commit(() => {
        if (counters.isScanning === 0) counters.scan += 1;
        Object.assign(counters, { isScanning: 1, scanNew: 0, scanChanged: 0, scanKnown: 0, scanIgnored: 0 });
        metadata.setCursor(undefined);
      });
      return undefined;
    },
    addPage({ objects, failures, ignored, cursor }) {
      metadata.commit(() => {
        for (const object of objects) {
          const { fileid, locator, size, version } = object;
          const { scan } = counters;
          const { changes } = addJob.run(fileid, locator, size ?? null, version ?? null, NEW, scan, scan, null, "");
          counters.scanNew += changes;
          counters.submitted += changes;
          if (changes === 0) addKnown(object);
        }
        for (const failure of failures) addFailure(failure);
        counters.scanIgnored += ignored;
        metadata.setCursor(cursor);
      });
    },
    endScan() {
      metadata.commit(() => {
        counters.isScanning = 0;
        metadata.setCursor(undefined);
      });
    },
    next(kind, after, limit) {
      const rows = kind === "new" ? selectNew.all(after, limit) : selectFailed.all(after, counters.run, limit);
      return rows.map(({ size, changed, ...row }) => {
        return { ...row, size: size ?? undefined, isChanged: changed === CHANGED, hasFailed: kind === "failed" };
      });
    },
    nextByName(after, limit) {
      const rows = selectByName.all(
        after?.fileid ?? "",
        after === undefined ? -1 : +(after.locator === undefined),
        limit,
      );
      return rows.map(({ size, changed, locator, seen, status, ...row }) => ({
        ...row,
        locator: locator ?? undefined,
        size: size ?? undefined,
        isChanged: changed === CHANGED,
        hasFailed: status === FAILED,
        isListed: seen === counters.scan,
      }));
    },
    settle(results) {
      metadata.commit(() => {
        for (const result of results) settleOne(result);
      });
    },
    reopen(jobs) {
      metadata.commit(() => {
        for (const { serial } of jobs) counters.successful -= reopenJob.run(serial).changes;
      });
    },
    close: () => database.close(),
  };
}

/** False if either is not known. */
function differ<Value>(before: Value | null, after: Value | undefined): boolean {
  return before !== null && after !== undefined && before !== after;
}
