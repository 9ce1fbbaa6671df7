// The bounded part of the disk with variants on it: what goes first, what a restart finds, what is removed together.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFsStore, type FsStore } from "../../../../../src/bucket/fs/store.ts";
import { createDiskCache, type DiskCache } from "../../../../../src/bucket/tier/disk/disk-cache.ts";
import { createVariantTier, type VariantBucket } from "../../../../../src/bucket/tier/disk/variants.ts";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { toKey } from "../../../../../src/core/object.ts";
import { eventually } from "../../../../helpers/program.ts";
import { createLatch } from "../../../../helpers/spools.ts";
import { infoOf, randomBytes, wholeBody } from "../../../../helpers/whole-body.ts";

const ID = "10001234/photos";
const ABSENT = { when: "absent" } as const;
let dir: string;
let near: FsStore;
let disk: DiskCache;
let variants: VariantBucket;
let clock: number;
/** By memory, since the disk asked last. */
let served: Set<string>;

async function open(maxBytes: number): Promise<void> {
  near = await createFsStore({ dir, now: () => clock, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0 });
  disk = createDiskCache({ embedded: near, maxBytes, wasUsed: (_id, key) => served.delete(key), log: SILENT_LOG });
  variants = createVariantTier({ embedded: near, disk })(ID);
  await disk.counted;
}

async function close(): Promise<void> {
  await disk.close();
  await near.close();
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-variants-"));
  clock = 1_000;
  served = new Set();
  await open(10_000);
});
afterEach(async () => {
  await close();
  await rm(dir, { recursive: true });
});

async function put(key: string, size: number): Promise<string> {
  const body = wholeBody(randomBytes(size));
  clock += 1;
  return variants.driver.put({ ...infoOf(key, body), storedAt: clock }, body, ABSENT);
}

const keys = async () =>
  (await variants.driver.list({ prefix: "", after: undefined, limit: 100 })).objects.map(({ key }) => key);
const holds = (...wanted: string[]) =>
  eventually(async () => JSON.stringify(await keys()) === JSON.stringify(wanted), `there are ${wanted.join(", ")}`);

test("beyond the bound what was used longest ago goes first", async () => {
  for (const key of ["a", "b", "c", "d"]) await put(key, 2_000);
  await variants.driver.lookup(toKey("a"));
  for (const key of ["e", "f"]) await put(key, 2_000);
  await holds("a", "c", "d", "e", "f");
});

test("what memory serves has another turn, and goes when it is served no more", async () => {
  for (const key of ["a", "b", "c", "d", "e"]) await put(key, 2_000);
  served = new Set(["a", "b"]);
  await put("f", 2_000);
  await holds("a", "b", "d", "e", "f");
  for (const key of ["g", "h", "i"]) await put(key, 2_000);
  await holds("a", "b", "g", "h", "i");
  served = new Set(["a"]);
  for (const key of ["j", "k"]) await put(key, 2_000);
  await holds("a", "h", "i", "j", "k");
});

test("a bound holds also where memory has served all that is there", async () => {
  for (const key of ["a", "b", "c", "d", "e"]) await put(key, 2_000);
  served = new Set(["a", "b", "c", "d", "e"]);
  disk.resize(4_000);
  await holds("d", "e");
});

test("what takes more than a quarter of all is not kept", async () => {
  expect([await put("quarter", 2_500), await put("more", 2_501)]).toEqual(["stored", "outdated"]);
  await holds("quarter");
});

test("a smaller bound holds at once, and what is in order is counted", async () => {
  for (const key of ["a", "b", "c", "d"]) await put(key, 2_000);
  expect([disk.index.bytes, disk.index.count]).toEqual([8_000, 4]);
  disk.resize(4_000);
  await holds("c", "d");
  expect(disk.index.bytes).toBe(4_000);
});

test("what must go is told to the writer together, and no more at a time than it bears", async () => {
  const latch = createLatch();
  let told = 0;
  const forget = async () => {
    told += 1;
    await latch.opened;
    return true;
  };
  const slow = createDiskCache({
    embedded: { bucket: near.bucket, listBuckets: () => [], forget },
    maxBytes: 0,
    wasUsed: () => false,
    log: SILENT_LOG,
  });
  for (let index = 0; index < 300; index += 1) {
    slow.index.add({ bucketId: ID, key: toKey(`k${index}`), size: 1, sha256: "", checkedAt: 0 });
  }
  slow.noteGrowth();
  await eventually(() => told === 256, "the first bunch");
  latch.open();
  await eventually(() => told === 300, "the rest");
  await slow.close();
});

test("what an earlier run has left is counted, and the oldest of it goes first", async () => {
  for (const key of ["c", "b", "a"]) await put(key, 2_000);
  await close();
  await open(10_000);
  expect([disk.index.bytes, disk.index.count]).toEqual([6_000, 3]);
  for (const key of ["d", "e", "f"]) await put(key, 2_000);
  await holds("a", "b", "d", "e", "f");
});

test("a reserve is kept free for others", async () => {
  disk.reserve(() => 6_000);
  for (const key of ["a", "b", "c"]) await put(key, 2_000);
  await holds("b", "c");
});

test("forget() lets go of all that begins so, says which, and gives the room back", async () => {
  for (const key of ["v/1", "v/2", "w/1"]) await put(key, 2_000);
  const gone: string[] = [];
  for await (const key of variants.forget("v/")) gone.push(key);
  expect(gone).toEqual(["v/1", "v/2"]);
  await holds("w/1");
  expect(disk.index.bytes).toBe(2_000);
  expect(await put("v/1", 2_000)).toBe("stored");
});

test("the objects of a bucket proper are neither counted nor moved", async () => {
  const body = wholeBody(randomBytes(9_000));
  await near.bucket(ID).put(infoOf("a.jpg", body), body, ABSENT);
  await close();
  await open(10_000);
  for (const key of ["a", "b", "c", "d", "e"]) await put(key, 2_000);
  await holds("a", "b", "c", "d", "e");
  expect((await near.bucket(ID).lookup(toKey("a.jpg"))).state).toBe("object");
});

test("the catalogue is asked for what is counted, and not for what is not there", async () => {
  await put("a", 2_000);
  const asked: string[] = [];
  const driver = near.bucket(`variants/${ID}`);
  const lookup: typeof driver.lookup = (key) => {
    asked.push(key);
    return driver.lookup(key);
  };
  const watched = { bucket: () => ({ ...driver, lookup }), forget: near.forget };
  const tier = createVariantTier({ embedded: watched, disk })(ID).driver;
  expect((await tier.lookup(toKey("a"))).state).toBe("object");
  expect(await tier.lookup(toKey("b"))).toEqual({ state: "absent", epoch: 0 });
  expect(asked).toEqual(["a"]);
});

test("what an earlier run has left is found before it is counted", async () => {
  await put("a", 2_000);
  await close();
  near = await createFsStore({ dir, now: () => clock, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0 });
  disk = createDiskCache({ embedded: near, maxBytes: 10_000, wasUsed: () => false, log: SILENT_LOG });
  variants = createVariantTier({ embedded: near, disk })(ID);
  expect(disk.isCounted).toBe(false);
  expect((await variants.driver.lookup(toKey("a"))).state).toBe("object");
  await disk.counted;
  expect((await variants.driver.lookup(toKey("a"))).state).toBe("object");
});
