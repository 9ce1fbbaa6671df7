// A listing that passes over many tombstones lets other requests run, and finds what lies between them.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../../../src/core/log.ts";
import { toKey } from "../../../../../../src/core/object.ts";
import { openSqlite } from "../../../../../../src/core/sqlite.ts";
import type { ListOptions } from "../../../../../../src/serve/bucket/contract/driver.ts";
import { createFsStore, type FsStore } from "../../../../../../src/serve/bucket/fs/fs-store.ts";
import { infoOf, wholeBody } from "../../../../../helpers/whole-body.ts";

/** With `a`, the key `d/049998` is the last of the first 50,000 rows, and an object. */
const DELETED = 120_000;
const KEYS = ["a", "d/049998", "d/049999", "d/099999", "e", "f"];

let dir: string;
let store: FsStore;

const open = () =>
  createFsStore({ dir, now: () => 10_000, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0, graceMs: 1_000 });

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-listing-"));
  store = await open();
  const body = wholeBody(Buffer.from("one"));
  for (const key of KEYS) await store.bucket("10001234/photos").put(infoOf(key, body), body, { when: "always" });
  await store.close();
  const catalogue = openSqlite(join(dir, "catalogue.db"));
  catalogue.exec(
    `WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${DELETED - 1})
     INSERT OR IGNORE INTO entries (bucket, key, state, epoch, deleted_at, reason)
     SELECT 1, printf('d/%06d', n), 'tombstone', 1, 1, 'takedown' FROM numbers`,
  );
  catalogue.close();
  store = await open();
});

afterAll(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

const list = (options: Partial<ListOptions>) =>
  store.bucket("10001234/photos").list({ prefix: "", after: undefined, limit: 1_000, ...options });

test.each([1, 2, 3, 6, 7])("pages of %i have every object once", async (limit) => {
  const found: string[] = [];
  for (let after: ListOptions["after"]; ; ) {
    const page = await list({ after, limit });
    found.push(...page.objects.map(({ key }) => key));
    expect(page.objects.length).toBeLessThanOrEqual(limit);
    if (page.next === undefined) break;
    expect(page.next).toBe(page.objects.at(-1)?.key);
    after = page.next;
  }
  expect(found).toEqual(KEYS);
});

test.each([
  ["d/", KEYS.slice(1, 4)],
  ["d/0999", ["d/099999"]],
  ["d/11", []],
  ["e", ["e"]],
])("below %s are only its own", async (prefix, keys) => {
  const { objects, next } = await list({ prefix });
  expect([objects.map(({ key }) => key), next]).toEqual([keys, undefined]);
});

test("other work runs before it has passed over all", async () => {
  let turns = 0;
  let isRunning = true;
  const turn = () => {
    turns += 1;
    if (isRunning) setImmediate(turn);
  };
  setImmediate(turn);
  await list({ after: toKey("d/1") });
  const without = turns;
  await list({ after: toKey("a"), prefix: "d/" });
  isRunning = false;
  expect(turns - without).toBeGreaterThanOrEqual(2);
});

test("it ends when its client has gone", async () => {
  const controller = new AbortController();
  const listed = list({ after: toKey("a"), signal: controller.signal });
  controller.abort();
  await expect(listed).rejects.toMatchObject({ code: "client_gone" });
});
