// Answers of an S3, or of what stands before it, that lack what they should say.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RemoteBucket, RemoteStore } from "../../../src/bucket/remote.ts";
import { toKey } from "../../../src/object.ts";
import { openTestS3 } from "../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../helpers/scripted-s3.ts";
import { infoOf, wholeBody } from "../../helpers/whole-body.ts";

const A = toKey("a.jpg");
const NAME = "10001234/photos/a.jpg";
let s3: ScriptedS3;
let store: RemoteStore;
let bucket: RemoteBucket;

beforeEach(async () => {
  s3 = await startScriptedS3();
  store = await openTestS3(s3, { bucket: "b" });
  bucket = store.bucket("10001234/photos");
});
afterEach(async () => {
  await store.close();
  await s3.close();
});

async function put(text: string): Promise<void> {
  const body = wholeBody(Buffer.from(text));
  const read = async (from: number, to: number) => Buffer.from(text).subarray(from, to + 1);
  const source = { size: body.size, hashes: body.hashes, read };
  await bucket.put(infoOf("a.jpg", body), source, { condition: { when: "always" }, isStale: false });
}

test("an object whose length is not told has the size that its description says", async () => {
  await put("one");
  s3.lacks = ["content-length"];
  expect(await bucket.head(A)).toMatchObject({ state: "object", info: { size: 3 } });
});

test("a tombstone needs no length", async () => {
  await bucket.bury(A, { deletedAt: 1, reason: "wanted" });
  s3.lacks = ["content-length"];
  expect(await bucket.head(A)).toMatchObject({ state: "tombstone", reason: "wanted" });
});

test("another tool's object whose length is not told is a failure, not one of no bytes", async () => {
  s3.objects.set(NAME, { bytes: Buffer.from("one"), headers: {} });
  s3.lacks = ["content-length"];
  await expect(bucket.head(A)).rejects.toMatchObject({ code: "store_failed" });
});
