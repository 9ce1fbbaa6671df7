// Reads of a key while a change of it waits for S3, up to three times 15 s: the reads do not wait for the change.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import type { BucketDriver } from "../../../../../src/serve/bucket/contract/driver.ts";
import { noisyJpeg } from "../../../../helpers/images.ts";
import { openTestS3 } from "../../../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../../../helpers/scripted-s3.ts";
import { createLatch } from "../../../../helpers/spools.ts";
import { openTiered, type TieredLab } from "../../../../helpers/tiered-store.ts";
import { infoOf, readAll, wholeBody } from "../../../../helpers/whole-body.ts";

const ID = "10001234/photos";
const A = toKey("a.jpg");
const NAME = `${ID}/a.jpg`;
const TOMBSTONE = { deletedAt: 5, reason: "" };
const jpeg = await noisyJpeg(64, 48);
let dir: string;
let s3: ScriptedS3;
let lab: TieredLab;
let bucket: BucketDriver;
let runs = 0;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-waiting-"));
  s3 = await startScriptedS3();
  await openEmpty();
});
afterEach(async () => {
  await lab.store.close();
  await s3.close();
  await rm(dir, { recursive: true });
});

/** Opens a store with an empty disk. */
async function openEmpty(): Promise<void> {
  runs += 1;
  lab = await openTiered(join(dir, `data-${runs}`), await openTestS3(s3, { bucket: "b" }));
  bucket = lab.store.bucket(ID);
}

async function uploadAndForget(): Promise<void> {
  const body = wholeBody(jpeg);
  await bucket.put(infoOf("a.jpg", body, "upload"), body, { when: "vacant" });
  await lab.store.close();
  await openEmpty();
}

async function read(): Promise<Buffer> {
  const entry = await bucket.lookup(A);
  if (entry.state !== "object") throw new Error(`it is ${entry.state}`);
  const reader = await bucket.open(entry.info);
  try {
    return await readAll(reader, entry.info.size);
  } finally {
    reader?.close();
  }
}

/** Starts a delete that waits for S3. The returned function lets it end. */
async function beginDelete(): Promise<() => Promise<boolean>> {
  const latch = createLatch();
  const asked = createLatch();
  s3.failure = async (method) => {
    if (method !== "PUT") return undefined;
    asked.open();
    await latch.opened;
    return undefined;
  };
  const deleted = bucket.delete(A, TOMBSTONE);
  await asked.opened;
  return () => {
    latch.open();
    return deleted;
  };
}

const copies = async () => {
  const edge = lab.near.listBuckets().find((id) => id.startsWith("edge/"));
  return edge === undefined ? 0 : (await lab.near.bucket(edge).usage()).objects;
};

test.each([
  ["an upload", uploadAndForget],
  ["an image of another tool", async () => void s3.objects.set(NAME, { bytes: jpeg, headers: {} })],
])("%s is read while its delete waits for S3, and no copy is stored", async (_what, prepare) => {
  await prepare();
  const endDelete = await beginDelete();
  expect((await read()).equals(jpeg)).toBe(true);
  expect((await read()).equals(jpeg)).toBe(true);
  expect(await endDelete()).toBe(true);
  expect((await bucket.lookup(A)).state).toBe("tombstone");
  expect(await copies()).toBe(0);
});

test("a key whose tombstone another server has removed is looked up while its delete waits for S3", async () => {
  await uploadAndForget();
  const { bytes, headers } = s3.objects.get(NAME) ?? { bytes: jpeg, headers: {} };
  await bucket.delete(A, TOMBSTONE);
  s3.objects.set(NAME, { bytes, headers });
  const endDelete = await beginDelete();
  expect((await read()).equals(jpeg)).toBe(true);
  await endDelete();
  expect((await bucket.lookup(A)).state).toBe("tombstone");
});

test("a read stores a copy if the key does not change", async () => {
  await uploadAndForget();
  await read();
  expect(await copies()).toBe(1);
});

test.each([
  ["a copy if another key is deleted", "b.jpg", 1],
  ["no copy if its key is deleted", "a.jpg", 0],
])("a read stores %s meanwhile", async (_what, changed, count) => {
  await uploadAndForget();
  const [asked, rest] = [createLatch(), createLatch()];
  s3.failure = async (method, name) => {
    if (method !== "GET" || name !== NAME) return undefined;
    asked.open();
    await rest.opened;
    return undefined;
  };
  const bytes = read();
  await asked.opened;
  const { bytes: stored, headers } = s3.objects.get(NAME) ?? { bytes: jpeg, headers: {} };
  await bucket.delete(toKey(changed), TOMBSTONE);
  // Put the object back, because S3 answers the read as if it had come first.
  s3.objects.set(NAME, { bytes: stored, headers });
  rest.open();
  expect((await bytes).equals(jpeg)).toBe(true);
  expect(await copies()).toBe(count);
});
