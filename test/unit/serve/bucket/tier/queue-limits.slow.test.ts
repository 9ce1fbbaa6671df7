// The figures of the queue: the disk that pending objects and copies take together, the age of the oldest one, and the
// lines in the log. A damaged row or image stops no other upload.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import { openSqlite } from "../../../../../src/core/sqlite.ts";
import { linesOf } from "../../../../helpers/log-lines.ts";
import { eventually } from "../../../../helpers/program.ts";
import { openTestS3 } from "../../../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../../../helpers/scripted-s3.ts";
import { createLatch } from "../../../../helpers/spools.ts";
import { openTiered, type TieredLab } from "../../../../helpers/tiered-store.ts";
import { infoOf, randomBytes, wholeBody } from "../../../../helpers/whole-body.ts";

const ID = "10001234/photos";
let dir: string;
let s3: ScriptedS3;
let lab: TieredLab;
let now: number;
let log: ReturnType<typeof linesOf>;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-queue-"));
  s3 = await startScriptedS3();
  now = 1_000;
  log = linesOf();
  await open();
});
afterEach(async () => {
  await lab.store.close();
  await s3.close();
  await rm(dir, { recursive: true });
});

async function open(): Promise<void> {
  const remote = await openTestS3(s3, { bucket: "b" });
  lab = await openTiered(join(dir, "data"), remote, { maxBytes: 100_000, now: () => now, log });
}

function put(key: string, size: number) {
  const body = wholeBody(randomBytes(size));
  return lab.store.bucket(ID).put({ ...infoOf(key, body), storedAt: now }, body, { when: "absent" });
}

const refuseUploads = () => {
  s3.failure = (method) => (method === "PUT" ? { status: 503, code: "SlowDown" } : undefined);
};

test("copies make room for pending objects as these arrive", async () => {
  for (let at = 0; at < 10; at += 1) await put(`copy${at}.jpg`, 10_000);
  await lab.store.uploads.idle();
  expect(lab.disk.usage.bytes).toBe(100_000);
  refuseUploads();
  for (let at = 0; at < 9; at += 1) expect(await put(`pending${at}.jpg`, 10_000)).toBe("stored");
  await eventually(() => lab.disk.usage.bytes <= 10_000, "copies and pending objects are within the limit");
});

test("a hard purge takes the copy out of the disk cache's figures", async () => {
  await put("a.jpg", 10_000);
  await lab.store.uploads.idle();
  expect(lab.disk.usage).toEqual({ count: 1, bytes: 10_000 });
  expect(await lab.store.bucket(ID).purge(toKey("a.jpg"), { hard: true })).toBe(true);
  expect(lab.disk.usage).toEqual({ count: 0, bytes: 0 });
});

test("the oldest pending object is the first in the queue after a restart", async () => {
  refuseUploads();
  await put("z.jpg", 100);
  now += 60_000;
  await put("a.jpg", 100);
  expect(lab.store.uploads.backlog()).toMatchObject({ depth: 2, oldestMs: 60_000 });
  await lab.store.close();
  await open();
  await eventually(() => lab.store.uploads.backlog().depth === 2, "both are pending again");
  expect(lab.store.uploads.backlog()).toMatchObject({ oldestMs: 60_000 });
});

test("a store that refuses every upload is logged once a second, not for each object", async () => {
  s3.failure = (method) => (method === "PUT" ? { status: 403, code: "AccessDenied" } : undefined);
  const from = performance.now();
  for (let at = 0; at < 30; at += 1) await put(`k${at}.jpg`, 100);
  await eventually(() => s3.asked.filter((line) => line.startsWith(`PUT ${ID}/`)).length >= 60, "retries");
  const lines = log.lines.filter(({ message }) => message.startsWith("cannot upload"));
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThanOrEqual(1 + (performance.now() - from) / 1_000);
});

test("the upload of a damaged row stays pending, and the others of the last run are uploaded", async () => {
  refuseUploads();
  for (let at = 0; at < 5; at += 1) await put(`k${at}.jpg`, 100);
  await lab.store.close();
  const catalogue = openSqlite(join(dir, "data", "catalogue.db"));
  catalogue.exec("UPDATE entries SET sum = sum + 1 WHERE key = 'k2.jpg'");
  catalogue.close();
  s3.failure = () => undefined;
  await open();
  await eventually(() => s3.objects.size === 4, "four are uploaded");
  await eventually(() => lab.store.uploads.backlog().depth === 1, "one is pending");
});

test("an image whose bytes were damaged while it was pending is not retried, and is reported", async () => {
  refuseUploads();
  const body = wholeBody(randomBytes(1_000));
  const info = infoOf("a.jpg", body, "migration");
  await lab.store.bucket(ID).put(info, body, { when: "absent" });
  await lab.store.close();
  const [pack = ""] = await readdir(join(dir, "data", "packs"));
  const path = join(dir, "data", "packs", pack);
  const bytes = await readFile(path);
  const at = bytes.indexOf(body.content.kind === "buffer" ? body.content.buffer : "");
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(path, bytes);
  s3.failure = () => undefined;
  await open();
  await lab.store.uploads.idle();
  expect(lab.store.uploads.backlog().depth).toBe(0);
  expect(lab.near.damaged()).toBe(1);
  expect(s3.objects.size).toBe(0);
});

test("a damaged row of a copy keeps none of the last run from being counted", async () => {
  for (let at = 0; at < 5; at += 1) await put(`k${at}.jpg`, 100);
  await lab.store.uploads.idle();
  await lab.store.close();
  const catalogue = openSqlite(join(dir, "data", "catalogue.db"));
  catalogue.exec("UPDATE entries SET sum = sum + 1 WHERE key = 'k2.jpg'");
  catalogue.close();
  await open();
  await lab.disk.counted;
  expect(lab.disk.isCounted).toBe(true);
  expect(lab.disk.usage).toEqual({ count: 5, bytes: 500 });
});

test("a key that is put again after a purge waits for one upload", async () => {
  refuseUploads();
  await put("a.jpg", 100);
  now += 1_000;
  expect(await lab.store.bucket(ID).purge(toKey("a.jpg"), { hard: true })).toBe(true);
  expect(await put("a.jpg", 300)).toBe("stored");
  expect(lab.store.uploads.backlog()).toEqual({ depth: 1, bytes: 300, oldestMs: 0 });
  s3.failure = () => undefined;
  await lab.store.uploads.idle();
  expect(lab.store.uploads.backlog()).toEqual({ depth: 0, bytes: 0, oldestMs: 0 });
  expect([...s3.objects.values()].map(({ bytes }) => bytes.length)).toEqual([300]);
});

test("usage() and queryKeys() count an object once that is uploaded meanwhile", async () => {
  const [upload, listing] = [createLatch(), createLatch()];
  let listings = 0;
  s3.failure = async (method) => {
    if (method === "PUT") await upload.opened;
    if (method === "GET") {
      listings += 1;
      await listing.opened;
    }
    return undefined;
  };
  await put("a.jpg?x=1", 100);
  const bucket = lab.store.bucket(ID);
  const counted = Promise.all([bucket.usage(), bucket.queryKeys()]);
  await eventually(() => listings === 2, "both list the names in S3");
  upload.open();
  await lab.store.uploads.idle();
  listing.open();
  expect(await counted).toEqual([{ objects: 1, bytes: 100 }, 1]);
});
