// An image was queued while S3 was down, and S3 has an upload or a tombstone under that key when it is back. No change
// of the key may take the queued image for the object in S3.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { etagOf, toKey } from "../../../../../src/core/object.ts";
import type { BucketDriver } from "../../../../../src/serve/bucket/contract/driver.ts";
import { openTestS3 } from "../../../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../../../helpers/scripted-s3.ts";
import { openTiered, type TieredLab } from "../../../../helpers/tiered-store.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

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

/** Makes a change through another server of the same S3. */
async function elsewhere(change: (bucket: BucketDriver) => Promise<unknown>): Promise<void> {
  const other = await openTiered(join(dir, "elsewhere"), await openTestS3(s3, { bucket: "b" }));
  await change(other.store.bucket(ID));
  await other.store.close();
}

const body = wholeBody(UPLOAD);
const upload = { ...infoOf("a.jpg", body, "upload"), storedAt: 500 };
const uploaded = () => elsewhere((other) => other.put(upload, body, { when: "always" }));
const deleted = () => elsewhere((other) => other.delete(A, TOMBSTONE));

/** Queues the image and brings S3 back. The upload of the image is refused until the next change has sent its HEAD. */
async function queueImage(bytes: Buffer): Promise<void> {
  let isAsked: boolean | undefined;
  s3.failure = (method, name) => {
    if (name !== NAME) return undefined;
    // Neither failure is retried at once.
    if (method === "HEAD" && isAsked === undefined) return { status: 403, code: "AccessDenied" };
    isAsked ||= method === "HEAD";
    return method === "PUT" && isAsked !== true ? { status: 404, code: "NoSuchBucket" } : undefined;
  };
  const image = wholeBody(bytes);
  expect(await bucket.put(infoOf("a.jpg", image), image, { when: "absent" })).toBe("stored");
  expect(await bucket.lookup(A)).toMatchObject({ state: "object", certainty: "unknown" });
  isAsked = false;
}

function putNewVersion(bytes = IMAGE) {
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
  ["a revalidated version", uploaded, () => putNewVersion(), "exists"],
  ["a revalidated version over a tombstone", deleted, () => putNewVersion(), "deleted"],
  ["a removal after a 404 of the origin", uploaded, () => bucket.purge(A, { hard: true, only: seen }), false],
  ["a hard purge", uploaded, () => bucket.purge(A, { hard: true }), false],
  ["a hard purge over a tombstone", deleted, () => bucket.purge(A, { hard: true }), false],
  ["a soft purge", uploaded, () => bucket.purge(A, { hard: false }), false],
  [
    "a copy from the key",
    uploaded,
    () => bucket.copy(A, infoOf("b.jpg", wholeBody(IMAGE)), { when: "vacant" }),
    undefined,
  ],
])("%s keeps the entry in S3, and lookup() then returns that entry", async (_what, prepare, change, result) => {
  await prepare();
  const before = there();
  await queueImage(IMAGE);
  expect(await change()).toBe(result);
  expect(there()).toEqual(before);
  expect(lab.changed).toEqual([`${ID} ${A}`]);
  const entry = prepare === uploaded ? { state: "object", info: { size: UPLOAD.length } } : { state: "tombstone" };
  const found = await bucket.lookup(A);
  expect(found).toMatchObject(entry);
  expect(found).not.toHaveProperty("certainty");
  await lab.store.uploads.idle();
  expect(there()).toEqual(before);
});

test.each([
  ["a revalidated version", () => putNewVersion(UPLOAD), "exists"],
  ["a hard purge", () => bucket.purge(A, { hard: true }), false],
])("%s keeps an upload of the same bytes", async (_what, change, result) => {
  await uploaded();
  const before = there();
  await queueImage(UPLOAD);
  expect(await change()).toBe(result);
  expect(there()).toEqual(before);
  expect(await bucket.lookup(A)).toMatchObject({ state: "object", info: { provenance: { via: "upload" } } });
});

test.each([
  ["a revalidated version", () => putNewVersion(), "stored", "a new version"],
  ["a hard purge", () => bucket.purge(A, { hard: true }), true, "a mark"],
])("%s changes the queued image if S3 has nothing", async (_what, change, result, left) => {
  await queueImage(IMAGE);
  expect(await change()).toBe(result);
  await lab.store.uploads.idle();
  const { bytes, deletedAt } = there();
  expect(deletedAt === undefined ? bytes?.toString() : "a mark").toBe(left);
  expect(await bucket.lookup(A)).toMatchObject({ state: left === "a mark" ? "absent" : "object" });
});
