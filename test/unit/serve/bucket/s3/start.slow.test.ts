// The start of the S3 store if a proxy answers in place of S3. This proves nothing about S3, which counts as down then.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { toKey } from "../../../../../src/core/object.ts";
import type { RemoteBucket, RemoteStore } from "../../../../../src/serve/bucket/remote/remote.ts";
import { openTestS3 } from "../../../../helpers/s3-store.ts";
import { type Failure, type ScriptedS3, startScriptedS3 } from "../../../../helpers/scripted-s3.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const NAME = "10001234/photos/a.jpg";
let s3: ScriptedS3;
let store: RemoteStore | undefined;
let bucket: RemoteBucket;
let warned: string[];
let failed: string[];

beforeEach(async () => {
  s3 = await startScriptedS3();
  warned = [];
  failed = [];
});
afterEach(async () => {
  await store?.close();
  store = undefined;
  await s3.close();
});

const log = {
  ...SILENT_LOG,
  warn: (_fields: object, message: string) => void warned.push(message),
  error: (_fields: object, message: string) => void failed.push(message),
};

async function open(failure: ScriptedS3["failure"]): Promise<void> {
  s3.failure = failure;
  store = await openTestS3(s3, { bucket: "b", log });
  bucket = store.bucket("10001234/photos");
}

async function returned(): Promise<void> {
  const back = new Promise<void>((resolve) => store?.onRecovery(resolve));
  s3.failure = () => undefined;
  await back;
}

const put = async (text: string) => {
  const body = wholeBody(Buffer.from(text));
  const source = { size: body.size, hashes: body.hashes, read: async () => Buffer.from(text) };
  return bucket.put(infoOf("a.jpg", body), source, { condition: { when: "absent" }, isStale: false });
};

const nthTrialPut = (nth: number, failure: Failure): ScriptedS3["failure"] => {
  let puts = 0;
  return (method, name) => {
    if (method !== "PUT" || !name.includes("probe")) return undefined;
    puts += 1;
    return puts === nth ? failure : undefined;
  };
};

test.each([
  ["404", { page: 404 }],
  ["403", { page: 403 }],
  ["200", { page: 200 }],
] as const)("a proxy's page with status %s as the first listing means that S3 is down", async (_status, page) => {
  await open(() => page);
  expect([store?.isDown, warned]).toEqual([true, []]);
});

test("openS3Store() throws if S3 has no such bucket", async () => {
  const failing = open(() => ({ status: 404, code: "NoSuchBucket" }));
  await expect(failing).rejects.toMatchObject({ code: "store_failed" });
});

test.each([true, false])("a proxy's responses prove nothing about conditions (obeyed: %s)", async (isObeyed) => {
  s3.obeysConditions = isObeyed;
  s3.objects.set(NAME, { bytes: Buffer.from("one"), headers: {} });
  await open(() => ({ page: 404 }));
  await returned();
  expect([await put("two"), s3.objects.get(NAME)?.bytes.toString()]).toEqual([false, "one"]);
  expect(warned).toHaveLength(isObeyed ? 0 : 1);
});

test.each([1, 2, 4])("after a 404 to put %i of the probe S3 is down until the probe succeeds", async (nth) => {
  s3.saysRequestId = false;
  await open(nthTrialPut(nth, { page: 404 }));
  expect([store?.isDown, warned]).toEqual([true, []]);
  await returned();
  expect([await put("one"), await put("two"), warned]).toEqual([true, false, []]);
});

test("a condition that S3 refuses is replaced by a HEAD", async () => {
  await open(nthTrialPut(2, { status: 501, code: "NotImplemented" }));
  expect(warned).toHaveLength(1);
  s3.asked.length = 0;
  expect([await put("one"), await put("two")]).toEqual([true, false]);
  expect(s3.asked).toEqual([`HEAD ${NAME}`, `PUT ${NAME}`, `HEAD ${NAME}`]);
});

test("the probe runs when S3 is back, before any request needs it", async () => {
  await open(() => ({ page: 404 }));
  await returned();
  await vi.waitFor(() => expect(s3.asked.some((line) => /^DELETE .*probe/.test(line))).toBe(true));
  s3.failure = () => ({ page: 404 });
  await expect(bucket.head(toKey("a.jpg"))).rejects.toMatchObject({ code: "store_failed" });
});

test("a proxy's 404 does not mean absent before S3 has answered", async () => {
  await open((method) => (method === "HEAD" ? { page: 404 } : { status: 503, code: "SlowDown" }));
  s3.failure = (method) => (method === "HEAD" ? { page: 404 } : undefined);
  await expect(bucket.head(toKey("a.jpg"))).rejects.toMatchObject({ code: "store_failed" });
});

const head = () => bucket.head(toKey("a.jpg"));

const toTrialPuts =
  (failure: Failure): ScriptedS3["failure"] =>
  (method, name) =>
    method === "PUT" && name.includes("probe") ? failure : undefined;

test.each([
  ["503", 3, { status: 503, code: "SlowDown" }],
  ["507", 1, { status: 507, code: "InsufficientStorage" }],
  ["a reset", 3, "reset"],
] as const)(
  "404s of an S3 without request ids are trusted seconds after it failed a probe with %s",
  async (_what, times, failure) => {
    s3.saysRequestId = false;
    await open(() => ({ page: 404 }));
    const back = new Promise<void>((resolve) => store?.onRecovery(resolve));
    s3.failure = toTrialPuts(failure);
    await back;
    const puts = () => s3.asked.filter((line) => /^PUT .*probe/.test(line)).length;
    await vi.waitFor(() => expect(puts()).toBe(times), 5_000);
    s3.failure = () => undefined;
    await vi.waitFor(async () => expect(await head()).toEqual({ state: "absent" }), { timeout: 8_000, interval: 200 });
    expect([await put("one"), warned]).toEqual([true, []]);
  },
);

test("an S3 that sends no request ids and takes no puts still says what is absent", async () => {
  s3.saysRequestId = false;
  await open(toTrialPuts({ status: 403, code: "AccessDenied" }));
  expect(await head()).toEqual({ state: "absent" });
});

test.each([
  [507, "XMinioStorageFull", "store_full"],
  [403, "QuotaExceeded", "store_full"],
  [403, "AccessDenied", "store_failed"],
  [501, "NotImplemented", "store_failed"],
  [400, "InvalidRequest", "store_failed"],
])(
  "an S3 that lists and refuses puts with %i %s is read, and written once it accepts puts",
  async (status, code, errorCode) => {
    s3.objects.set("10001234/photos/b.jpg", { bytes: Buffer.from("one"), headers: {} });
    await open((method) => (method === "PUT" ? { status, code } : undefined));
    expect([store?.isDown, warned, failed]).toEqual([false, [], [expect.stringContaining("S3 takes no puts")]]);
    expect(await bucket.head(toKey("b.jpg"))).toMatchObject({ state: "foreign", size: 3 });
    await expect(put("one")).rejects.toMatchObject({ code: errorCode });
    s3.failure = () => undefined;
    expect([await put("one"), await put("two"), warned, failed.length]).toEqual([true, false, [], 1]);
  },
);

test("an S3 that becomes full during the probe does not count as one that refuses conditions", async () => {
  await open(nthTrialPut(2, { status: 507, code: "XMinioStorageFull" }));
  expect([warned, failed.length]).toEqual([[], 1]);
  expect([await put("one"), await put("two"), warned]).toEqual([true, false, []]);
});

test.each(["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])(
  "openS3Store() throws if S3 refuses the listing with 403 %s",
  async (code) => {
    await expect(open((method) => (method === "GET" ? { status: 403, code } : undefined))).rejects.toMatchObject({
      code: "store_failed",
    });
  },
);
