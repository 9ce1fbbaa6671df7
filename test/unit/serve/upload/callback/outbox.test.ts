import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { MAX_ENTRIES, type Outbox } from "../../../../../src/serve/upload/callback/outbox.ts";
import { openOutbox, UPLOADED } from "../../../../helpers/uploaded.ts";

const BUCKET = "10001234/photos";
const ALL = { bucketId: undefined, state: undefined, ids: undefined };
const PAGE = { after: 0, limit: 100 };
let outbox: Outbox;

beforeEach(async () => {
  const dir = await mkdtemp(join(tmpdir(), "huiyuan-outbox-"));
  const opened = openOutbox(dir);
  ({ outbox } = opened);
  return async () => {
    await opened.close();
    await rm(dir, { recursive: true });
  };
});

/** Adds a notice of a stored file. */
async function owe(fileid: string, dueAt: number, bucket = "photos"): Promise<number> {
  const id = Number(await outbox.enqueue({ ...UPLOADED, fileid, bucket }, { since: 1_000, dueAt }));
  await outbox.postpone(id, { attempts: 1, dueAt, isStored: true, failure: undefined });
  return id;
}

test("enqueue() stores every fact of the upload", async () => {
  const id = await outbox.enqueue(UPLOADED, { since: 1_000, dueAt: 5_000 });
  const owed = { ...UPLOADED, id, since: 1_000, dueAt: 5_000, attempts: 1, isStored: false, failure: undefined };
  expect(await outbox.due(BUCKET, 4_999, 9)).toEqual([]);
  expect(await outbox.due(BUCKET, 5_000, 9)).toEqual([owed]);
});

test("due() returns notices of one bucket, the longest due first", async () => {
  const [late, early] = [await owe("late", 30), await owe("early", 20)];
  await owe("other", 10, "others");
  expect((await outbox.due(BUCKET, 100, 9)).map(({ id }) => id)).toEqual([early, late]);
  expect((await outbox.due(BUCKET, 100, 1)).map(({ id }) => id)).toEqual([early]);
  expect(await outbox.nextDue()).toEqual([
    { bucketId: "10001234/others", dueAt: 10 },
    { bucketId: BUCKET, dueAt: 20 },
  ]);
});

test("postpone() stores the failure, and a notice without a next attempt is given up", async () => {
  const [one, two] = [await owe("one", 10), await owe("two", 20)];
  const failure = { reason: "status", status: 502 } as const;
  await outbox.postpone(one, { attempts: 2, dueAt: 99, isStored: true, failure });
  await outbox.postpone(two, { attempts: 7, dueAt: undefined, isStored: true, failure: { reason: "dns" } });
  expect(await outbox.list(ALL, PAGE)).toMatchObject([
    { id: one, attempts: 2, dueAt: 99, failure },
    { id: two, attempts: 7, dueAt: undefined, failure: { reason: "dns" } },
  ]);
  expect(await outbox.nextDue()).toEqual([{ bucketId: BUCKET, dueAt: 99 }]);
  expect(await outbox.list({ ...ALL, state: "given-up" }, PAGE)).toMatchObject([{ id: two }]);
  expect(await outbox.counts()).toEqual([
    { bucketId: BUCKET, state: "waiting", count: 1 },
    { bucketId: BUCKET, state: "given-up", count: 1 },
  ]);
  expect(await outbox.retry({ ...ALL, state: "given-up" }, 50)).toBe(1);
  expect(await outbox.nextDue()).toEqual([{ bucketId: BUCKET, dueAt: 50 }]);
});

test("forget() and drop() remove notices, and no id is used twice", async () => {
  const ids = [await owe("a", 1), await owe("b", 2), await owe("c", 3, "others")];
  await outbox.forget(ids[0]!);
  expect(await outbox.drop({ ...ALL, bucketId: "10001234/others" })).toBe(1);
  expect(await outbox.drop({ ...ALL, ids: [4_711] })).toBe(0);
  expect(await outbox.drop({ ...ALL, ids: [ids[1]!, 4_712] })).toBe(1);
  expect(await outbox.list(ALL, PAGE)).toEqual([]);
  expect(ids).not.toContain(await owe("d", 4));
});

test("list() returns pages", async () => {
  const ids = [await owe("a", 1), await owe("b", 2), await owe("c", 3)];
  const page = async (after: number) => (await outbox.list(ALL, { after, limit: 2 })).map(({ id }) => id);
  expect([await page(0), await page(ids[1]!)]).toEqual([[ids[0], ids[1]], [ids[2]]]);
});

test("an entry whose file is not known to be stored is due, but list() and counts() hide it", async () => {
  const id = Number(await outbox.enqueue(UPLOADED, { since: 1, dueAt: 10 }));
  expect(await outbox.list(ALL, PAGE)).toEqual([]);
  expect([await outbox.drop(ALL), await outbox.retry(ALL, 5)]).toEqual([0, 0]);
  expect(await outbox.counts()).toEqual([]);
  expect(await outbox.due(BUCKET, 10, 9)).toMatchObject([{ id, isStored: false }]);
  const stored = await owe("stored", 20);
  await outbox.inherit(5);
  expect(await outbox.due(BUCKET, 5, 9)).toMatchObject([{ id }]);
  expect(await outbox.due(BUCKET, 20, 9)).toMatchObject([{ id }, { id: stored }]);
});

test("the outbox of a bucket is bounded: given-up notices make room, waiting ones do not", async () => {
  const notices = Array.from({ length: MAX_ENTRIES }, () => outbox.enqueue(UPLOADED, { since: 1, dueAt: 1 }));
  const last = Math.max(...(await Promise.all(notices)).map(Number));
  expect(await outbox.enqueue(UPLOADED, { since: 1, dueAt: 1 })).toBeUndefined();
  expect(await owe("elsewhere", 1, "others")).toBeGreaterThan(last);
  await outbox.postpone(last, { attempts: 9, dueAt: undefined, isStored: true, failure: undefined });
  expect(await owe("fits", 1)).toBeGreaterThan(last);
  expect(await outbox.list({ ...ALL, ids: [last] }, PAGE)).toEqual([]);
  expect(await outbox.enqueue(UPLOADED, { since: 1, dueAt: 1 })).toBeUndefined();
}, 60_000);
