// The S3 bucket with a server that ignores conditions, fails, or loses a response.
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { toKey } from "../../../../../src/core/object.ts";
import type { RemoteBucket, RemoteStore } from "../../../../../src/serve/bucket/remote/remote.ts";
import { openTestS3 } from "../../../../helpers/s3-store.ts";
import { type Failure, type ScriptedS3, startScriptedS3 } from "../../../../helpers/scripted-s3.ts";
import { createLatch } from "../../../../helpers/spools.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const A = toKey("a.jpg");
const NAME = "10001234/photos/a.jpg";
let s3: ScriptedS3;
let store: RemoteStore;
let bucket: RemoteBucket;
let warned: string[];

beforeEach(async () => {
  s3 = await startScriptedS3();
  warned = [];
});
afterEach(async () => {
  await store?.close();
  await s3.close();
});

async function open(): Promise<void> {
  const log = { ...SILENT_LOG, warn: (_fields: object, message: string) => void warned.push(message) };
  store = await openTestS3(s3, { bucket: "b", log });
  bucket = store.bucket("10001234/photos");
  s3.asked.length = 0;
}

function put(text: string, when: "absent" | "always" = "absent") {
  const body = wholeBody(Buffer.from(text));
  const source = {
    size: body.size,
    hashes: body.hashes,
    read: async (from: number, to: number) => Buffer.from(text).subarray(from, to + 1),
  };
  return bucket.put(infoOf("a.jpg", body), source, { condition: { when }, isStale: false });
}

/** Fails the given number of requests with this method, then none. */
function failTimes(method: string, times: number, failure: Failure): void {
  let left = times;
  s3.failure = (asked, name) => {
    if (asked !== method || name.includes("probe") || left === 0) return undefined;
    left -= 1;
    return failure;
  };
}

test("a server that wants entity tags without quotes gets them, and no HEAD before a put", async () => {
  s3.wantsBareTags = true;
  await open();
  expect([await put("one"), warned]).toEqual([true, []]);
  const seen = await bucket.head(toKey("a.jpg"));
  const version = "version" in seen ? seen.version : "";
  s3.asked.length = 0;
  expect(await bucket.removeVersion(toKey("a.jpg"), version, 1)).toBe(true);
  expect(s3.asked).toEqual([`PUT ${NAME}`]);
});

test("clockNote() says by how much the clock of this server differs from the Date of S3", async () => {
  await open();
  expect(store.clockNote()).toBeUndefined();
  await store.close();
  const { now } = Date;
  const clock = vi.spyOn(Date, "now").mockImplementation(() => now() + 60_500);
  try {
    await open();
    expect(store.clockNote()).toMatch(/by (59|60) s/);
  } finally {
    clock.mockRestore();
  }
});

describe("a server that accepts conditions and ignores them", () => {
  beforeEach(async () => {
    s3.obeysConditions = false;
    await open();
  });

  test("is detected at the start and logged", () => {
    expect(warned).toHaveLength(1);
    expect(warned[0]).toContain("ignores conditional puts");
    expect([...s3.objects.keys()]).toEqual([]);
  });

  test("gets a HEAD before each put, so put() when absent replaces nothing", async () => {
    expect(await put("one")).toBe(true);
    expect(await put("two")).toBe(false);
    expect(s3.objects.get(NAME)?.bytes.toString()).toBe("one");
    expect(s3.asked).toEqual([`HEAD ${NAME}`, `PUT ${NAME}`, `HEAD ${NAME}`]);
  });
});

test("a server that obeys conditions gets one request per put, and nothing is logged", async () => {
  await open();
  expect(await put("one")).toBe(true);
  expect(s3.asked).toEqual([`PUT ${NAME}`]);
  expect(warned).toEqual([]);
});

const RETRYABLE: readonly [what: string, failure: Failure][] = [
  ["500", { status: 500, code: "InternalError" }],
  ["503 SlowDown", { status: 503, code: "SlowDown" }],
  ["429", { status: 429, code: "TooManyRequests" }],
  ["400 RequestTimeout", { status: 400, code: "RequestTimeout" }],
  ["409 ConditionalRequestConflict", { status: 409, code: "ConditionalRequestConflict" }],
  ["a reset", "reset"],
];
test.each(RETRYABLE)("put() retries after %s and stores", async (_what, failure) => {
  await open();
  failTimes("PUT", 2, failure);
  expect(await put("one")).toBe(true);
  expect(s3.asked).toEqual([`PUT ${NAME}`, `PUT ${NAME}`, `PUT ${NAME}`]);
});

test("put() recognizes its own object if the response was lost", async () => {
  await open();
  failTimes("PUT", 1, "reset-after");
  expect(await put("one")).toBe(true);
  failTimes("PUT", 1, "reset");
  expect(await put("two")).toBe(false);
});

const NOT_RETRYABLE: readonly [status: number, code: string, expected: string][] = [
  [403, "AccessDenied", "store_failed"],
  [403, "QuotaExceeded", "store_full"],
  [507, "InsufficientStorage", "store_full"],
  [404, "NoSuchBucket", "store_failed"],
  [501, "NotImplemented", "store_failed"],
];
test.each(NOT_RETRYABLE)("put() does not retry after %i %s and throws %s", async (status, code, expected) => {
  await open();
  failTimes("PUT", 9, { status, code });
  await expect(put("one", "always")).rejects.toMatchObject({ code: expected });
  expect(s3.asked).toEqual([`PUT ${NAME}`]);
});

test("many requests that get one 503 each succeed at the retry, and S3 does not count as down", async () => {
  await open();
  const tried = new Map<string, number>();
  s3.failure = (method, name) => {
    const times = (tried.get(name) ?? 0) + 1;
    tried.set(name, times);
    return method === "HEAD" && times < 3 ? { status: 503, code: "SlowDown" } : undefined;
  };
  const keys = Array.from({ length: 20 }, (_, index) => toKey(`${index}.jpg`));
  const found = await Promise.all(keys.map((key) => bucket.head(key)));
  expect(found.map(({ state }) => state)).toEqual(keys.map(() => "absent"));
  expect([store.isDown, store.outageSince()]).toEqual([false, undefined]);
});

test("the capability probe runs again if the server was too busy for it", async () => {
  let probes = 0;
  s3.failure = (method, name) => {
    if (method !== "PUT" || !name.includes("probe")) return undefined;
    probes += 1;
    return probes > 1 && probes < 5 ? { status: 503, code: "SlowDown" } : undefined;
  };
  await open();
  await new Promise<void>((resolve) => store.onRecovery(resolve));
  expect([await put("one"), await put("two"), warned]).toEqual([true, false, []]);
});

test("openS3Store() waits a few seconds for a slow probe, and the first put waits for its end", async () => {
  const latch = createLatch();
  s3.failure = async (method, name) => {
    if (method === "PUT" && name.includes("probe")) await latch.opened;
    return undefined;
  };
  const begun = performance.now();
  await open();
  expect(performance.now() - begun).toBeLessThan(8_000);
  expect(store.isDown).toBe(false);
  const first = put("one");
  latch.open();
  expect([await first, await put("two"), warned]).toEqual([true, false, []]);
  // No HEAD before the put, because the probe has shown that conditions are obeyed.
  expect(s3.asked.filter((line) => line.endsWith(NAME))).toEqual([`PUT ${NAME}`, `PUT ${NAME}`, `HEAD ${NAME}`]);
});

test("three requests whose attempts all get 503 count as three failures", async () => {
  await open();
  s3.failure = () => ({ status: 503, code: "SlowDown" });
  for (const isDown of [false, false, true]) {
    await expect(bucket.head(A)).rejects.toMatchObject({ code: "store_failed" });
    expect(store.isDown).toBe(isDown);
  }
});

test("after three requests without a response further ones fail at once until S3 answers", async () => {
  await open();
  const returned = new Promise<void>((resolve) => store.onRecovery(resolve));
  s3.failure = () => "reset";
  await expect(put("one")).rejects.toMatchObject({ code: "store_failed" });
  expect(store.isDown).toBe(true);
  expect(store.outageSince()).toBeGreaterThan(0);
  const asked = s3.asked.filter((line) => line.endsWith(NAME)).length;
  await expect(bucket.head(A)).rejects.toMatchObject({ code: "store_failed" });
  expect(s3.asked.filter((line) => line.endsWith(NAME))).toHaveLength(asked);
  s3.failure = () => undefined;
  await returned;
  expect(store.isDown).toBe(false);
  expect(await put("one")).toBe(true);
});

test("get() returns whole bodies to slow readers if S3 closes each connection after its response", async () => {
  await open();
  // Just above the read-ahead, so that the connection ends while the body is paused.
  const text = "0123456789".repeat(6_600);
  expect(await put(text)).toBe(true);
  s3.hangsUp = true;
  const readLate = async () => {
    const pieces = (await bucket.get(A, undefined)) ?? [];
    await delay(80);
    let read = "";
    for await (const piece of pieces) read += piece.toString();
    return read === text;
  };
  const all = await Promise.all(Array.from({ length: 24 }, readLate));
  expect(new Set(all)).toEqual(new Set([true]));
});
