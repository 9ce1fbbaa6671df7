// Requests that S3 carries out late: after their retry, and after other changes that were acknowledged.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import type { BucketDriver } from "../../../../../src/serve/bucket/contract/driver.ts";
import type { RemoteStore } from "../../../../../src/serve/bucket/remote/remote.ts";
import { eventually } from "../../../../helpers/program.ts";
import { openTestS3 } from "../../../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../../../helpers/scripted-s3.ts";
import { createLatch } from "../../../../helpers/spools.ts";
import { openTiered, type TieredLab } from "../../../../helpers/tiered-store.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

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

/** Loses the next PUT. The returned function carries it out. */
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

test("a late tombstone does not replace an upload that followed it", async () => {
  await upload("one");
  const carryOut = losePut();
  expect(await bucket.delete(A, TOMBSTONE)).toBe(true);
  expect(await upload("two")).toBe("stored");
  await carryOut();
  expect(there()?.bytes.toString()).toBe("two");
});

test("a late tombstone for an absent key does not replace an upload either", async () => {
  const carryOut = losePut();
  expect(await bucket.delete(A, TOMBSTONE)).toBe(false);
  expect(await upload("two")).toBe("stored");
  await carryOut();
  expect(there()?.bytes.toString()).toBe("two");
});

test("a late upload over a tombstone does not replace the next tombstone", async () => {
  await bucket.delete(A, TOMBSTONE);
  const carryOut = losePut();
  expect(await upload("one")).toBe("stored");
  await bucket.delete(A, TOMBSTONE);
  await carryOut();
  expect(isTombstone()).toBe(true);
});

test("a late upload does not replace the state after an undelete", async () => {
  await bucket.delete(A, TOMBSTONE);
  const carryOut = losePut();
  await upload("one");
  await bucket.delete(A, TOMBSTONE);
  expect(await bucket.undelete(A)).toBe(true);
  await carryOut();
  expect(isTombstone()).toBe(true);
});

test("a late upload of a fetched image does not take effect after a hard purge", async () => {
  const carryOut = losePut();
  const body = wholeBody(Buffer.from("one"));
  // Refused after the lost attempt, so that the image still waits for its upload.
  const lost = s3.failure;
  s3.failure = async (method, name) => {
    const failure = await lost(method, name);
    return failure ?? (method === "PUT" ? { status: 404, code: "NoSuchBucket" } : undefined);
  };
  expect(await bucket.put(infoOf("a.jpg", body), body, { when: "absent" })).toBe("stored");
  await eventually(() => s3.asked.filter((line) => line === `PUT ${NAME}`).length === 2, "the upload was tried twice");
  s3.failure = () => undefined;
  expect(await bucket.purge(A, { hard: true })).toBe(true);
  await carryOut();
  expect(isTombstone()).toBe(true);
  expect(await bucket.lookup(A)).toMatchObject({ state: "absent" });
});

test("an upload takes a key that another server marks between look-up and put", async () => {
  let isMarked = false;
  s3.failure = (method) => {
    if (method === "PUT" && !isMarked) {
      const headers = { "x-amz-meta-huiyuan": "1", "x-amz-meta-deleted-at": "5", "x-amz-meta-expires-at": "0" };
      s3.objects.set(NAME, { bytes: Buffer.from("a mark of 16 chr"), headers });
    }
    isMarked ||= method === "PUT";
    return undefined;
  };
  expect(await upload("one")).toBe("stored");
  expect(there()?.bytes.toString()).toBe("one");
});

test("delete() recognizes its own tombstone if the response was lost", async () => {
  await upload("one");
  let left = 1;
  s3.failure = (method) => (method === "PUT" && left-- > 0 ? "reset-after" : undefined);
  expect(await bucket.delete(A, TOMBSTONE)).toBe(true);
  expect(s3.asked.filter((line) => line === `PUT ${NAME}`)).toHaveLength(3);
});

test("an upload, a delete and an undelete that a proxy repeats take effect once", async () => {
  s3.failure = (method) => (method === "PUT" ? "twice" : undefined);
  expect(await upload("one")).toBe("stored");
  expect(await upload("one")).toBe("exists");
  expect(await bucket.delete(A, TOMBSTONE)).toBe(true);
  expect(isTombstone()).toBe(true);
  expect(await bucket.undelete(A)).toBe(true);
  expect(await upload("two")).toBe("stored");
  expect(there()?.bytes.toString()).toBe("two");
});

test("delete() removes an object that another writer put after the lookup", async () => {
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

test("delete() of an object that keeps changing fails and changes nothing on this server", async () => {
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

test("delete() and undelete() work if S3 ignores conditions", async () => {
  await lab.store.close();
  s3.obeysConditions = false;
  await open();
  await upload("one");
  expect(await bucket.delete(A, TOMBSTONE)).toBe(true);
  expect(isTombstone()).toBe(true);
  expect(await bucket.undelete(A)).toBe(true);
  expect(there()).toBeUndefined();
});

test("an empty tombstone of an earlier version counts as one, and an upload replaces it", async () => {
  const headers = { "x-amz-meta-huiyuan": "1", "x-amz-meta-deleted-at": "5" };
  s3.objects.set(NAME, { bytes: Buffer.alloc(0), headers });
  expect(await bucket.lookup(A)).toMatchObject({
    state: "tombstone",
    deletedAt: 5,
  });
  expect(await bucket.delete(A, TOMBSTONE)).toBe(false);
  expect(await upload("one")).toBe("stored");
});

test("tombstones are not listed, and each has bytes of its own", async () => {
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
