// The journal of a migration: one row an object, so that a run can be killed at any moment and resumed. Its commits are
// synced to the disk. It holds pages of rows, never all of them.
import { setImmediate as immediate } from "node:timers/promises";
import type { Sqlite } from "../../../core/sqlite.ts";
import type { SourceObject, SourcePage } from "../source.ts";
import type { Verification } from "./database.ts";
import { type Counters, createCommit, FAILED, NEW, openJournalFile, readState, SUCCESSFUL } from "./database.ts";

/** An object that is to be copied. Its `locator` is empty if the name cannot become an object; `log` says why. */
export interface Job extends SourceObject {
  readonly serial: number;
  /** The source has replaced the object since it was listed first: an earlier copy may be replaced. */
  readonly isChanged: boolean;
  /** `verify` has not found the source's bytes at the target, so the target's validators prove nothing. */
  readonly isReopened: boolean;
  /** Its last attempt failed. */
  readonly hasFailed: boolean;
  /** The last scan has listed the name. */
  readonly isListed: boolean;
  /** The failure text of the last attempt, else empty. */
  readonly log: string;
}

/** One page of a scan, after the filters. */
export interface JournalPage extends SourcePage {
  /** True: a copied object is copied again if the listing tells neither size nor version, since validators decide. */
  readonly rechecks: boolean;
  readonly ignored: number;
}

/** `bytes`: 0 if the body was not sent. `reopened`: the next run copies it again, and may replace the earlier copy. */
export type JobResult =
  | { readonly job: Job; readonly outcome: "stored" | "same" | "deleted"; readonly bytes: number }
  | { readonly job: Job; readonly outcome: "failed"; readonly cause: string; readonly log: string }
  | { readonly job: Job; readonly outcome: "reopened" };

/**
 * `new`: never tried, in the order of the scan. `failed`: in an earlier run, in the same order. `all`: in the order of
 * the fileids' UTF-8 bytes.
 */
export type RowKind = "new" | "failed" | "all";

export interface Journal {
  /** As of the last commit. */
  readonly counters: Counters;
  /**
   * Begins a run. Returns the options that must be as in earlier runs, and are not; then nothing changes. Filters may
   * differ: then a whole scan follows, and what is copied stays.
   */
  begin(identity: Readonly<Record<string, string>>): readonly string[];
  /** Continues an interrupted scan unless `isNew`, else begins one. Returns the cursor of its last page, if it may. */
  beginScan(isResumable: boolean, isNew?: boolean): string | undefined;
  addPage(page: JournalPage): void;
  /** Forgets failed rows that the scan has not listed. */
  endScan(): void;
  /** The rows behind the row `after`, also those that are added meanwhile. */
  rows(kind: RowKind, after?: Job): AsyncIterable<Job>;
  /** Written after `commitMs` at the latest, so that one commit serves many. If that fails, the next call throws. */
  settle(result: JobResult): void;
  /** Replaces the verification of this journal; written as results are. */
  keep(verification: Verification): void;
  /** Writes what is settled or kept. */
  flush(): void;
  close(): void;
}

interface Row extends Pick<Job, "serial" | "fileid" | "locator" | "log"> {
  readonly size: number | null;
  readonly version: string | null;
  readonly status: number;
  readonly scan: number;
  readonly seen: number;
  readonly changed: number;
}

/** Options that may change. */
const IS_FILTER = /^(?:fileid\.ignore|sub)\./;
/** So many results are written at once. */
const MAX_SETTLED = 1_000;

/** `pageRows`: read at once, in about 1 ms. `commitMs`: results wait for others. Throws as openJournalFile(). */
export function openJournal(path: string, pageRows = 1_000, commitMs = 100): Journal {
  const database = openJournalFile(path);
  const state = readState(database);
  const commit = createCommit(database, state);
  const addObject = createAdder(database);
  const settleOne = createSettler(database);
  const forget = database.prepare<[number]>(`DELETE FROM jobs WHERE status = ${FAILED} AND seen < ?`);
  const forgetNew = database.prepare(`DELETE FROM jobs WHERE status = ${NEW} AND changed = 0`);
  const page = (where: string) => database.prepare<[object], Row>(`SELECT * FROM jobs WHERE ${where} LIMIT @pageRows`);
  const pages = {
    new: page("status = 0 AND serial > @serial ORDER BY serial"),
    failed: page("status = 2 AND serial > @serial AND run < @run AND locator <> '' ORDER BY serial"),
    all: page("(fileid, locator = '') > (@fileid, @isUnlisted) ORDER BY fileid, locator = ''"),
  };
  let settled: JobResult[] = [];
  let kept: Verification | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isLate = false;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (settled.length === 0 && kept === undefined) return;
    commit((own) => {
      for (const result of settled) settleOne(result, own.counters);
      if (kept !== undefined) own.verification = { ...kept, run: own.counters.run };
    });
    settled = [];
    kept = undefined;
    isLate = false;
  }

  function flushInTime(): void {
    try {
      flush();
    } catch {
      isLate = true; // the next settle() or flush() tries again, and throws
    }
  }

  return {
    get counters() {
      return state.counters;
    },
    begin(identity) {
      const before = state.identity ?? identity;
      const names = [...new Set([...Object.keys(before), ...Object.keys(identity)])];
      const changed = names.filter((name) => before[name] !== identity[name]).sort();
      const wrong = changed.filter((name) => !IS_FILTER.test(name));
      if (wrong.length > 0) return wrong;
      commit(({ counters }) => {
        state.identity = identity;
        counters.run += 1;
        if (changed.length === 0) return;
        // The scan finds them under their new names, and what earlier filters have left out.
        counters.submitted -= Number(forgetNew.run().changes);
        Object.assign(counters, { isScanning: 1, scan: counters.scan + 1 });
        state.cursor = undefined;
      });
      return [];
    },
    beginScan(isResumable, isNew = false) {
      const continues = state.counters.isScanning === 1 && !isNew;
      if (continues && isResumable && state.cursor !== undefined) return state.cursor;
      commit(({ counters }) => {
        if (!continues) counters.scan += 1;
        counters.pass += 1;
        Object.assign(counters, { isScanning: 1, scanNew: 0, scanChanged: 0, scanKnown: 0, scanIgnored: 0 });
        state.cursor = undefined;
      });
      return undefined;
    },
    addPage({ objects, failures, ignored, rechecks, cursor }) {
      commit(({ counters }) => {
        for (const object of objects) addObject(object, "", rechecks, counters);
        for (const { shown: fileid, reason } of failures) addObject({ ...UNLISTED, fileid }, reason, false, counters);
        counters.scanIgnored += ignored;
        state.cursor = cursor;
      });
    },
    endScan() {
      commit(({ counters }) => {
        const { changes } = forget.run(counters.pass);
        counters.submitted -= changes;
        counters.failed -= changes;
        counters.isScanning = 0;
        state.cursor = undefined;
      });
    },
    async *rows(kind, after) {
      for (let last = after; ; ) {
        const { serial = 0, fileid = "" } = last ?? {};
        const { run, pass } = state.counters;
        const isUnlisted = last === undefined ? -1 : +(last.locator === "");
        const rows = pages[kind].all({ serial, fileid, isUnlisted, run, pageRows });
        if (rows.length === 0) return;
        for (const row of rows) {
          last = jobOf(row, pass);
          yield last;
        }
        // Work that never waits would keep signals and the progress bar waiting.
        await immediate();
      }
    },
    settle(result) {
      settled.push(result);
      if (isLate || settled.length >= MAX_SETTLED) flush();
      else timer ??= setTimeout(flushInTime, commitMs);
    },
    keep(verification) {
      kept = verification;
      timer ??= setTimeout(flushInTime, commitMs);
    },
    flush,
    close() {
      clearTimeout(timer);
      database.close();
    },
  };
}

type Listed = JournalPage["objects"][number];
const UNLISTED = { locator: "", size: undefined, version: undefined };

function jobOf({ serial, fileid, locator, log, size, version, status, seen, changed }: Row, pass: number): Job {
  const flags = { isChanged: changed > 0, isReopened: changed === 2, hasFailed: status === FAILED };
  const listed = { size: size ?? undefined, version: version ?? undefined, isListed: seen === pass };
  return { serial, fileid, locator, log, ...listed, ...flags };
}

/** Adds a listed name, or compares it with the row that it has. */
function createAdder(database: Sqlite) {
  const add = database.prepare<[object]>(
    `INSERT INTO jobs (fileid, locator, size, version, status, scan, seen, cause, log)
     VALUES (@fileid, @locator, @size, @version, @status, @scan, @pass, @cause, @log)`,
  );
  const find = database.prepare<[string, number], Row>("SELECT * FROM jobs WHERE fileid = ? AND (locator = '') = ?");
  const see = database.prepare("UPDATE jobs SET seen = ? WHERE serial = ?");
  const change = database.prepare(
    // With a serial behind all others: a run that has passed the row comes to it, and what it copied does not count.
    `UPDATE jobs SET serial = (SELECT max(serial) + 1 FROM jobs), size = ?, version = ?, status = ${NEW},
     changed = max(changed, 1) WHERE serial = ?`,
  );

  function addNew(object: Listed, log: string, counters: Counters): void {
    const { fileid, locator, size = null, version = null } = object;
    const { scan, pass } = counters;
    const described = locator === "" ? { status: FAILED, cause: "unlisted" } : { status: NEW, cause: null };
    add.run({ fileid, locator, size, version, scan, pass, log, ...described });
    counters.submitted += 1;
    counters.scanNew += 1;
    if (described.status === FAILED) counters.failed += 1;
  }

  function compare(row: Row, { locator, size, version }: Listed, rechecks: boolean, counters: Counters): void {
    const { scan, pass } = counters;
    const isFirst = row.locator === locator && row.seen < pass;
    const isOwn = row.scan === scan;
    const differs = isFirst && (isDifferent(row.size, size) || isDifferent(row.version, version));
    // A scan that began again finds its own rows.
    if (isFirst && isOwn) counters.scanNew += 1;
    else if (differs) counters.scanChanged += 1;
    else counters.scanKnown += 1;
    const isUnreported = size === undefined && version === undefined;
    const isRechecked = rechecks && isUnreported && isFirst && !isOwn && row.status === SUCCESSFUL;
    if (!differs && !isRechecked) return;
    if (row.status === SUCCESSFUL) counters.successful -= 1;
    if (row.status === FAILED) counters.failed -= 1;
    change.run(size ?? null, version ?? null, row.serial);
  }

  return (object: Listed, log: string, rechecks: boolean, counters: Counters): void => {
    const row = find.get(object.fileid, +(object.locator === ""));
    if (row === undefined) addNew(object, log, counters);
    else {
      see.run(counters.pass, row.serial);
      compare(row, object, rechecks, counters);
    }
  };
}

/** False if either is not known. */
function isDifferent<Value>(before: Value | null, after: Value | undefined): boolean {
  return before !== null && after !== undefined && before !== after;
}

function createSettler(database: Sqlite) {
  const reopen = database.prepare(
    `UPDATE jobs SET status = ${NEW}, changed = 2, log = '' WHERE serial = ? AND status = ?`,
  );
  const succeed = database.prepare(
    `UPDATE jobs SET status = ${SUCCESSFUL}, run = ?, changed = 0, cause = NULL, log = '' WHERE serial = ?`,
  );
  const fail = database.prepare(`UPDATE jobs SET status = ${FAILED}, run = ?, cause = ?, log = ? WHERE serial = ?`);

  return (result: JobResult, counters: Counters): void => {
    const { serial, hasFailed } = result.job;
    const { run } = counters;
    if (result.outcome === "reopened") {
      counters.successful -= reopen.run(serial, SUCCESSFUL).changes;
      counters.failed -= reopen.run(serial, FAILED).changes;
    } else if (result.outcome === "failed") {
      const { changes } = fail.run(run, result.cause, result.log, serial);
      if (!hasFailed) counters.failed += changes;
    } else if (succeed.run(run, serial).changes > 0) {
      counters.successful += 1;
      if (hasFailed) counters.failed -= 1;
      counters[result.outcome] += 1;
      counters.bytes += result.bytes;
    }
  };
}
