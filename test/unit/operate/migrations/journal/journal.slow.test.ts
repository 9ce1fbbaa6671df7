import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSqlite } from "../../../../../src/core/sqlite.ts";
import { INCONSISTENT } from "../../../../../src/operate/migrations/journal/database.ts";
import { jobFolder } from "../../../../../src/operate/migrations/journal/job-folder.ts";
import {
  type Job,
  type JobResult,
  type Journal,
  openJournal,
  type RowKind,
} from "../../../../../src/operate/migrations/journal/journal.ts";
import { readCauses, readFailed, readStateIn } from "../../../../../src/operate/migrations/journal/reading.ts";
import { startCpuTimer } from "../../../../helpers/cpu-time.ts";

/** Results wait for flush(). */
const OPTIONS = [2, 60_000] as const;
let dir: string;
let path: string;
let journal: Journal | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "huiyuan-journal-"));
  path = join(dir, "jobs.db");
});
afterEach(() => {
  journal?.close();
  journal = undefined;
  rmSync(dir, { recursive: true });
});

function open(identity = {}): Journal {
  journal?.close();
  journal = openJournal(path, ...OPTIONS);
  expect(journal.begin(identity)).toEqual([]);
  return journal;
}

const object = (fileid: string, more: { locator?: string; size?: number; version?: string } = {}) => ({
  fileid,
  locator: `/${fileid}`,
  size: 1,
  version: "1",
  ...more,
});
const page = (objects: ReturnType<typeof object>[], cursor?: string) => ({
  objects,
  failures: [],
  ignored: 0,
  rechecks: false,
  cursor,
});
const scan = (of: Journal, ...objects: ReturnType<typeof object>[]) => {
  of.beginScan(false);
  of.addPage(page(objects));
  of.endScan();
};
async function rows(of: Journal, kind: RowKind): Promise<Job[]> {
  const found: Job[] = [];
  for await (const job of of.rows(kind)) found.push(job);
  return found;
}
function settle(of: Journal, ...results: JobResult[]): void {
  for (const result of results) of.settle(result);
  of.flush();
}
const names = (jobs: readonly Job[]) => jobs.map(({ fileid }) => fileid);
const stored = (job: Job) => ({ job, outcome: "stored", bytes: 10 }) as const;
const failed = (job: Job, log = "message: x, code: -97, httpcode: 400") =>
  ({ job, outcome: "failed", cause: "code -97", log }) as const;

test("a job is new until its result is settled, and counts once", async () => {
  const of = open();
  scan(of, object("a"), object("b"), object("c"));
  const [a, b] = await rows(of, "new");
  settle(of, stored(a!), failed(b!));
  expect(of.counters).toMatchObject({ submitted: 3, successful: 1, failed: 1, stored: 1, bytes: 10, scanNew: 3 });
  expect(names(await rows(of, "new"))).toEqual(["c"]);
});

test("failed jobs are not retried in their own run, and are after it; success then moves the counters", async () => {
  let of = open();
  scan(of, object("a"), object("b"));
  settle(of, ...(await rows(of, "new")).map((job) => failed(job)));
  expect(await rows(of, "failed")).toEqual([]);
  of = open();
  const [a, b] = await rows(of, "failed");
  expect(a?.log).toContain("code: -97");
  settle(of, stored(a!), failed(b!));
  expect(of.counters).toMatchObject({ successful: 1, failed: 1 });
});

test("a second object of a name counts as known, whatever scan it comes from", () => {
  const of = open();
  scan(of, object("a"), object("a", { locator: "/other" }));
  expect(of.counters).toMatchObject({ submitted: 1, scanNew: 1, scanKnown: 1 });
  scan(of, object("a"), object("b"));
  expect(of.counters).toMatchObject({ submitted: 2, scanNew: 1, scanKnown: 1 });
});

test("a name that one scan lists twice counts as new once", () => {
  const of = open();
  scan(of, object("a"), object("a"));
  expect(of.counters).toMatchObject({ submitted: 1, scanNew: 1, scanKnown: 1 });
});

test("a copied object that a later listing tells nothing of is new again if it is to be checked, and counts as known", async () => {
  const of = open();
  const unreported = ["a", "b"].map((name) => ({ ...object(name), size: undefined, version: undefined }));
  const list = (rechecks: boolean) => {
    of.beginScan(false);
    of.addPage({ objects: [...unreported, ...unreported], failures: [], ignored: 0, rechecks, cursor: undefined });
    of.endScan();
  };
  list(true);
  const [a, b] = await rows(of, "new");
  settle(of, stored(a!), failed(b!));
  list(false);
  expect(await rows(of, "new")).toEqual([]);
  list(true);
  expect(of.counters).toMatchObject({
    submitted: 2,
    successful: 0,
    failed: 1,
    scanNew: 0,
    scanKnown: 4,
    scanChanged: 0,
  });
  expect(await rows(of, "new")).toMatchObject([{ fileid: "a", isChanged: true }]);
});

test("what a run copied before a scan found a newer version does not count, and the row comes again", async () => {
  const of = open();
  scan(of, object("a"), object("b"));
  const [a, b] = await rows(of, "new");
  scan(of, object("a", { version: "2" }), object("b"));
  settle(of, stored(a!), stored(b!));
  expect(of.counters).toMatchObject({ successful: 1, failed: 0, scanChanged: 1 });
  expect(names(await rows(of, "new"))).toEqual(["a"]);
});

test("results that could not be written are written by the next call, which throws until then", async () => {
  const of = open();
  scan(of, object("a"));
  const [a] = await rows(of, "new");
  const other = openSqlite(path, { timeout: 0 });
  other.exec("CREATE TRIGGER broken BEFORE UPDATE ON jobs BEGIN SELECT raise(ABORT, 'a broken disk'); END");
  of.settle(stored(a!));
  expect(() => of.flush()).toThrow("a broken disk");
  expect(of.counters.successful).toBe(0);
  other.exec("DROP TRIGGER broken");
  other.close();
  of.flush();
  expect(of.counters.successful).toBe(1);
  expect(open().counters.successful).toBe(1);
});

test("rows that a scan adds while others are worked on are found too", async () => {
  const of = open();
  of.beginScan(false);
  of.addPage(page([object("a"), object("b"), object("c")]));
  const found: string[] = [];
  for await (const { fileid } of of.rows("new")) {
    found.push(fileid);
    if (fileid === "a") of.addPage(page([object("d"), object("e")]));
  }
  expect(found).toEqual(["a", "b", "c", "d", "e"]);
});

test("a page of new rows takes as long behind 100,000 finished rows as behind none", { timeout: 60_000 }, async () => {
  const of = open();
  const fastest = async () => {
    let least = Number.POSITIVE_INFINITY;
    for (let count = 0; count < 30; count += 1) {
      const cpuMs = startCpuTimer();
      const { length } = await rows(of, "new");
      least = Math.min(least, cpuMs());
      expect(length).toBe(1);
    }
    return least;
  };
  of.beginScan(false);
  of.addPage(page([object("first")]));
  const before = await fastest();
  settle(of, ...(await rows(of, "new")).map(stored));
  const many = Array.from({ length: 100_000 }, (_, index) => object(`${index}`));
  of.addPage(page(many));
  for await (const job of of.rows("new")) of.settle(stored(job));
  of.flush();
  of.addPage(page([object("last")]));
  expect(of.counters.successful).toBe(100_001);
  // A walk over all rows takes 10 ms and more.
  expect(await fastest()).toBeLessThan(before + 2);
});

test("an interrupted scan continues behind its cursor, with its counts", () => {
  let of = open();
  expect(of.beginScan(true)).toBeUndefined();
  of.addPage(page([object("a")], "cursor 1"));
  of = open();
  expect(of.counters.isScanning).toBe(1);
  expect(of.beginScan(true)).toBe("cursor 1");
  of.addPage(page([object("b")]));
  of.endScan();
  expect(of.counters.isScanning).toBe(0);
  expect(of.counters).toMatchObject({ submitted: 2, scanNew: 2, scanKnown: 0 });
});

test("a new scan does not continue an interrupted one, so that it finds what has changed since", async () => {
  const of = open();
  of.beginScan(true);
  of.addPage(page([object("a")], "cursor 1"));
  settle(of, ...(await rows(of, "new")).map(stored));
  expect(of.beginScan(true, true)).toBeUndefined();
  of.addPage(page([object("a", { version: "2" })]));
  of.endScan();
  expect(of.counters).toMatchObject({ submitted: 1, successful: 0, scanNew: 0, scanChanged: 1 });
});

test("a failure that a whole scan does not list any more is forgotten; a copied object is not", async () => {
  const of = open();
  scan(of, object("a"), object("b"), object("c"), object("d"));
  const [a, b, c] = await rows(of, "new");
  settle(of, stored(a!), failed(b!), failed(c!));
  of.beginScan(false);
  of.addPage(page([object("c")]));
  expect(of.counters.failed).toBe(2);
  of.endScan();
  expect(of.counters).toMatchObject({ submitted: 3, successful: 1, failed: 1 });
  settle(of, stored(b!));
  expect(open().counters).toMatchObject({ submitted: 3, successful: 1, failed: 1 });
  expect(names(await rows(journal!, "all"))).toEqual(["a", "c", "d"]);
});

test("an interrupted scan without a cursor begins again, and its own rows are not taken for known ones", () => {
  let of = open();
  of.beginScan(false);
  of.addPage(page([object("a"), object("b")]));
  of = open();
  of.beginScan(false);
  of.addPage(page([object("a"), object("b"), object("c")]));
  of.endScan();
  expect(of.counters).toMatchObject({ submitted: 3, scanNew: 3, scanKnown: 0 });
});

test("a later scan finds what the source changed, and only that is new again", async () => {
  const of = open();
  scan(of, object("a"), object("b"), object("c"));
  const [a, b, c] = await rows(of, "new");
  settle(of, stored(a!), stored(b!), failed(c!));
  scan(of, object("a"), object("b", { version: "2" }), object("c", { size: 2 }));
  expect(of.counters).toMatchObject({
    submitted: 3,
    successful: 1,
    failed: 0,
    scanNew: 0,
    scanKnown: 1,
    scanChanged: 2,
  });
  const again = await rows(of, "new");
  expect(again.map(({ fileid, isChanged }) => [fileid, isChanged])).toEqual([
    ["b", true],
    ["c", true],
  ]);
  settle(of, ...again.map(stored));
  expect(of.counters).toMatchObject({ successful: 3, failed: 0 });
});

test("a name that cannot become an object is a failed job that no run copies, beside an object of the same name", async () => {
  const of = open();
  of.beginScan(false);
  of.addPage({ ...page([object("a\\xff")]), failures: [{ shown: "a\\xff", reason: "The name is not UTF-8" }] });
  of.endScan();
  expect(of.counters).toMatchObject({ submitted: 2, failed: 1 });
  expect(names(await rows(of, "new"))).toEqual(["a\\xff"]);
  expect(await rows(open(), "failed")).toEqual([]);
  const found = readFailed(path, 0, 10);
  expect(found).toMatchObject([{ fileid: "a\\xff", log: "The name is not UTF-8" }]);
});

test("a reader sees failures by cause while the journal is open", async () => {
  const of = open();
  scan(of, object("a"), object("b"), object("c"));
  const [a, b, c] = await rows(of, "new");
  settle(of, failed(a!, "first"), failed(b!, "second"), { ...failed(c!), cause: "gone" });
  expect(await readCauses(path, 10)).toMatchObject([
    { cause: "code -97", count: 2, example: "first" },
    { cause: "gone", count: 1 },
  ]);
  expect(readStateIn(path)?.counters).toEqual(of.counters);
});

test("causes are counted over all failures, however many pages they take", async () => {
  open();
  const database = openSqlite(path);
  database.exec(
    `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 45000)
     INSERT INTO jobs (serial, fileid, locator, status, scan, seen, cause, log)
     SELECT n, 'f' || n, 'l', 2, 1, 1, iif(n % 3 = 0, 'gone', 'code -97'), printf('reason %05d', 45000 - n) FROM numbers`,
  );
  database.close();
  expect(await readCauses(path, 10)).toEqual([
    { cause: "code -97", count: 30_000, example: "reason 00001" },
    { cause: "gone", count: 15_000, example: "reason 00000" },
  ]);
  expect(await readCauses(path, 1)).toHaveLength(1);
});

test("begin() takes other filters: a whole scan names the rows anew, and keeps what is copied", async () => {
  const own = open({ "fileid.ignore.if": "x", "sub.pattern": "y", root: "/a" });
  own.beginScan(true);
  own.addPage(
    page(
      ["good", "bad", "worse", "new"].map((name) => object(name)),
      "the cursor",
    ),
  );
  const jobs = await rows(own, "new");
  settle(own, stored(jobs[0]!), failed(jobs[1]!), failed(jobs[2]!));
  const changed = { "fileid.ignore.if": "z", "sub.pattern": "y", root: "/a" };
  const counters = { ...own.counters };
  expect(own.begin({ ...changed, root: "/b" })).toEqual(["root"]);
  expect(own.counters).toEqual(counters);
  expect(own.begin(changed)).toEqual([]);
  expect(own.begin(changed)).toEqual([]);
  expect(names(await rows(own, "all"))).toEqual(["bad", "good", "worse"]);
  expect(own.counters).toMatchObject({ submitted: 3, successful: 1, failed: 2, isScanning: 1 });
  expect(own.beginScan(true)).toBeUndefined();
  own.addPage(page([object("worse"), object("renamed")]));
  own.endScan();
  expect(names(await rows(own, "all"))).toEqual(["good", "renamed", "worse"]);
  expect(own.counters).toMatchObject({
    submitted: 3,
    successful: 1,
    failed: 1,
    scanNew: 1,
    scanKnown: 1,
    isScanning: 0,
  });
});

test("begin() names the options that changed, and the journal stays as it is", () => {
  open({ root: "/a", type: "Local" });
  expect(journal?.begin({ root: "/b", filter: "x", type: "Local" })).toEqual(["filter", "root"]);
  expect(journal?.counters.run).toBe(1);
  open({ root: "/a", type: "Local" });
});

test("a journal whose counters disagree with its rows, or that is no database, is refused with what to do", () => {
  const of = open();
  scan(of, object("a"));
  of.close();
  journal = undefined;
  const database = openSqlite(path);
  database.exec("UPDATE state SET json = json_set(json, '$.counters.submitted', 7)");
  database.close();
  expect(() => openJournal(path, ...OPTIONS)).toThrow(INCONSISTENT);
  rmSync(path);
  writeFileSync(path, "no database at all ".repeat(100));
  expect(() => openJournal(path, ...OPTIONS)).toThrow(INCONSISTENT);
});

test("the journal of the old tool is refused by name", () => {
  const database = openSqlite(path);
  database.exec("CREATE TABLE jobs(serial INTEGER PRIMARY KEY, fileid TEXT UNIQUE, status INT, src TEXT, log TEXT)");
  database.close();
  expect(() => openJournal(path, ...OPTIONS)).toThrow(/another program.*clean/);
});

test("a job folder has one lock; a stale pid does not block, and is not taken for a run", () => {
  const folder = jobFolder(dir);
  writeFileSync(join(dir, "pid"), "1\n");
  expect(folder.runningPid()).toBeUndefined();
  const unlock = folder.lock();
  expect(folder.runningPid()).toBe(process.pid);
  expect(folder.lock()).toBeUndefined();
  unlock?.();
  expect(folder.runningPid()).toBeUndefined();
});

test("clean() removes what a run has written, and no folder `spool` of somebody else", () => {
  const folder = jobFolder(dir);
  for (const path of [folder.spool, join(dir, "spool")]) {
    mkdirSync(path);
    writeFileSync(join(path, "file"), "");
  }
  folder.clean();
  expect(readdirSync(dir)).toEqual(["spool"]);
  expect(readdirSync(join(dir, "spool"))).toEqual(["file"]);
});

test("only its owner can read the folder of a job, because a journal may hold secrets", () => {
  const folder = jobFolder(join(dir, "job"));
  folder.lock()?.();
  expect(statSync(folder.dir).mode & 0o777).toBe(0o700);
});

test("rows come in the order of the keys' UTF-8 bytes, with what the last scan listed", async () => {
  const of = open();
  of.beginScan(false);
  const failures = [{ shown: "b", reason: "The name is not UTF-8" }];
  of.addPage({ ...page(["b", "\u{1f600}", "\uff5e", "a/b", "a", ""].map((name) => object(name))), failures });
  of.endScan();
  of.beginScan(false);
  const listed = [object("b"), object("a", { version: "2" }), object("a/b", { locator: "/other" })];
  of.addPage({ ...page(listed), failures });
  of.endScan();
  const found = await rows(of, "all");
  expect(found.map(({ fileid, locator, isListed }) => [fileid, locator, isListed])).toEqual([
    ["", "/", false],
    ["a", "/a", true],
    ["a/b", "/a/b", true],
    ["b", "/b", true],
    ["b", "", true],
    ["\uff5e", "/\uff5e", false],
    ["\u{1f600}", "/\u{1f600}", false],
  ]);
});

test("a reopened job is new again as a changed one, and counts as done no more; a new one stays as it is", async () => {
  const of = open();
  scan(of, object("a"), object("b"), object("c"));
  const jobs = await rows(of, "new");
  settle(of, stored(jobs[0]!), failed(jobs[1]!));
  settle(of, ...jobs.map((job) => ({ job, outcome: "reopened" }) as const));
  expect(of.counters).toMatchObject({ submitted: 3, successful: 0, failed: 0 });
  expect((await rows(of, "new")).map(({ fileid, isChanged, isReopened }) => [fileid, isChanged, isReopened])).toEqual([
    ["a", true, true],
    ["b", true, true],
    ["c", false, false],
  ]);
});
