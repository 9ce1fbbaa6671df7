import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { HuiyuanError } from "../../../../src/core/errors.ts";
import { openSqlite } from "../../../../src/core/sqlite.ts";
import { createLedgers } from "../../../../src/ledger/ledger.ts";
import type { Operation } from "../../../../src/operate/admin/operation.ts";
import type { LogEntry } from "../../../../src/operate/operations/contract.ts";
import {
  createOperationLog,
  OPERATIONS_PLAN,
  type OperationLog,
  type OperationLogOptions,
} from "../../../../src/operate/operations/operation-log.ts";
import { linesOf } from "../../../helpers/log-lines.ts";
import { eventually } from "../../../helpers/program.ts";

const DAY_MS = 86_400_000;
const ANY = { bucketId: undefined, operation: undefined, fileid: undefined, from: undefined, to: undefined };
const ALL = { after: 0, limit: 1_000 };

let dir: string;
let clock: number;
let log: ReturnType<typeof linesOf>;
let ledger: OperationLogOptions["ledger"];
let made: OperationLog[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-operations-"));
  [clock, log, made] = [Date.UTC(2026, 10, 25), linesOf(), []];
  const ledgers = createLedgers({ dir, log });
  ledger = ledgers.open(OPERATIONS_PLAN);
  return async () => {
    await Promise.all(made.map((operations) => operations.close()));
    await ledgers.close();
    await rm(dir, { recursive: true });
  };
});

function open(more: Partial<OperationLogOptions> = {}): OperationLog {
  const operations = createOperationLog({ ledger, log, now: () => clock, ...more });
  made.push(operations);
  return operations;
}

const operation = (fileid: string, more: Partial<Operation> = {}): Operation => ({
  at: clock,
  bucketId: "10001234/photos",
  operation: "query",
  fileid,
  url: `http://h/${fileid}?sign=secret`,
  client: "192.0.2.1",
  userAgent: "curl/8",
  code: 0,
  message: "SUCCESS",
  bytes: 0,
  requestId: "0123-1",
  ...more,
});
const fileids = (entries: readonly LogEntry[]) => entries.map(({ fileid }) => fileid);

test("latest() and page() return what record() took, also in the next process, without the signature", async () => {
  const operations = open();
  operations.record(operation("a", { operation: "upload", bytes: 7, code: -5979, message: "stored, but …" }));
  const { at, bucketId: bucket, ...rest } = operation("a");
  const recorded = {
    ...{ ...rest, bucket, time: new Date(at).toISOString() },
    operation: "upload",
    bytes: 7,
    code: -5979,
    message: "stored, but …",
    url: "http://h/a",
  };
  expect(await operations.latest(ANY, 10)).toEqual([{ ...recorded, id: 1, reportTime: new Date(clock).toISOString() }]);
  await operations.close();
  expect((await open().page(ANY, ALL)).entries).toMatchObject([recorded]);
});

test("entries are written by a timer, within seconds", async () => {
  open().record(operation("a"));
  await eventually(
    async () => (await ledger.read("tooMany", { done: 0, failed: 0 })).length === 1,
    "the entry is written",
  );
});

test("page() and latest() filter by bucket, operation, file and time", async () => {
  const operations = open();
  for (const [index, fileid] of ["a", "b", "c", "d"].entries())
    operations.record(operation(fileid, { at: clock + index }));
  operations.record(operation("a", { at: clock + 4, operation: "delete" }));
  operations.record(operation("a", { at: clock + 5, bucketId: "10001234/others" }));
  const found = async (filter: object) => {
    const paged = (await operations.page({ ...ANY, ...filter }, ALL)).entries;
    expect(await operations.latest({ ...ANY, ...filter }, 1_000)).toEqual(paged);
    return fileids(paged).join("");
  };
  expect(await found({})).toBe("abcdaa");
  expect(await found({ bucketId: "10001234/photos" })).toBe("abcda");
  expect(await found({ fileid: "a" })).toBe("aaa");
  expect(await found({ operation: "delete" })).toBe("a");
  expect(await found({ fileid: "a", operation: "delete" })).toBe("a");
  expect(await found({ fileid: "b", operation: "delete" })).toBe("");
  expect(await found({ from: clock + 1, to: clock + 3 })).toBe("bcd");
  expect(await found({ from: clock + 6 })).toBe("");
  expect(await found({ to: clock - 1 })).toBe("");
  expect(fileids(await operations.latest(ANY, 2))).toEqual(["a", "a"]);
});

test("page() continues where it ended, also over long stretches without a match", async () => {
  const operations = open();
  for (let part = 0; part < 7; part += 1) {
    for (let number = 0; number < 9_000; number += 1) operations.record(operation("other"));
    operations.record(operation(`wanted ${part}`, { operation: "delete" }));
    await operations.flush();
  }
  const seen: string[] = [];
  let after: number | undefined = 0;
  for (let pages = 0; after !== undefined && pages < 100; pages += 1) {
    const page: Awaited<ReturnType<OperationLog["page"]>> = await operations.page(
      { ...ANY, operation: "delete" },
      { after, limit: 2 },
    );
    seen.push(...fileids(page.entries));
    after = page.next;
  }
  const wanted = Array.from({ length: 7 }, (_, part) => `wanted ${part}`);
  expect(seen).toEqual(wanted);
  expect(fileids(await operations.latest({ ...ANY, operation: "delete" }, 3))).toEqual(wanted.slice(-3));
}, 60_000);

test.each([
  ["byOperationAscending", "operations_operation (operation=? AND rowid>? AND rowid<?)"],
  ["byOperationDescending", "operations_operation (operation=? AND rowid>? AND rowid<?)"],
  ["byFileidAscending", "operations_fileid (fileid=? AND rowid>? AND rowid<?)"],
  ["byFileidDescending", "operations_fileid (fileid=? AND rowid>? AND rowid<?)"],
] as const)("%s reads no entry of other images and operations, and sorts none", (name, index) => {
  const database = openSqlite(":memory:");
  try {
    for (const step of OPERATIONS_PLAN.steps) database.exec(step);
    const [rows, ...others] = database
      .prepare<[object], { detail: string }>(`EXPLAIN QUERY PLAN ${OPERATIONS_PLAN.statements[name]}`)
      .all({ ...{ bucket: null, operation: "purge", fileid: "a" }, ...{ from: 0, to: 1, after: 0, limit: 1 } })
      .map(({ detail }) => detail);
    expect(rows).toBe(`SEARCH operations USING INDEX ${index}`);
    expect(others.filter((detail) => detail.includes("B-TREE"))).toEqual([]);
  } finally {
    database.close();
  }
});

test("entries of the last 30 days on which the server ran are kept, older ones go", async () => {
  const operations = open();
  const record = async (fileid: string) => {
    operations.record(operation(fileid));
    await operations.flush();
  };
  await record("old");
  clock += DAY_MS;
  await record("kept");
  // Days without an entry count too.
  for (let day = 2; day <= 30; day += 1) {
    clock += DAY_MS;
    await operations.flush();
  }
  expect(fileids((await operations.page(ANY, ALL)).entries)).toEqual(["old", "kept"]);
  clock += DAY_MS;
  await record("new");
  expect(fileids((await operations.page(ANY, ALL)).entries)).toEqual(["kept", "new"]);
  clock += DAY_MS;
  await operations.flush();
  expect(fileids((await operations.page(ANY, ALL)).entries)).toEqual(["new"]);
});

test("an entry from a wrong clock hides and deletes nothing, and is found itself", async () => {
  const operations = open({ maxRows: { done: 1_000, failed: 1_000 } });
  const record = async (fileid: string, at: number) => {
    clock = at;
    operations.record(operation(fileid));
    await operations.flush();
  };
  const right = clock;
  await record("a", right);
  await record("future", right + 5_000 * DAY_MS);
  await record("past", 86_400_000);
  await record("b", right + DAY_MS);
  // Set back: later entries have an earlier time.
  await record("c", right - DAY_MS);
  await record("d", right);
  const found = async (filter: object) => {
    const found: string[] = [];
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page: Awaited<ReturnType<OperationLog["page"]>> = await operations.page(
        { ...ANY, ...filter },
        { after, limit: 1 },
      );
      found.push(...fileids(page.entries));
      after = page.next;
    }
    expect(fileids(await operations.latest({ ...ANY, ...filter }, 1_000))).toEqual(found);
    return found;
  };
  expect(await found({})).toEqual(["a", "future", "past", "b", "c", "d"]);
  expect(await found({ from: right })).toEqual(["a", "future", "b", "d"]);
  expect(await found({ to: right })).toEqual(["a", "past", "c", "d"]);
  expect(await found({ from: right - DAY_MS, to: right + DAY_MS })).toEqual(["a", "b", "c", "d"]);
  expect(await found({ from: right + DAY_MS, to: right + DAY_MS })).toEqual(["b"]);
  expect(await found({ fileid: "c", to: right - 1 })).toEqual(["c"]);
  expect(await found({ operation: "query", to: right - DAY_MS })).toEqual(["past", "c"]);
});

test("a log of an earlier version is searched by time, and keeps its entries", async () => {
  const file = join(dir, "operations.db");
  const database = openSqlite(file);
  for (const step of OPERATIONS_PLAN.steps.slice(0, 2)) database.exec(step);
  database.exec("PRAGMA user_version = 2");
  const row = {
    ...operation("x"),
    bucket: "10001234/photos",
    reportedAt: clock,
    isFailed: 0,
  };
  const { bucketId: _, ...columns } = row;
  const add = database.prepare<[object]>(OPERATIONS_PLAN.statements.add);
  for (const [fileid, at] of Object.entries({
    a: clock,
    b: clock + DAY_MS,
    c: clock - DAY_MS,
  }))
    add.run({ ...columns, fileid, at });
  database.close();
  const operations = open();
  operations.record(operation("d"));
  expect(fileids((await operations.page(ANY, ALL)).entries)).toEqual(["a", "b", "c", "d"]);
  expect(fileids((await operations.page({ ...ANY, from: clock }, ALL)).entries)).toEqual(["a", "b", "d"]);
  expect(fileids((await operations.page({ ...ANY, to: clock - 1 }, ALL)).entries)).toEqual(["c"]);
});

test("the rows of a bucket are limited, and failed operations do not evict successful ones", async () => {
  const operations = open({ maxRows: { done: 5, failed: 3 } });
  for (let number = 0; number < 8; number += 1) operations.record(operation(`done ${number}`));
  for (let number = 0; number < 8; number += 1) operations.record(operation(`failed ${number}`, { code: -97 }));
  operations.record(operation("elsewhere", { bucketId: "10001234/others" }));
  await operations.flush();
  expect(fileids((await operations.page(ANY, ALL)).entries)).toEqual([
    ...[3, 4, 5, 6, 7].map((number) => `done ${number}`),
    ...[5, 6, 7].map((number) => `failed ${number}`),
    "elsewhere",
  ]);
});

test("entries that cannot be written wait, up to a limit, and lost ones are logged", async () => {
  let isFull = true;
  const refusing: OperationLogOptions["ledger"] = {
    ...ledger,
    write: (statement, ...rows) =>
      isFull ? Promise.reject(new HuiyuanError("store_full", "disk full")) : ledger.write(statement, ...rows),
  };
  const operations = open({ ledger: refusing });
  for (let number = 0; number < 10_003; number += 1) operations.record(operation(`${number}`));
  await operations.flush();
  operations.record(operation("one more"));
  isFull = false;
  await operations.flush();
  const kept = await operations.latest(ANY, 2);
  expect(fileids(kept)).toEqual(["9998", "9999"]);
  expect(log.lines.map(({ fields }) => fields)).toMatchObject([{ waiting: 10_000, lost: 3 }, { lost: 4 }]);
});

test("record() cuts long values", async () => {
  const operations = open();
  const long = "x".repeat(100_000);
  operations.record(operation(long, { url: long, userAgent: long, message: long, client: long, requestId: long }));
  const [entry] = await operations.latest(ANY, 1);
  expect(JSON.stringify(entry).length).toBeLessThan(6_000);
});
