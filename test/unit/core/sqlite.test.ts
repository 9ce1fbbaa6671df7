import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { errorCodeOf, isDamage, storeFailure } from "../../../src/core/disk-failure.ts";
import {
  bufferOf,
  firstValue,
  openSqlite,
  returnsRows,
  type Sqlite,
  type SqliteOptions,
  transaction,
} from "../../../src/core/sqlite.ts";

// .ci/run repeats these tests on Node 24, so both libraries must pass them.

let folder: string;
let database: Sqlite;
let opened: Sqlite[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "huiyuan-sqlite-"));
  opened = [];
  database = open("a.db");
  database.exec("CREATE TABLE things (name TEXT PRIMARY KEY, number INTEGER, bytes BLOB) STRICT, WITHOUT ROWID");
});

afterEach(() => {
  for (const each of opened) each.close();
  rmSync(folder, { recursive: true });
});

function open(name: string, options?: SqliteOptions): Sqlite {
  const connection = openSqlite(join(folder, name), options);
  opened.push(connection);
  return connection;
}

function add(name: string, number: number | null = null, bytes: Uint8Array | null = null) {
  return database.prepare("INSERT INTO things VALUES (?, ?, ?) ON CONFLICT DO NOTHING").run(name, number, bytes);
}

const codeOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return errorCodeOf(error);
  }
  return "no error";
};

test("values come back as they were stored", () => {
  const numbers = [0, -1, 2 ** 31, 1_790_000_000_123, Number.MAX_SAFE_INTEGER];
  for (const number of numbers) add(`n${number}`, number);
  expect(database.prepare("SELECT number FROM things ORDER BY number").all()).toEqual(
    [-1, 0, 2 ** 31, 1_790_000_000_123, Number.MAX_SAFE_INTEGER].map((number) => ({ number })),
  );
  add("图\0片", null, Buffer.from([0, 255]));
  const select = "SELECT name, number, bytes FROM things WHERE name = ?";
  const row = database.prepareArrays<[string], [string, null, Uint8Array]>(select).get("图\0片");
  expect(row?.slice(0, 2)).toEqual(["图\0片", null]);
  expect(bufferOf(row![2])).toEqual(Buffer.from([0, 255]));
  expect(database.prepare(select).get("no")).toBeUndefined();
});

test("bufferOf() shares the memory", () => {
  const bytes = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
  const buffer = bufferOf(bytes);
  bytes[0] = 9;
  expect(buffer).toEqual(Buffer.from([9, 3]));
});

test("run() counts the changed rows, and names the last row", () => {
  expect([add("a").changes, add("a").changes, add("b").changes]).toEqual([1, 0, 1]);
  expect(database.prepare("DELETE FROM things").run().changes).toBe(2);
  database.exec("CREATE TABLE numbered (id INTEGER PRIMARY KEY, name TEXT)");
  const insert = database.prepare<[string]>("INSERT INTO numbered (name) VALUES (?)");
  expect([insert.run("a"), insert.run("b")].map(({ lastInsertRowid }) => Number(lastInsertRowid))).toEqual([1, 2]);
});

test("named parameters may have more names than the statement", () => {
  database.prepare<[object]>("INSERT INTO things VALUES (@name, @number, NULL)").run({ name: "a", number: 1, more: 2 });
  expect(firstValue(database, "SELECT number FROM things")).toBe(1);
});

test("iterate() may end early, and the statement is then free", () => {
  for (const name of ["a", "b", "c"]) add(name);
  const names = database.prepareArrays<[], [string]>("SELECT name FROM things ORDER BY name");
  for (const [name] of names.iterate()) {
    expect(name).toBe("a");
    break;
  }
  expect([...names.iterate()].flat()).toEqual(["a", "b", "c"]);
  // A statement that is still open would make this fail with "locked".
  database.exec("DROP TABLE things");
});

test("returnsRows() tells queries from changes", () => {
  const isQuery = (sql: string) => returnsRows(database.prepare(sql));
  expect(isQuery("SELECT name FROM things")).toBe(true);
  expect(isQuery("DELETE FROM things RETURNING name")).toBe(true);
  expect(isQuery("DELETE FROM things")).toBe(false);
});

test("firstValue() reads a pragma", () => {
  database.exec("PRAGMA user_version = 7");
  expect(firstValue(database, "PRAGMA user_version")).toBe(7);
  expect(firstValue(database, "SELECT name FROM things")).toBeUndefined();
});

test("transaction() commits the work, or nothing of it", () => {
  expect(transaction(database, () => add("a").changes)).toBe(1);
  const failing = () =>
    transaction(database, () => {
      add("b");
      expect(database.inTransaction).toBe(true);
      throw new Error("no");
    });
  expect(failing).toThrow("no");
  expect(database.inTransaction).toBe(false);
  expect(firstValue(database, "SELECT group_concat(name) FROM things")).toBe("a");
});

test("inTransaction is false after SQLite has rolled back by itself, and the disk counts as full", () => {
  database.exec(`PRAGMA max_page_count = ${Number(firstValue(database, "PRAGMA page_count")) + 1}`);
  database.exec("BEGIN");
  let failure: unknown;
  try {
    add("large", null, Buffer.alloc(100_000));
  } catch (error) {
    failure = error;
  }
  expect(errorCodeOf(failure)).toBe("SQLITE_FULL");
  expect(storeFailure(failure, "write")).toMatchObject({ code: "store_full" });
  expect(database.inTransaction).toBe(false);
});

test("errorCodeOf() names the error of a lock, a wrong statement, a missing and a damaged file", () => {
  database.exec("BEGIN EXCLUSIVE");
  expect(codeOf(() => open("a.db", { timeout: 0 }).exec("BEGIN EXCLUSIVE"))).toBe("SQLITE_BUSY");
  database.exec("ROLLBACK");
  expect(codeOf(() => database.prepare("SELECT no FROM things"))).toBe("SQLITE_ERROR");
  expect(codeOf(() => open("none.db", { readonly: true }))).toMatch(/^SQLITE/);
  expect(existsSync(join(folder, "none.db"))).toBe(false);
  writeFileSync(join(folder, "b.db"), "no database".repeat(1_000));
  const read = () => firstValue(open("b.db"), "PRAGMA user_version");
  expect(codeOf(read)).toBe("SQLITE_NOTADB");
  expect(isDamage(Object.assign(new Error("x"), { code: "SQLITE_CORRUPT" }))).toBe(true);
});

test("a waiting call fails after its timeout, not before", () => {
  database.exec("BEGIN EXCLUSIVE");
  const other = open("a.db", { timeout: 300 });
  const startedAt = performance.now();
  expect(codeOf(() => other.exec("BEGIN EXCLUSIVE"))).toBe("SQLITE_BUSY");
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(250);
  database.exec("ROLLBACK");
});

test("a read-only connection refuses to write", () => {
  expect(codeOf(() => open("a.db", { readonly: true }).exec("DELETE FROM things"))).toMatch(/^SQLITE/);
});

test("close() of the last connection writes the log into the file", () => {
  database.exec("PRAGMA journal_mode = WAL");
  add("a");
  const reader = open("a.db", { readonly: true });
  expect(reader.prepareArrays("SELECT name FROM things").get()).toEqual(["a"]);
  expect(existsSync(join(folder, "a.db-wal"))).toBe(true);
  reader.close();
  database.close();
  opened = [];
  expect(existsSync(join(folder, "a.db-wal"))).toBe(false);
});
