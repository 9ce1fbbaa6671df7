// The tiered store: copies and their removal, the upload queue, damaged objects and other writers. The conformance
// suite has the rest.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { etagOf, type Key, type Provenance, toKey } from "../../../../../src/core/object.ts";
import type { BucketDriver, PutCondition } from "../../../../../src/serve/bucket/contract/driver.ts";
import { noisyJpeg } from "../../../../helpers/images.ts";
import { linesOf } from "../../../../helpers/log-lines.ts";
import { eventually } from "../../../../helpers/program.ts";
import { openTestS3 } from "../../../../helpers/s3-store.ts";
import { type Failure, type ScriptedS3, startScriptedS3 } from "../../../../helpers/scripted-s3.ts";
import { createLatch } from "../../../../helpers/spools.ts";
import { openTiered, type TieredLab } from "../../../../helpers/tiered-store.ts";
import { infoOf, randomBytes, readAll, wholeBody } from "../../../../helpers/whole-body.ts";

const ID = "10001234/photos";
const A = toKey("a.jpg");
const NAME = `${ID}/a.jpg`;
let dir: string;
let s3: ScriptedS3;
let lab: TieredLab;
let bucket: BucketDriver;
let now: number;
/** Difference between the time of day and the monotonic clock. */
let setMs: number;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-tier-"));
  s3 = await startScriptedS3();
  now = 1_000;
  setMs = 0;
  await open();
});
afterEach(async () => {
  await lab.store.close();
  await s3.close();
  await rm(dir, { recursive: true });
});

type Options = Parameters<typeof openTiered>[2];

async function open(options: Options = {}): Promise<void> {
  lab = await openTiered(join(dir, "data"), await openTestS3(s3, { bucket: "b" }), {
    now: () => now + setMs,
    ticks: () => now,
    ...options,
  });
  bucket = lab.store.bucket(ID);
}

async function reopen(options: Options = {}): Promise<void> {
  await lab.store.close();
  await open(options);
}

function put(key: string, bytes: Buffer, condition: PutCondition = { when: "absent" }, via?: Provenance["via"]) {
  const body = wholeBody(bytes);
  return bucket.put({ ...infoOf(key, body, via), storedAt: now }, body, condition);
}

async function bytesAt(key: Key): Promise<Buffer> {
  const entry = await bucket.lookup(key);
  if (entry.state !== "object") throw new Error(`"${key}" is ${entry.state}`);
  return readAll(await bucket.open(entry.info), entry.info.size);
}

const copies = async () =>
  (await lab.near.bucket(lab.near.listBuckets().find((id) => id.startsWith("edge/")) ?? "").usage()).objects;
const readsOf = (name: string) => s3.asked.filter((line) => line === `GET ${name}` || line === `HEAD ${name}`).length;

test("a reader finishes from this disk an object that a revalidation has replaced in S3", async () => {
  const bytes = randomBytes(100_000);
  await put("a.jpg", bytes);
  const before = await bucket.lookup(A);
  if (before.state !== "object") throw new Error(before.state);
  const etag = etagOf(before.info.hashes);
  expect(await put("a.jpg", randomBytes(10), { when: "etag", etag })).toBe("stored");
  expect(await bucket.open(before.info)).toBeUndefined();
  const reader = await bucket.open(before.info, { mayBeReplaced: true });
  expect((await readAll(reader, bytes.length)).equals(bytes)).toBe(true);
});

test("an image that was stored while S3 was down is unknown until it is uploaded, also after a restart", async () => {
  const refused: Failure = { status: 503, code: "SlowDown" };
  s3.failure = (method) => (method === "PUT" ? refused : undefined);
  await put("sure.jpg", randomBytes(100));
  s3.failure = () => refused;
  await put("a.jpg", randomBytes(100));
  const certainties = () =>
    Promise.all(
      [toKey("sure.jpg"), A].map(async (key) => {
        const entry = await bucket.lookup(key);
        return entry.state === "object" ? (entry.certainty ?? "confirmed") : entry.state;
      }),
    );
  expect(await certainties()).toEqual(["pending", "unknown"]);
  await reopen();
  expect(await certainties()).toEqual(["pending", "unknown"]);
  s3.failure = () => undefined;
  await lab.store.uploads.idle();
  expect(await certainties()).toEqual(["confirmed", "confirmed"]);
});

test("lookup() finds an object that this disk received during the lookup", async () => {
  const latch = createLatch();
  let looks = 0;
  s3.failure = async (method) => {
    if (method === "PUT") return { status: 503, code: "SlowDown" };
    looks += 1;
    if (looks === 1) await latch.opened;
    return undefined;
  };
  const found = bucket.lookup(A);
  await eventually(() => looks === 1, "S3 is asked");
  await put("a.jpg", randomBytes(100));
  latch.open();
  expect(await found).toMatchObject({ state: "object", certainty: "pending" });
});

test("put() when absent is durable on this disk, and in S3 afterwards", async () => {
  s3.failure = (method) => (method === "PUT" ? { status: 503, code: "SlowDown" } : undefined);
  const bytes = randomBytes(100_000);
  expect(await put("a.jpg", bytes)).toBe("stored");
  expect(await bucket.lookup(A)).toMatchObject({ state: "object", certainty: "pending" });
  expect(lab.store.uploads.backlog()).toMatchObject({ depth: 1, bytes: 100_000 });
  expect((await bytesAt(A)).equals(bytes)).toBe(true);
  await reopen();
  s3.failure = () => undefined;
  await lab.store.uploads.idle();
  expect(s3.objects.get(NAME)?.bytes.equals(bytes)).toBe(true);
  expect(await bucket.lookup(A)).not.toHaveProperty("certainty");
});

test("copies are served without a request to S3, also after a restart", async () => {
  await put("a.jpg", randomBytes(1_000));
  await lab.store.uploads.idle();
  const before = readsOf(NAME);
  for (let time = 0; time < 5; time += 1) await bytesAt(A);
  expect(readsOf(NAME)).toBe(before);
  await reopen();
  s3.failure = () => "reset";
  expect((await bytesAt(A)).length).toBe(1_000);
});

test("the least recently used copy is removed first, and is downloaded again from S3", async () => {
  await reopen({ maxBytes: 4_000 });
  for (const key of ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]) await put(key, randomBytes(1_000));
  await lab.store.uploads.idle();
  await bucket.lookup(A);
  await put("e.jpg", randomBytes(1_000));
  await lab.store.uploads.idle();
  await eventually(async () => (await copies()) === 4, "four copies are left");
  s3.asked.length = 0;
  for (const key of ["a.jpg", "c.jpg", "d.jpg", "e.jpg"]) await bytesAt(toKey(key));
  expect(s3.asked).toEqual([]);
  expect((await bytesAt(toKey("b.jpg"))).length).toBe(1_000);
  expect(s3.asked).toEqual([`HEAD ${ID}/b.jpg`, `GET ${ID}/b.jpg`]);
});

test("a copy is compared with S3 in the background after a minute, and dropped if the object has changed", async () => {
  await put("a.jpg", Buffer.from("old"));
  await lab.store.uploads.idle();
  s3.objects.delete(NAME);
  now += 59_000;
  expect((await bytesAt(A)).toString()).toBe("old");
  expect(lab.changed).toEqual([]);
  now += 2_000;
  expect((await bytesAt(A)).toString()).toBe("old");
  await eventually(() => lab.changed.length === 1, "the memory cache was notified");
  expect(lab.changed).toEqual([`${ID} ${A}`]);
  expect(await bucket.lookup(A)).toMatchObject({ state: "absent" });
});

test("a copy is compared with S3 after a minute even if the clock was set back", async () => {
  await put("a.jpg", Buffer.from("old"));
  await lab.store.uploads.idle();
  s3.objects.delete(NAME);
  setMs = -3_600_000;
  now += 61_000;
  expect((await bytesAt(A)).toString()).toBe("old");
  await eventually(() => lab.changed.length === 1, "the memory cache was notified");
});

test("a copy of an earlier run is compared with S3 at its first use", async () => {
  await put("a.jpg", Buffer.from("old"));
  await lab.store.uploads.idle();
  await reopen();
  s3.objects.delete(NAME);
  await eventually(() => lab.disk.isCounted, "the copies are known");
  expect((await bytesAt(A)).toString()).toBe("old");
  await eventually(() => lab.changed.length === 1, "the memory cache was notified");
});

test("a queued object is dropped if another server has put a tombstone", async () => {
  s3.failure = (method) => (method === "PUT" ? { status: 503, code: "SlowDown" } : undefined);
  await put("a.jpg", randomBytes(1_000));
  s3.objects.set(NAME, {
    bytes: Buffer.alloc(0),
    headers: { "x-amz-meta-huiyuan": "1", "x-amz-meta-deleted-at": "5" },
  });
  s3.failure = () => undefined;
  await lab.store.uploads.idle();
  expect(await bucket.lookup(A)).toMatchObject({ state: "tombstone", deletedAt: 5 });
  expect(lab.changed).toEqual([`${ID} ${A}`]);
  expect(s3.objects.get(NAME)?.bytes.length).toBe(0);
});

test("a queued object is never uploaded after its delete", async () => {
  s3.failure = (method, name) => (method === "PUT" && name === NAME ? { status: 503, code: "SlowDown" } : undefined);
  await put("a.jpg", randomBytes(1_000));
  s3.failure = () => undefined;
  expect(await bucket.delete(A, { deletedAt: 7, reason: "" })).toBe(true);
  await lab.store.uploads.idle();
  expect(s3.objects.get(NAME)?.headers["x-amz-meta-deleted-at"]).toBe("7");
  expect(await bucket.lookup(A)).toMatchObject({ state: "tombstone", deletedAt: 7, epoch: 1 });
});

test("put() when absent throws store_full if the queue fills limits.disk, and the queue stays", async () => {
  await reopen({ maxBytes: 2_500 });
  s3.failure = (method) => (method === "PUT" ? { status: 503, code: "SlowDown" } : undefined);
  await put("a.jpg", randomBytes(1_000));
  await put("b.jpg", randomBytes(1_000));
  await expect(put("c.jpg", randomBytes(1_000))).rejects.toMatchObject({ code: "store_full" });
  expect((await bytesAt(A)).length).toBe(1_000);
});

test("lookup() while S3 is down returns absent with the failure", async () => {
  s3.failure = () => "reset";
  expect(await bucket.lookup(A)).toMatchObject({ state: "absent", failure: { code: "store_failed" } });
});

/** Puts an object into S3 only, as if this disk had lost it. */
async function onlyInS3(bytes: Buffer, how: { when?: PutCondition; via?: Provenance["via"] } = {}): Promise<void> {
  await put("a.jpg", bytes, how.when, how.via);
  await lab.store.uploads.idle();
  lab.disk.resize(0);
  await eventually(async () => (await copies()) === 0, "no copy is left");
  lab.disk.resize(1_000_000_000);
}

test.each([1_000, 3_000_000])(
  "read() of %i damaged bytes throws store_corrupt, and the next fill replaces them",
  async (size) => {
    const bytes = randomBytes(size);
    await onlyInS3(bytes);
    const stored = s3.objects.get(NAME);
    if (stored !== undefined)
      stored.bytes = Buffer.concat([bytes.subarray(0, size - 1), Buffer.from([bytes.at(-1)! ^ 1])]);
    await expect(bytesAt(A)).rejects.toMatchObject({ code: "store_corrupt" });
    expect(await bucket.lookup(A)).toMatchObject({ state: "absent", failure: { code: "store_failed" } });
    now += 1;
    expect(await put("a.jpg", bytes)).toBe("stored");
    await lab.store.uploads.idle();
    expect(s3.objects.get(NAME)?.bytes.equals(bytes)).toBe(true);
  },
);

test("a damaged upload is neither absent nor replaced, and is whole once S3 sends the right bytes", async () => {
  const bytes = randomBytes(1_000);
  await onlyInS3(bytes, { when: { when: "always" }, via: "upload" });
  s3.spoils = true;
  await expect(bytesAt(A)).rejects.toMatchObject({ code: "store_corrupt" });
  await expect(bucket.lookup(A)).rejects.toMatchObject({ code: "store_failed" });
  expect(await put("a.jpg", randomBytes(900))).toBe("exists");
  await lab.store.uploads.idle();
  expect(s3.objects.get(NAME)?.bytes.equals(bytes)).toBe(true);
  s3.spoils = false;
  now += 60_000;
  expect((await bytesAt(A)).equals(bytes)).toBe(true);
});

test("a damaged object is read again after a minute", async () => {
  const bytes = randomBytes(1_000);
  await onlyInS3(bytes);
  s3.spoils = true;
  await expect(bytesAt(A)).rejects.toMatchObject({ code: "store_corrupt" });
  s3.spoils = false;
  now += 59_999;
  expect(await bucket.lookup(A)).toMatchObject({ state: "absent", failure: { code: "store_failed" } });
  now += 1;
  expect((await bytesAt(A)).equals(bytes)).toBe(true);
});

test("a damaged object is read again after a minute even if the clock was set back", async () => {
  const bytes = randomBytes(1_000);
  await onlyInS3(bytes);
  s3.spoils = true;
  await expect(bytesAt(A)).rejects.toMatchObject({ code: "store_corrupt" });
  s3.spoils = false;
  setMs = -3_600_000;
  now += 60_000;
  expect((await bytesAt(A)).equals(bytes)).toBe(true);
});

test("proven() waits for the whole object, so that no part of a damaged one is returned", async () => {
  const bytes = randomBytes(3_000_000);
  await onlyInS3(bytes);
  s3.spoils = true;
  const entry = await bucket.lookup(A);
  const reader = entry.state === "object" ? await bucket.open(entry.info) : undefined;
  await expect(reader?.proven?.()).rejects.toMatchObject({ code: "store_corrupt" });
  reader?.close();
});

test("read() of a body that breaks off throws store_failed, and the next read is whole", async () => {
  const bytes = randomBytes(3_000_000);
  await onlyInS3(bytes);
  s3.cutAfter = 1_000_000;
  await expect(bytesAt(A)).rejects.toMatchObject({ code: "store_failed" });
  s3.cutAfter = undefined;
  expect((await bytesAt(A)).equals(bytes)).toBe(true);
});

describe("undelete() and hard purge()", () => {
  /** Put into S3 at the moment when this server's own change arrives there. */
  async function putBetween(): Promise<void> {
    await put("b.jpg", randomBytes(50), { when: "always" }, "upload");
    const upload = s3.objects.get(`${ID}/b.jpg`);
    let isThere = false;
    s3.failure = (_method, name) => {
      const isChange = s3.asked.at(-1)?.startsWith("HEAD") === false && name === NAME;
      if (isChange && !isThere && upload !== undefined) s3.objects.set(NAME, upload);
      isThere ||= isChange;
      return undefined;
    };
  }

  test("undelete() keeps an object that another writer puts meanwhile", async () => {
    await bucket.delete(A, { deletedAt: 1, reason: "" });
    await putBetween();
    expect(await bucket.undelete(A)).toBe(false);
    expect(s3.objects.get(NAME)?.bytes.length).toBe(50);
  });

  test("purge() keeps an object that another writer puts meanwhile", async () => {
    await onlyInS3(randomBytes(100));
    await putBetween();
    expect(await bucket.purge(A, { hard: true })).toBe(false);
    expect(s3.objects.get(NAME)?.bytes.length).toBe(50);
  });

  test("an upload after either of them is stored", async () => {
    await bucket.delete(A, { deletedAt: 1, reason: "" });
    expect([await bucket.undelete(A), await bucket.undelete(A)]).toEqual([true, false]);
    expect([(await bucket.lookup(A)).state, await put("a.jpg", randomBytes(70))]).toEqual(["absent", "stored"]);
    await lab.store.uploads.idle();
    expect(s3.objects.get(NAME)?.bytes.length).toBe(70);
    expect(await bucket.purge(A, { hard: true })).toBe(true);
    expect(await put("a.jpg", randomBytes(80), { when: "vacant" }, "upload")).toBe("stored");
    expect(s3.objects.get(NAME)?.bytes.length).toBe(80);
  });

  test("lookup() removes a tombstone from this disk that another server has removed from S3", async () => {
    await bucket.delete(A, { deletedAt: 1, reason: "" });
    const lain = s3.objects.get(NAME);
    if (lain !== undefined) lain.headers["x-amz-meta-expires-at"] = "0";
    expect([(await bucket.lookup(A)).state, await put("a.jpg", randomBytes(70))]).toEqual(["absent", "stored"]);
  });
});

test.each([
  ["a hard purge", () => bucket.purge(A, { hard: true }), "absent"],
  ["a delete", () => bucket.delete(A, { deletedAt: 1, reason: "" }), "tombstone"],
])("a read that began before %s stores no copy after it", async (_what, change, left) => {
  const bytes = randomBytes(300_000);
  await onlyInS3(bytes);
  const entry = await bucket.lookup(A);
  const reader = entry.state === "object" ? await bucket.open(entry.info) : undefined;
  await change();
  expect((await readAll(reader, bytes.length)).equals(bytes)).toBe(true);
  expect(await bucket.lookup(A)).toMatchObject({ state: left });
  expect(await copies()).toBe(0);
});

test("close() does not wait for an S3 that hangs, and the unfinished upload continues at the next start", async () => {
  s3.failure = (method) => (method === "PUT" ? "hang" : undefined);
  await put("a.jpg", randomBytes(1_000));
  await eventually(() => s3.asked.includes(`PUT ${NAME}`), "the upload has begun");
  await lab.store.close();
  // It would be sent again when the time-out of S3 is over.
  expect(s3.asked.filter((line) => line === `PUT ${NAME}`)).toHaveLength(1);
  s3.failure = () => undefined;
  await open();
  await lab.store.uploads.idle();
  expect(s3.objects.get(NAME)?.bytes.length).toBe(1_000);
});

test("ten readers of an object in S3 share one request", async () => {
  const bytes = randomBytes(300_000);
  await onlyInS3(bytes);
  const entry = await bucket.lookup(A);
  s3.asked.length = 0;
  const info = entry.state === "object" ? entry.info : infoOf("a.jpg", wholeBody(bytes));
  const all = await Promise.all(Array.from({ length: 10 }, async () => readAll(await bucket.open(info), info.size)));
  expect(all.every((read) => read.equals(bytes))).toBe(true);
  expect(s3.asked).toEqual([`GET ${NAME}`]);
});

test.each([
  ["that gets a copy", 1_000_000_000],
  ["that is too large for a copy", 4_000],
])("proven() downloads an object %s once for all readers, which then send no request", async (_claim, maxBytes) => {
  const bytes = randomBytes(600_000);
  await onlyInS3(bytes);
  await reopen({ maxBytes });
  const entry = await bucket.lookup(A);
  const info = entry.state === "object" ? entry.info : infoOf("a.jpg", wholeBody(bytes));
  s3.asked.length = 0;
  const readers = await Promise.all([bucket.open(info), bucket.open(info)]);
  await Promise.all(readers.map((reader) => reader?.proven?.()));
  expect(s3.asked).toEqual([`GET ${NAME}`]);
  s3.failure = () => "reset";
  for (const reader of readers) expect((await readAll(reader, info.size)).equals(bytes)).toBe(true);
});

test("open() of an object on this disk needs no download", async () => {
  await put("a.jpg", randomBytes(1_000));
  const entry = await bucket.lookup(A);
  if (entry.state !== "object") throw new Error("it is not there");
  expect([bucket.isRemote, (await bucket.open(entry.info))?.proven]).toEqual([true, undefined]);
});

test("a copy may take a quarter of the disk cache; a larger object is downloaded each time", async () => {
  await reopen({ maxBytes: 10_000_000 });
  const bytes = randomBytes(2_500_000);
  await onlyInS3(bytes);
  lab.disk.resize(10_000_000);
  for (const count of [1, 0]) {
    s3.asked.length = 0;
    expect((await bytesAt(A)).equals(bytes)).toBe(true);
    await eventually(async () => (await copies()) === 1, "a copy is stored");
    expect(s3.asked.filter((line) => line === `GET ${NAME}`)).toHaveLength(count);
  }
  await reopen({ maxBytes: 9_000_000 });
  await onlyInS3(bytes, { when: { when: "always" } });
  lab.disk.resize(9_000_000);
  for (const _time of [1, 2]) {
    s3.asked.length = 0;
    const entry = await bucket.lookup(A);
    const reader = entry.state === "object" ? await bucket.open(entry.info) : undefined;
    expect((await reader?.read(1_000_000, 1_000_099))?.equals(bytes.subarray(1_000_000, 1_000_100))).toBe(true);
    await reader?.proven?.();
    reader?.close();
    expect(s3.asked).toEqual([`HEAD ${NAME}`, `GET ${NAME}`]);
  }
  expect(await copies()).toBe(0);
});

test("an image of another tool is described once, served, and stays unchanged", async () => {
  const jpeg = await noisyJpeg(64, 48);
  s3.objects.set(NAME, { bytes: jpeg, headers: {} });
  const entry = await bucket.lookup(A);
  expect(entry).toMatchObject({
    state: "object",
    info: { size: jpeg.length, image: { format: "jpeg", width: 64, height: 48 }, provenance: { via: "upload" } },
  });
  s3.asked.length = 0;
  expect((await bytesAt(A)).equals(jpeg)).toBe(true);
  expect(s3.asked).toEqual([]);
  expect(await put("a.jpg", randomBytes(10))).toBe("exists");
  expect(await bucket.purge(A, { hard: true })).toBe(false);
  expect(s3.objects.get(NAME)).toEqual({ bytes: jpeg, headers: {} });
});

test("another tool's object that is no image is absent, and the mirror does not replace it", async () => {
  s3.objects.set(NAME, { bytes: Buffer.from("<html>"), headers: {} });
  expect(await bucket.lookup(A)).toEqual({ state: "absent", epoch: 0, certainty: "foreign" });
  expect(await put("a.jpg", randomBytes(10))).toBe("exists");
  expect(await put("a.jpg", Buffer.from("ours"), { when: "always" })).toBe("stored");
  expect(s3.objects.get(NAME)?.bytes.toString()).toBe("ours");
  expect(await bucket.lookup(A)).toMatchObject({ state: "object" });
});

test("an upload replaces another tool's object only if that is no image", async () => {
  s3.objects.set(NAME, { bytes: Buffer.from("<html>"), headers: {} });
  expect(await put("a.jpg", Buffer.from("ours"), { when: "vacant" })).toBe("stored");
  expect(s3.objects.get(NAME)?.bytes.toString()).toBe("ours");
  const jpeg = await noisyJpeg(64, 48);
  s3.objects.set(`${ID}/b.jpg`, { bytes: jpeg, headers: {} });
  expect(await put("b.jpg", Buffer.from("ours"), { when: "vacant" })).toBe("exists");
  expect(s3.objects.get(`${ID}/b.jpg`)?.bytes.equals(jpeg)).toBe(true);
});

test("another tool's object that is no image is read once in ten minutes and logged once", async () => {
  const log = linesOf();
  await lab.store.close();
  await open({ log });
  s3.objects.set(NAME, { bytes: Buffer.from("<html>"), headers: {} });
  s3.objects.set(`${ID}/b.jpg`, { bytes: Buffer.from("<html>"), headers: {} });
  for (const _time of [1, 2, 3]) await bucket.lookup(A);
  await bucket.lookup(toKey("b.jpg"));
  const reads = () => s3.asked.filter((text) => text === `GET ${NAME}`).length;
  expect(reads()).toBe(1);
  const logged = () => log.lines.filter(({ message }) => /another tool/.test(message));
  expect(logged()).toMatchObject([{ level: "warn", fields: { key: "a.jpg", why: "it is no whole image" } }]);
  now += 600_000;
  await bucket.lookup(A);
  expect(reads()).toBe(2);
  expect(logged()).toMatchObject([{ fields: { others: 0 } }, { fields: { key: "a.jpg", others: 1 } }]);
});

test("another tool's object that is too large for a copy is absent, and nothing replaces it", async () => {
  await lab.store.close();
  await open({ maxBytes: 4_000 });
  const jpeg = await noisyJpeg(64, 48);
  s3.objects.set(NAME, { bytes: jpeg, headers: {} });
  expect(await bucket.lookup(A)).toEqual({ state: "absent", epoch: 0, certainty: "foreign" });
  expect(await put("a.jpg", randomBytes(10))).toBe("exists");
  expect(await put("a.jpg", randomBytes(10), { when: "vacant" })).toBe("exists");
  expect(s3.objects.get(NAME)?.bytes.equals(jpeg)).toBe(true);
});

test("a key whose name is too long for S3 is refused", async () => {
  const long = `${"a".repeat(1_010)}.jpg`;
  s3.asked.length = 0;
  expect(await bucket.lookup(toKey(long))).toEqual({ state: "absent", epoch: 0, certainty: "foreign" });
  const refused = { code: "url_invalid" };
  await expect(put(long, randomBytes(10), { when: "vacant" }, "upload")).rejects.toMatchObject(refused);
  await expect(put(long, randomBytes(10))).rejects.toMatchObject(refused);
  await expect(bucket.delete(toKey(long), { deletedAt: 1, reason: "" })).rejects.toMatchObject(refused);
  await expect(bucket.purge(toKey(long), { hard: true })).rejects.toMatchObject(refused);
  expect(s3.asked).toEqual([]);
});

test("a store with another id uses none of the copies, and leaves the other's queue alone", async () => {
  s3.failure = (method) => (method === "PUT" ? { status: 503, code: "SlowDown" } : undefined);
  await put("a.jpg", randomBytes(1_000));
  await lab.store.close();
  s3.failure = () => undefined;
  const other = await openTiered(join(dir, "data"), await openTestS3(s3, { bucket: "b", prefix: "new/" }));
  expect(await other.store.bucket(ID).lookup(A)).toEqual({ state: "absent", epoch: 0 });
  await other.store.uploads.idle();
  await other.store.close();
  await open();
  await lab.store.uploads.idle();
  expect(s3.objects.get(NAME)?.bytes.length).toBe(1_000);
});
