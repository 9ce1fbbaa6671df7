// Answers of an S3, or of what stands before it, that lack what they should say.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RemoteBucket, RemoteStore } from "../../../src/bucket/remote.ts";
import { createS3Client } from "../../../src/bucket/s3/client.ts";
import type { HttpCall } from "../../../src/bucket/s3/http-call.ts";
import { putInParts } from "../../../src/bucket/s3/multipart.ts";
import { SILENT_LOG } from "../../../src/log.ts";
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
  await bucket.bury(A, { deletedAt: 1, reason: "wanted" }, { when: "absent" });
  s3.lacks = ["content-length"];
  expect(await bucket.head(A)).toMatchObject({ state: "tombstone", reason: "wanted" });
});

test("another tool's object whose length is not told is a failure, not one of no bytes", async () => {
  s3.objects.set(NAME, { bytes: Buffer.from("one"), headers: {} });
  s3.lacks = ["content-length"];
  await expect(bucket.head(A)).rejects.toMatchObject({ code: "store_failed" });
});

test.each([409, 412])("a look that is answered %i is a failure with that status, not an object", async (status) => {
  s3.failure = () => ({ status, code: "" });
  const told = { code: "store_failed", message: expect.stringContaining(`${status}`) };
  await expect(bucket.head(A)).rejects.toMatchObject(told);
});

test("an answer without an ETag is a failure that says so: no condition could be made of it", async () => {
  await put("one");
  s3.lacks = ["etag"];
  await expect(bucket.head(A)).rejects.toMatchObject({
    code: "store_failed",
    message: expect.stringContaining("no ETag"),
  });
});

test("a part without an ETag is a failure that says so, and what was put of it is taken back", async () => {
  const asked: string[] = [];
  const replyTo = ({ method, target }: HttpCall) => {
    asked.push(`${method} ${target.replace(/^.*\?/, "")}`);
    const xml = "<InitiateMultipartUploadResult><UploadId>7</UploadId></InitiateMultipartUploadResult>";
    return target.endsWith("uploads=") ? xml : "";
  };
  const client = createS3Client({
    url: "http://127.0.0.1:1/b",
    region: "test",
    accessKeyId: "key",
    secretAccessKey: "secret",
    call: async (call) => {
      const text = replyTo(call);
      const body = async function* () {
        yield Buffer.from(text);
      };
      return { status: 200, header: () => undefined, body: body() };
    },
    log: SILENT_LOG,
    now: Date.now,
  });
  const { size, hashes } = wholeBody(Buffer.from("one"));
  const source = { size, hashes, read: async () => Buffer.from("one") };
  const put = putInParts(client, source, { name: "a.jpg", headers: {}, condition: {}, holds: async () => true });
  await expect(put).rejects.toMatchObject({ code: "store_failed", message: expect.stringContaining("no ETag") });
  expect(asked).toEqual(["POST uploads=", "PUT partNumber=1&uploadId=7", "DELETE uploadId=7"]);
  client.close();
});
