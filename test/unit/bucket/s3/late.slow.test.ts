// Requests that S3 carries out late: after their second try and after other changes, all of which were acknowledged.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BucketDriver } from "../../../../src/bucket/contract/driver.ts";
import type { RemoteStore } from "../../../../src/bucket/remote/remote.ts";
import { toKey } from "../../../../src/core/object.ts";
import { openTestS3 } from "../../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../../helpers/scripted-s3.ts";
import { createLatch } from "../../../helpers/spools.ts";
import { openTiered, type TieredLab } from "../../../helpers/tiered-store.ts";
import { infoOf, wholeBody } from "../../../helpers/whole-body.ts";

const ID = "10001234/photos";
const A = toKey("a.jpg");
const NAME = `${ID}/a.jpg`;
const TOMBSTONE = { deletedAt: 5, reason: "" };
let dir: string;
let s3: ScriptedS3;
let remote: RemoteStore;
let lab: TieredLab;
let bucket: BucketDriver;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-late-"));
  s3 = await startScriptedS3();
  await open();
});
afterEach(async () => {
  await lab.store.close();
  await s3.close();
  await rm(dir, { recursive: true });
});

async function open(): Promise<void> {
  remote = await openTestS3(s3, { bucket: "b" });
  lab = await openTiered(join(dir, "data"), remote);
  bucket = lab.store.bucket(ID);
}

function upload(text: string) {
  const body = wholeBody(Buffer.from(text));
  return bucket.put(infoOf("a.jpg", body, "upload"), body, { when: "vacant" });
}

/** The next PUT is lost, and carried out when the result is called. */
function losePut(): () => Promise<void> {
  const latch = createLatch();
  let isLost = false;
  s3.failure = (method) => {
    if (method !== "PUT" || isLost) return undefined;
    isLost = true;
    return { late: latch.opened };
  };
  return async () => {
    latch.open();
    await delay(20);
  };
}

const there = () => s3.objects.get(NAME);
const isTombstone = () => there()?.headers["x-amz-meta-deleted-at"] !== undefined;

test("a tombstone that is laid late does not replace what was uploaded after it", async () => {
  await upload("one");
  const carryOut = losePut();
  expect(await bucket.delete(A, TOMBSTONE)).toBe(true);
  expect(await upload("two")).toBe("stored");
  await carryOut();
  expect(there()?.bytes.toString()).toBe("two");
});

test("nor where nothing was there before it", async () => {
  const carryOut = losePut();
  expect(await bucket.delete(A, TOMBSTONE)).toBe(false);
  expect(await upload("two")).toBe("stored");
  await carryOut();
  expect(there()?.bytes.toString()).toBe("two");
});

test("an upload over a tombstone that comes late does not replace the next tombstone", async () => {
  await bucket.delete(A, TOMBSTONE);
  const carryOut = losePut();
  expect(await upload("one")).toBe("stored");
  await bucket.delete(A, TOMBSTONE);
  await carryOut();
  expect(isTombstone()).toBe(true);
});

test("an upload that comes late does not replace what an undelete has left", async () => {
  await bucket.delete(A, TOMBSTONE);
  const carryOut = losePut();
  await upload("one");
  await bucket.delete(A, TOMBSTONE);
  expect(await bucket.undelete(A)).toBe(true);
  await carryOut();
  expect(isTombstone()).toBe(true);
});

test("delete() is done although the answer to it was lost, since what is there is its own", async () => {
  await upload("one");
  let left = 1;
  s3.failure = (method) => (method === "PUT" && left-- > 0 ? "reset-after" : undefined);
  expect(await bucket.delete(A, TOMBSTONE)).toBe(true);
  expect(s3.asked.filter((line) => line === `PUT ${NAME}`)).toHaveLength(3);
});

test("what a proxy repeats is done once: an upload, a delete and an undelete", async () => {
  s3.failure = (method) => (method === "PUT" ? "twice" : undefined);
  expect(await upload("one")).toBe("stored");
  expect(await upload("one")).toBe("exists");
  expect(await bucket.delete(A, TOMBSTONE)).toBe(true);
  expect(isTombstone()).toBe(true);
  expect(await bucket.undelete(A)).toBe(true);
  expect(await upload("two")).toBe("stored");
  expect(there()?.bytes.toString()).toBe("two");
});

test("delete() takes away what another writer has put since it looked", async () => {
  await upload("one");
  let isPut = false;
  s3.failure = (method) => {
    if (method === "PUT" && !isPut) s3.objects.set(NAME, { bytes: Buffer.from("another's"), headers: {} });
    isPut ||= method === "PUT";
    return undefined;
  };
  expect(await bucket.delete(A, TOMBSTONE)).toBe(true);
  expect(isTombstone()).toBe(true);
});

test("delete() over what keeps changing fails, and nothing of this server has changed", async () => {
  await upload("one");
  let puts = 0;
  s3.failure = (method) => {
    if (method === "PUT")
      s3.objects.set(NAME, {
        bytes: Buffer.from(`another's ${puts++}`),
        headers: {},
      });
    return undefined;
  };
  await expect(bucket.delete(A, TOMBSTONE)).rejects.toMatchObject({
    code: "store_failed",
  });
  expect(isTombstone()).toBe(false);
  expect((await bucket.lookup(A)).state).toBe("object");
});

test("delete() and undelete() are done where S3 ignores conditions", async () => {
  await lab.store.close();
  s3.obeysConditions = false;
  await open();
  await upload("one");
  expect(await bucket.delete(A, TOMBSTONE)).toBe(true);
  expect(isTombstone()).toBe(true);
  expect(await bucket.undelete(A)).toBe(true);
  expect(there()).toBeUndefined();
});

test("a tombstone of no bytes, as earlier versions have laid it, is one, and an upload takes its place", async () => {
  const headers = { "x-amz-meta-huiyuan": "1", "x-amz-meta-deleted-at": "5" };
  s3.objects.set(NAME, { bytes: Buffer.alloc(0), headers });
  expect(await bucket.lookup(A)).toMatchObject({
    state: "tombstone",
    deletedAt: 5,
  });
  expect(await bucket.delete(A, TOMBSTONE)).toBe(false);
  expect(await upload("one")).toBe("stored");
});

test("tombstones are no objects of a listing and have bytes of their own", async () => {
  const laid = new Set<string>();
  for (let count = 0; count < 3; count += 1) {
    await bucket.delete(A, TOMBSTONE);
    laid.add(there()?.bytes.toString() ?? "");
  }
  expect(laid.size).toBe(3);
  const far = await remote.bucket(ID).list({ prefix: "", after: undefined, limit: 10 });
  expect(far.names).toEqual([]);
  expect(await bucket.usage()).toEqual({ objects: 0, bytes: 0 });
});
