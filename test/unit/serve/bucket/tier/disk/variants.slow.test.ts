// The disk cache with variants: order of removal, restarts, and removal in batches.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../../../src/core/log.ts";
import { toKey } from "../../../../../../src/core/object.ts";
import { createFsStore, type FsStore } from "../../../../../../src/serve/bucket/fs/fs-store.ts";
import { createDiskCache, type DiskCache } from "../../../../../../src/serve/bucket/tier/disk/disk-cache.ts";
import { createVariantTier, type VariantBucket } from "../../../../../../src/serve/bucket/tier/disk/variants.ts";
import { eventually } from "../../../../../helpers/program.ts";
import { createLatch } from "../../../../../helpers/spools.ts";
import { infoOf, randomBytes, wholeBody } from "../../../../../helpers/whole-body.ts";

const ID = "10001234/photos";
const ABSENT = { when: "absent" } as const;
let dir: string;
let near: FsStore;
let disk: DiskCache;
let variants: VariantBucket;
let clock: number;
/** Keys that the memory cache has served since the last call of `wasUsed`. */
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

test("the least recently used variant is removed first if the limit is exceeded", async () => {
  for (const key of ["a", "b", "c", "d"]) await put(key, 2_000);
  await variants.driver.lookup(toKey("a"));
  for (const key of ["e", "f"]) await put(key, 2_000);
  await holds("a", "c", "d", "e", "f");
});

test("a variant that the memory cache serves stays until it is no longer served", async () => {
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

test("the limit holds even if the memory cache has served every variant", async () => {
  for (const key of ["a", "b", "c", "d", "e"]) await put(key, 2_000);
  served = new Set(["a", "b", "c", "d", "e"]);
  disk.resize(4_000);
  await holds("d", "e");
});

test("a variant of more than a quarter of the limit is not stored", async () => {
  expect([await put("quarter", 2_500), await put("more", 2_501)]).toEqual(["stored", "outdated"]);
  await holds("quarter");
});

test("a smaller limit holds at once, and the index counts what is left", async () => {
  for (const key of ["a", "b", "c", "d"]) await put(key, 2_000);
  expect([disk.usage.bytes, disk.usage.count]).toEqual([8_000, 4]);
  disk.resize(4_000);
  await holds("c", "d");
  expect(disk.usage.bytes).toBe(4_000);
});

test("variants are removed in parallel batches of bounded size", async () => {
  const latch = createLatch();
  let told = 0;
  const forget = async () => {
    told += 1;
    await latch.opened;
    return true;
  };
  const slow = createDiskCache({
    embedded: { bucket: (id) => ({ ...near.bucket(id), forget }), listBuckets: () => [] },
    maxBytes: 0,
    wasUsed: () => false,
    log: SILENT_LOG,
  });
  for (let index = 0; index < 300; index += 1) {
    slow.add({ bucketId: ID, key: toKey(`k${index}`), size: 1, sha256: "", checkedAt: 0 });
  }
  await eventually(() => told === 256, "the first bunch");
  latch.open();
  await eventually(() => told === 300, "the rest");
  await slow.close();
});

test("variants of an earlier run are counted, and the oldest is removed first", async () => {
  for (const key of ["c", "b", "a"]) await put(key, 2_000);
  await close();
  await open(10_000);
  expect([disk.usage.bytes, disk.usage.count]).toEqual([6_000, 3]);
  for (const key of ["d", "e", "f"]) await put(key, 2_000);
  await holds("a", "b", "d", "e", "f");
});

test("a reserve is subtracted from the limit", async () => {
  disk.reserve(() => 6_000);
  for (const key of ["a", "b", "c"]) await put(key, 2_000);
  await holds("b", "c");
});

test("forget() removes all variants with the prefix, yields their keys and frees their room", async () => {
  for (const key of ["v/1", "v/2", "w/1"]) await put(key, 2_000);
  const gone: string[] = [];
  for await (const key of variants.forget("v/")) gone.push(key);
  expect(gone).toEqual(["v/1", "v/2"]);
  await holds("w/1");
  expect(disk.usage.bytes).toBe(2_000);
  expect(await put("v/1", 2_000)).toBe("stored");
});

test("objects of ordinary buckets are neither counted nor removed", async () => {
  const body = wholeBody(randomBytes(9_000));
  await near.bucket(ID).put(infoOf("a.jpg", body), body, ABSENT);
  await close();
  await open(10_000);
  for (const key of ["a", "b", "c", "d", "e"]) await put(key, 2_000);
  await holds("a", "b", "c", "d", "e");
  expect((await near.bucket(ID).lookup(toKey("a.jpg"))).state).toBe("object");
});

test("lookup() reads the catalogue only for variants that are in the index", async () => {
  await put("a", 2_000);
  const asked: string[] = [];
  const driver = near.bucket(`variants/${ID}`);
  const lookup: typeof driver.lookup = (key) => {
    asked.push(key);
    return driver.lookup(key);
  };
  const watched = { bucket: () => ({ ...driver, lookup }) };
  const tier = createVariantTier({ embedded: watched, disk })(ID).driver;
  expect((await tier.lookup(toKey("a"))).state).toBe("object");
  expect(await tier.lookup(toKey("b"))).toEqual({ state: "absent", epoch: 0 });
  expect(asked).toEqual(["a"]);
});

test("lookup() finds variants of an earlier run before they are counted", async () => {
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
