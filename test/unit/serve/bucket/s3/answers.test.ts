// Incomplete or wrong responses, from S3 or from a proxy in front of it.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { toKey } from "../../../../../src/core/object.ts";
import type { RemoteBucket, RemoteStore } from "../../../../../src/serve/bucket/remote/remote.ts";
import { openTestS3 } from "../../../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../../../helpers/scripted-s3.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

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

async function put(text: string): Promise<boolean> {
  const body = wholeBody(Buffer.from(text));
  const read = async (from: number, to: number) => Buffer.from(text).subarray(from, to + 1);
  const source = { size: body.size, hashes: body.hashes, read };
  return bucket.put(infoOf("a.jpg", body), source, { condition: { when: "always" }, isStale: false });
}

test("head() takes the size from the description if there is no Content-Length", async () => {
  await put("one");
  s3.lacks = ["content-length"];
  expect(await bucket.head(A)).toMatchObject({ state: "object", info: { size: 3 } });
});

test("head() finds a tombstone without a Content-Length", async () => {
  await bucket.putTombstone(A, { deletedAt: 1, reason: "wanted" }, { when: "absent" });
  s3.lacks = ["content-length"];
  expect(await bucket.head(A)).toMatchObject({ state: "tombstone", reason: "wanted" });
});

test("head() of another tool's object throws without a Content-Length, and does not report it as empty", async () => {
  s3.objects.set(NAME, { bytes: Buffer.from("one"), headers: {} });
  s3.lacks = ["content-length"];
  await expect(bucket.head(A)).rejects.toMatchObject({ code: "store_failed" });
});

describe("a HEAD response with Content-Length 0", () => {
  test("counts as one without a length if the ETag is not that of an empty body", async () => {
    await put("one");
    s3.saysLength0 = true;
    expect(await bucket.head(A)).toMatchObject({ state: "object", info: { size: 3 } });
  });

  test("leaves the size of another tool's object unknown", async () => {
    s3.objects.set(NAME, { bytes: Buffer.from("one"), headers: {} });
    s3.saysLength0 = true;
    await expect(bucket.head(A)).rejects.toMatchObject({ code: "store_failed" });
  });

  test("is trusted for an empty object of another tool", async () => {
    s3.objects.set(NAME, { bytes: Buffer.alloc(0), headers: {} });
    expect(await bucket.head(A)).toMatchObject({ state: "foreign", size: 0 });
  });

  test("does not make the key of a described object vacant if the object has lost its bytes", async () => {
    await put("one");
    const { headers = {} } = s3.objects.get(NAME) ?? {};
    s3.objects.set(NAME, { bytes: Buffer.alloc(0), headers });
    expect(await bucket.head(A)).toMatchObject({ state: "object", info: { size: 3 } });
  });
});

test.each([409, 412])("head() throws the status %i and returns no object", async (status) => {
  s3.failure = () => ({ status, code: "" });
  const told = { code: "store_failed", message: expect.stringContaining(`${status}`) };
  await expect(bucket.head(A)).rejects.toMatchObject(told);
});

test("head() throws without an ETag, because no condition could be made of it", async () => {
  await put("one");
  s3.lacks = ["etag"];
  await expect(bucket.head(A)).rejects.toMatchObject({
    code: "store_failed",
    message: expect.stringContaining("no ETag"),
  });
});

describe("a page of a proxy with status 200", () => {
  const version = async () => {
    const found = await bucket.head(A);
    return "version" in found ? found.version : "";
  };
  const pageFor = (method: string) => {
    s3.failure = (asked) => (asked === method ? { page: 200 } : undefined);
  };
  const isFailure = (change: Promise<unknown>) => expect(change).rejects.toMatchObject({ code: "store_failed" });
  const there = () => s3.objects.get(NAME)?.bytes.toString();

  test("is not taken for a stored object: put()", async () => {
    pageFor("PUT");
    await isFailure(put("one"));
    expect(there()).toBeUndefined();
    s3.failure = () => undefined;
    expect(await put("one")).toBe(true);
  });

  test("removes nothing: putTombstone() and removeVersion()", async () => {
    await put("one");
    const seen = await version();
    pageFor("PUT");
    await isFailure(bucket.putTombstone(A, { deletedAt: 1, reason: "" }, { when: "version", version: seen }));
    await isFailure(bucket.removeVersion(A, seen, 1));
    expect(there()).toBe("one");
  });

  test("removes nothing: removeVersion() if S3 obeys no conditions", async () => {
    await store.close();
    s3.obeysConditions = false;
    store = await openTestS3(s3, { bucket: "b" });
    bucket = store.bucket("10001234/photos");
    await put("one");
    const seen = await version();
    pageFor("DELETE");
    expect(await bucket.removeVersion(A, seen, 1)).toBe(false);
    s3.failure = () => undefined;
    expect(await bucket.removeVersion(A, seen, 1)).toBe(true);
    expect(there()).toBeUndefined();
  });

  test("is not taken for a copy, a listing or an object: copy(), list() and get()", async () => {
    await put("one");
    const seen = await version();
    const to = infoOf("b.jpg", wholeBody(Buffer.from("one")));
    pageFor("PUT");
    await isFailure(bucket.copy(A, seen, to, { isStale: false }));
    pageFor("GET");
    await isFailure(bucket.list({ prefix: "", after: undefined, limit: 1 }));
    await isFailure(bucket.get(A, seen));
  });

  test("proves nothing about conditions", async () => {
    await store.close();
    pageFor("PUT");
    const warned: string[] = [];
    const log = { ...SILENT_LOG, warn: (_fields: object, message: string) => void warned.push(message) };
    store = await openTestS3(s3, { bucket: "b", log });
    expect([store.isDown, warned]).toEqual([true, []]);
  });
});

test("a 404 means absent if it comes from S3, and is a failure if it comes from a proxy", async () => {
  expect(await bucket.head(A)).toEqual({ state: "absent" });
  await put("one");
  const seen = await bucket.head(A);
  s3.failure = () => ({ page: 404 });
  const asks = [
    bucket.head(A),
    bucket.get(A, undefined),
    bucket.removeVersion(A, "version" in seen ? seen.version : "", 1),
  ];
  // Handled together, because the last may reject before the first.
  await Promise.all(asks.map((ask) => expect(ask).rejects.toMatchObject({ code: "store_failed" })));
  s3.failure = () => undefined;
  expect(await bucket.head(A)).toEqual(seen);
});

test("a proxy's 404 is not trusted even before the first 404 of S3", async () => {
  s3.failure = () => ({ page: 404 });
  await expect(bucket.head(A)).rejects.toMatchObject({ code: "store_failed" });
});

test("only NoSuchKey means absent if S3 sends no request ids", async () => {
  await store.close();
  s3.saysRequestId = false;
  store = await openTestS3(s3, { bucket: "b" });
  bucket = store.bucket("10001234/photos");
  expect(await bucket.head(A)).toEqual({ state: "absent" });
  expect(await bucket.get(A, undefined)).toBeUndefined();
  s3.failure = () => ({ page: 404 });
  await expect(bucket.head(A)).rejects.toMatchObject({ code: "store_failed" });
  await expect(bucket.get(A, undefined)).rejects.toMatchObject({ code: "store_failed" });
});

test("a proxy's 404 to HEAD is a failure if the object is there, also from an S3 without request ids", async () => {
  await store.close();
  s3.saysRequestId = false;
  store = await openTestS3(s3, { bucket: "b" });
  bucket = store.bucket("10001234/photos");
  await put("one");
  s3.failure = (method) => (method === "HEAD" ? { page: 404 } : undefined);
  await expect(bucket.head(A)).rejects.toMatchObject({ code: "store_failed" });
});
