// What the mirror brought while S3 could not be asked still waits, and S3, which is back, has an upload of that name or a
// tombstone: no change of the key takes the one that waits for the one that is there.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BucketDriver } from "../../../../src/bucket/contract/driver.ts";
import { etagOf, toKey } from "../../../../src/core/object.ts";
import { openTestS3 } from "../../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../../helpers/scripted-s3.ts";
import { openTiered, type TieredLab } from "../../../helpers/tiered-store.ts";
import { infoOf, wholeBody } from "../../../helpers/whole-body.ts";

const ID = "10001234/photos";
const A = toKey("a.jpg");
const NAME = `${ID}/a.jpg`;
const UPLOAD = Buffer.from("what was uploaded");
const IMAGE = Buffer.from("what the mirror brought");
const TOMBSTONE = { deletedAt: 5, reason: "" };
let dir: string;
let s3: ScriptedS3;
let lab: TieredLab;
let bucket: BucketDriver;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-unsure-"));
  s3 = await startScriptedS3();
  lab = await openTiered(join(dir, "data"), await openTestS3(s3, { bucket: "b" }));
  bucket = lab.store.bucket(ID);
});
afterEach(async () => {
  await lab.store.close();
  await s3.close();
  await rm(dir, { recursive: true });
});

/** By another server of the same S3. */
async function elsewhere(change: (bucket: BucketDriver) => Promise<unknown>): Promise<void> {
  const other = await openTiered(join(dir, "elsewhere"), await openTestS3(s3, { bucket: "b" }));
  await change(other.store.bucket(ID));
  await other.store.close();
}

const body = wholeBody(UPLOAD);
const upload = { ...infoOf("a.jpg", body, "upload"), storedAt: 500 };
const uploaded = () => elsewhere((other) => other.put(upload, body, { when: "always" }));
const deleted = () => elsewhere((other) => other.delete(A, TOMBSTONE));

/** The image waits and S3 is back. Its own upload is refused until the change that follows has asked what is there. */
async function queueImage(bytes: Buffer): Promise<void> {
  let isAsked: boolean | undefined;
  s3.failure = (method, name) => {
    if (name !== NAME) return undefined;
    // Neither is tried again at once.
    if (method === "HEAD" && isAsked === undefined) return { status: 403, code: "AccessDenied" };
    isAsked ||= method === "HEAD";
    return method === "PUT" && isAsked !== true ? { status: 404, code: "NoSuchBucket" } : undefined;
  };
  const image = wholeBody(bytes);
  expect(await bucket.put(infoOf("a.jpg", image), image, { when: "absent" })).toBe("stored");
  expect(bucket.isUnknown?.(A)).toBe(true);
  isAsked = false;
}

function refresh(bytes = IMAGE) {
  const image = wholeBody(Buffer.from("a new version"));
  const etag = etagOf(wholeBody(bytes).hashes);
  return bucket.put(infoOf("a.jpg", image), image, { when: "etag", etag, epoch: 0 });
}

const seen = { etag: etagOf(wholeBody(IMAGE).hashes), epoch: 0 };
const there = () => {
  const { bytes, headers = {} } = s3.objects.get(NAME) ?? {};
  return { bytes, isStale: "x-amz-meta-stale" in headers, deletedAt: headers["x-amz-meta-deleted-at"] };
};

test.each([
  ["a refresh", uploaded, () => refresh(), "exists"],
  ["a refresh over a tombstone", deleted, () => refresh(), "deleted"],
  ["a removal because the origin has it no more", uploaded, () => bucket.purge(A, { hard: true, only: seen }), false],
  ["a hard purge", uploaded, () => bucket.purge(A, { hard: true }), false],
  ["a hard purge over a tombstone", deleted, () => bucket.purge(A, { hard: true }), false],
  ["a soft purge", uploaded, () => bucket.purge(A, { hard: false }), false],
  ["a copy of it", uploaded, () => bucket.copy(A, infoOf("b.jpg", wholeBody(IMAGE)), { when: "vacant" }), undefined],
])("%s leaves what is there, which is what the key has from then on", async (_what, prepare, change, result) => {
  await prepare();
  const before = there();
  await queueImage(IMAGE);
  expect(await change()).toBe(result);
  expect(there()).toEqual(before);
  expect(lab.changed).toEqual([`${ID} ${A}`]);
  expect(bucket.isUnknown?.(A)).toBe(false);
  const entry = prepare === uploaded ? { state: "object", info: { size: UPLOAD.length } } : { state: "tombstone" };
  expect(await bucket.lookup(A)).toMatchObject(entry);
  await lab.store.uploads.idle();
  expect(there()).toEqual(before);
});

test.each([
  ["a refresh", () => refresh(UPLOAD), "exists"],
  ["a hard purge", () => bucket.purge(A, { hard: true }), false],
])("%s leaves an upload of the same bytes", async (_what, change, result) => {
  await uploaded();
  const before = there();
  await queueImage(UPLOAD);
  expect(await change()).toBe(result);
  expect(there()).toEqual(before);
  expect(await bucket.lookup(A)).toMatchObject({ state: "object", info: { provenance: { via: "upload" } } });
});

test.each([
  ["a refresh", () => refresh(), "stored", "a new version"],
  ["a hard purge", () => bucket.purge(A, { hard: true }), true, undefined],
])("%s changes what waits where nothing is there", async (_what, change, result, left) => {
  await queueImage(IMAGE);
  expect(await change()).toBe(result);
  await lab.store.uploads.idle();
  expect(there().bytes?.toString()).toBe(left);
});
