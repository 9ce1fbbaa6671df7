import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { createLedgers, type Ledgers } from "../../../src/ledger/ledger.ts";
import { linesOf } from "../../helpers/log-lines.ts";
import { codeOf } from "../../helpers/site-under-test.ts";

const PLAN = {
  name: "fruit",
  steps: ["CREATE TABLE fruit (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT"],
  statements: {
    add: "INSERT INTO fruit (name) VALUES (@name)",
    addNamed: "INSERT INTO fruit (name) VALUES (@name) RETURNING id",
    all: "SELECT name FROM fruit ORDER BY id",
  },
} as const;

let dir: string;
let opened: Ledgers[] = [];
const log = linesOf();

function open(plan: typeof PLAN | object = PLAN) {
  const ledgers = createLedgers({ dir, log });
  opened.push(ledgers);
  return { ...ledgers, ledger: ledgers.open(plan as typeof PLAN) };
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-ledger-"));
  return async () => {
    await Promise.all(opened.map((ledgers) => ledgers.close()));
    opened = [];
    await rm(dir, { recursive: true });
  };
});

test("write() stores rows durably, and read() returns them to the next process", async () => {
  const first = open();
  expect(await first.ledger.write("add", { name: "apple" }, { name: "pear" })).toBe(2);
  expect(await first.ledger.read("addNamed", { name: "plum" })).toEqual([{ id: 3 }]);
  await first.close();
  expect(await open().ledger.read("all")).toEqual([{ name: "apple" }, { name: "pear" }, { name: "plum" }]);
});

test("read() of an unused ledger returns no rows and creates no file", async () => {
  const { ledger } = open();
  expect(await ledger.read("all")).toEqual([]);
  expect(readdirSync(dir)).toEqual([]);
});

test("close() finishes accepted statements and refuses later ones", async () => {
  const { ledger, close } = open();
  const orders = Array.from({ length: 600 }, (_, index) => ledger.write("add", { name: `${index}` }));
  await close();
  expect((await Promise.all(orders)).length).toBe(600);
  expect(await codeOf(ledger.write("add", { name: "late" }))).toBe("store_failed");
  expect((await open().ledger.read("all")).length).toBe(600);
});

test("queued statements succeed or fail together, and a failed batch does not affect later statements", async () => {
  const { ledger } = open();
  await ledger.write("add", { name: "apple" });
  const orders = ["pear", "fig", "apple"].map((name) => codeOf(ledger.write("add", { name })));
  // The first statement is sent alone; the others are queued while it runs.
  expect(await Promise.all(orders)).toEqual(["none", "store_failed", "store_failed"]);
  await ledger.write("add", { name: "plum" });
  expect(await ledger.read("all")).toEqual([{ name: "apple" }, { name: "pear" }, { name: "plum" }]);
});

test("write() throws overloaded if more than 10,000 statements are queued", async () => {
  const { ledger } = open();
  const codes = await Promise.all(
    Array.from({ length: 10_300 }, (_, index) => codeOf(ledger.write("add", { name: `${index}` }))),
  );
  expect(new Set(codes)).toEqual(new Set(["none", "overloaded"]));
  expect((await ledger.read("all")).length).toBe(codes.filter((code) => code === "none").length);
});

test("a damaged file is quarantined, and the ledger continues with a new one", async () => {
  const bytes = Buffer.alloc(8_192, "not a database");
  await writeFile(join(dir, "fruit.db"), bytes);
  const { ledger } = open();
  expect(await ledger.write("add", { name: "apple" })).toBe(1);
  expect(await ledger.read("all")).toEqual([{ name: "apple" }]);
  const [aside = ""] = readdirSync(dir).filter((name) => name.startsWith("fruit.db.damaged-"));
  expect(await readFile(join(dir, aside))).toEqual(bytes);
  expect(log.lines.at(-1)).toMatchObject({ level: "error", fields: { movedTo: join(dir, aside) } });
});

test("a file of a newer version is refused and left unchanged", async () => {
  const newer = open({ ...PLAN, steps: [...PLAN.steps, "CREATE TABLE more (id INTEGER) STRICT"] });
  await newer.ledger.write("add", { name: "apple" });
  await newer.close();
  const { ledger } = open();
  await expect(ledger.read("all")).rejects.toMatchObject({
    code: "store_failed",
    message: expect.stringContaining("newer huiyuan"),
  });
  expect(existsSync(join(dir, "fruit.db"))).toBe(true);
});

test("tables of an earlier version are migrated", async () => {
  const first = open();
  await first.ledger.write("add", { name: "apple" });
  await first.close();
  const steps = [...PLAN.steps, "ALTER TABLE fruit ADD COLUMN colour TEXT NOT NULL DEFAULT 'green'"];
  const next = open({ ...PLAN, steps, statements: { all: "SELECT name, colour FROM fruit" } });
  expect(await next.ledger.read("all")).toEqual([{ name: "apple", colour: "green" }]);
});
