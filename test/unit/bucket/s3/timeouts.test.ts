// How long the S3 store waits for an answer in all: less than a client's connection waits for its own.
import { getEventListeners } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import { createSharedSignals } from "../../../../src/async/shared-signals.ts";
import { createIdleTimeout } from "../../../../src/bucket/s3/bodies.ts";
import { createS3Client, type S3Client } from "../../../../src/bucket/s3/client.ts";
import type { HttpCall, HttpReply } from "../../../../src/bucket/s3/http-call.ts";
import { putInParts } from "../../../../src/bucket/s3/multipart.ts";
import { openS3Store } from "../../../../src/bucket/s3/store.ts";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { toKey } from "../../../../src/core/object.ts";
import { infoOf, wholeBody } from "../../../helpers/whole-body.ts";

const ACCESS = { url: "http://127.0.0.1:1/b", region: "test", accessKeyId: "key", secretAccessKey: "secret" };
const A = toKey("a.jpg");
const ONE = wholeBody(Buffer.from("one"));
/** Milliseconds in which the server lets go of a connection on which nothing moves. */
const CLIENT_MS = 60_000;
let client: S3Client | undefined;

afterEach(() => {
  client?.close();
  client = undefined;
  vi.useRealTimers();
});

const clientOf = (call: (call: HttpCall) => Promise<HttpReply>) => {
  client = createS3Client({ ...ACCESS, call, log: SILENT_LOG, now: Date.now, retryMs: 1 });
  return client;
};

function replyOf(text: string): HttpReply {
  const body = async function* () {
    yield Buffer.from(text);
  };
  return { status: 200, header: (name) => (name === "etag" ? '"1"' : undefined), body: body() };
}

/** Silence: it ends with the patience of whoever asked, to which time leaps. */
async function silence({ signal }: HttpCall): Promise<never> {
  const begun = performance.now();
  while (!signal.aborted) {
    vi.advanceTimersByTime(500);
    if (performance.now() - begun > CLIENT_MS) throw new Error("nobody has given it up");
  }
  throw signal.reason;
}

/** Milliseconds until it fails. */
async function failsAfter(work: () => Promise<unknown>): Promise<number> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const begun = performance.now();
  await expect(work()).rejects.toMatchObject({ code: "store_failed" });
  return performance.now() - begun;
}

test.each([
  [15_000, 2],
  [35_000, 1],
])("send() to which nothing comes in %i ms is tried %i times", async (patienceMs, times) => {
  const call = vi.fn(silence);
  await failsAfter(() => clientOf(call).send({ method: "GET", name: "a.jpg", idleTimeoutMs: patienceMs }));
  expect(call).toHaveBeenCalledTimes(times);
});

test("send() of a long body whose connection breaks off is tried three times, however long it took", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const call = vi.fn(async () => {
    vi.advanceTimersByTime(40_000);
    throw new Error("reset");
  });
  const send = clientOf(call).send({ method: "PUT", name: "a.jpg", idleTimeoutMs: 15_000 });
  await expect(send).rejects.toMatchObject({ code: "store_failed" });
  expect(call).toHaveBeenCalledTimes(3);
});

test("an upload of which the end stays without an answer fails in time, its parts taken back or not", async () => {
  const asked = clientOf(async (call) => {
    if (call.method === "PUT") return replyOf("");
    if (call.target.endsWith("uploads=")) return replyOf("<Upload><UploadId>7</UploadId></Upload>");
    return silence(call);
  });
  const source = { size: ONE.size, hashes: ONE.hashes, read: async () => Buffer.from("one") };
  const put = { name: "a.jpg", headers: {}, condition: {}, isConditionMet: async () => true };
  expect(await failsAfter(() => putInParts(asked, source, put))).toBeLessThan(CLIENT_MS - 10_000);
});

/** A store whose copies are answered so. */
async function copying(answer: (call: HttpCall) => Promise<HttpReply>) {
  const store = await openS3Store({
    ...ACCESS,
    bucket: "b",
    prefix: "",
    call: async (call) => ("x-amz-copy-source" in call.headers ? answer(call) : replyOf("<ListBucketResult/>")),
    log: SILENT_LOG,
    now: Date.now,
  });
  const bucket = store.bucket("10001234/photos");
  const copy = () => bucket.copy(A, '"1"', infoOf("b.jpg", ONE), { isStale: false });
  return { copy, close: () => store.close() };
}

test("a copy that stays without an answer is asked for once and fails in time", async () => {
  const answer = vi.fn(silence);
  const { copy, close } = await copying(answer);
  expect(await failsAfter(copy)).toBeLessThan(CLIENT_MS - 10_000);
  expect(answer).toHaveBeenCalledOnce();
  await close();
});

/** An answer that begins late, of one blank every 4 s until it is done. */
async function blanksThen(text: string, { headMs = 0, ms }: { headMs?: number; ms: number }): Promise<HttpReply> {
  vi.advanceTimersByTime(headMs);
  const body = async function* () {
    for (let waited = 0; waited < ms; waited += 4_000) {
      vi.advanceTimersByTime(4_000);
      yield Buffer.from(" ");
    }
    yield Buffer.from(text);
  };
  return { ...replyOf(""), body: body() };
}

test.each([
  ["without an end", { ms: Number.POSITIVE_INFINITY }],
  ["that begin late", { headMs: 30_000, ms: 30_000 }],
])("a copy of which blanks come %s fails in time too", async (_what, when) => {
  const { copy, close } = await copying(() => blanksThen("<CopyObjectResult/>", when));
  expect(await failsAfter(copy)).toBeLessThan(40_000);
  await close();
});

test("a copy and the end of an upload in parts have 35 s, whatever comes meanwhile", async () => {
  const { copy, close } = await copying(() => blanksThen("<CopyObjectResult/>", { ms: 32_000 }));
  const asked = clientOf(async ({ method, target }) => {
    if (method === "PUT") return replyOf("");
    if (target.endsWith("uploads=")) return replyOf("<Upload><UploadId>7</UploadId></Upload>");
    return blanksThen("<CompleteMultipartUploadResult/>", { ms: 32_000 });
  });
  const source = { size: ONE.size, hashes: ONE.hashes, read: async () => Buffer.from("one") };
  const put = { name: "a.jpg", headers: {}, condition: {}, isConditionMet: async () => true };
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  expect([await copy(), await putInParts(asked, source, put)]).toEqual([true, true]);
  await close();
});

test("createPatience() aborts its signal when the store closes, and leaves nothing with it otherwise", async () => {
  const closing = new AbortController();
  const shared = createSharedSignals()(closing.signal);
  const listening = () => getEventListeners(closing.signal, "abort").length;
  const [ended, read, silent, open] = [15_000, 15_000, 0, 15_000].map((ms) => createIdleTimeout(ms, shared));
  ended?.end();
  for await (const _piece of read?.watchReply(replyOf("one").body) ?? []);
  await vi.waitFor(() => expect(silent?.signal.aborted).toBe(true));
  expect(listening()).toBe(1);
  const reason = new Error("closed");
  closing.abort(reason);
  expect(listening()).toBe(0);
  expect([ended, read, open, createIdleTimeout(15_000, shared)].map((of) => of?.signal.reason)).toEqual([
    undefined,
    undefined,
    reason,
    reason,
  ]);
});
