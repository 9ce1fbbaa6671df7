// Listings of an S3 bucket that consist mostly of tombstones, or that a server would repeat for ever.
import { afterEach, beforeEach, expect, test } from "vitest";
import { CancellationSource } from "../../../../../src/async/cancellation.ts";
import { toKey } from "../../../../../src/core/object.ts";
import type { RemoteBucket, RemoteStore } from "../../../../../src/serve/bucket/remote/remote.ts";
import { openTestS3 } from "../../../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../../../helpers/scripted-s3.ts";

const FOLDER = "10001234/photos/";
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

const nameOf = (index: number) => `${String(index).padStart(5, "0")}.jpg`;

/** Creates objects with the content `text`; empty ones are tombstones. */
function fill(count: number, text: string): void {
  for (let index = 0; index < count; index += 1) {
    s3.objects.set(FOLDER + nameOf(index), { bytes: Buffer.from(text), headers: {} });
  }
}

const FIRST = { prefix: "", after: undefined, limit: 10 };

test("list() of a few names reads whole pages of tombstones", async () => {
  fill(4_500, "");
  s3.objects.set(`${FOLDER}z.jpg`, { bytes: Buffer.from("z"), headers: {} });
  s3.asked.length = 0;
  const { names, isEnd } = await bucket.list(FIRST);
  expect([names.map(({ key }) => key), isEnd]).toEqual([["z.jpg"], true]);
  // One request for eleven names, five for a thousand.
  expect(s3.asked).toHaveLength(6);
});

test("list() requests no more names than needed if there are objects", async () => {
  fill(100, "x");
  s3.asked.length = 0;
  const page = await bucket.list(FIRST);
  expect([page.names.length, page.isEnd, s3.listedNames]).toEqual([10, false, 11]);
});

test.each([
  ["tombstones", ""],
  ["objects", "x"],
])("list() throws store_failed if S3 ignores start-after, with %s", async (_what, text) => {
  fill(2_100, text);
  s3.knowsStartAfter = false;
  await expect(bucket.list({ ...FIRST, limit: 1_500 })).rejects.toMatchObject({ code: "store_failed" });
  await expect(bucket.list({ ...FIRST, after: toKey(nameOf(9)) })).rejects.toMatchObject({ code: "store_failed" });
});

test("list() throws client_gone when its signal aborts, and sends no further request", async () => {
  fill(9_000, "");
  const client = new CancellationSource();
  s3.failure = () => {
    if (s3.asked.length === 3) client.cancel("it has left");
    return undefined;
  };
  s3.asked.length = 0;
  await expect(bucket.list({ ...FIRST, signal: client })).rejects.toMatchObject({ code: "client_gone" });
  expect(s3.asked).toHaveLength(3);
});
