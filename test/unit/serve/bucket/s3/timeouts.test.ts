// Total waiting times of the S3 store, which are shorter than a client's connection waits for its response.
import { getEventListeners } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import { shareSignal } from "../../../../../src/async/cancellation.ts";
import type { HttpCall, HttpReply } from "../../../../../src/core/http-call.ts";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { toKey } from "../../../../../src/core/object.ts";
import { createIdleTimeout } from "../../../../../src/serve/bucket/s3/bodies.ts";
import { createS3Client, type S3Client } from "../../../../../src/serve/bucket/s3/client.ts";
import { openS3Store } from "../../../../../src/serve/bucket/s3/s3-store.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const ACCESS = { url: "http://127.0.0.1:1/b", region: "test", accessKeyId: "key", secretAccessKey: "secret" };
const A = toKey("a.jpg");
const ONE = wholeBody(Buffer.from("one"));
/** Milliseconds after which the server closes an idle connection. */
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

/** Never answers. Advances the clock until the request is aborted. */
async function silence({ signal }: HttpCall): Promise<never> {
  const begun = performance.now();
  while (!signal.aborted) {
    vi.advanceTimersByTime(500);
    if (performance.now() - begun > CLIENT_MS) throw new Error("nobody has given it up");
  }
  throw signal.reason;
}

/** Milliseconds until `work` fails. */
async function failsAfter(work: () => Promise<unknown>): Promise<number> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const begun = performance.now();
  await expect(work()).rejects.toMatchObject({ code: "store_failed" });
  return performance.now() - begun;
}

test("send() makes three attempts if S3 never answers, before a client's connection ends", async () => {
  const call = vi.fn(silence);
  const send = () => clientOf(call).send({ method: "GET", name: "a.jpg", idleTimeoutMs: 15_000 });
  expect(await failsAfter(send)).toBeLessThan(CLIENT_MS);
  expect(call).toHaveBeenCalledTimes(3);
});

test("send() of a long body makes three attempts if the connection breaks, however long they take", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const call = vi.fn(async () => {
    vi.advanceTimersByTime(40_000);
    throw new Error("reset");
  });
  const send = clientOf(call).send({ method: "PUT", name: "a.jpg", idleTimeoutMs: 15_000 });
  await expect(send).rejects.toMatchObject({ code: "store_failed" });
  expect(call).toHaveBeenCalledTimes(3);
});

/** A store whose copies get the given response. */
async function copying(answer: (call: HttpCall) => Promise<HttpReply>) {
  const store = await openS3Store({
    ...ACCESS,
    bucket: "b",
    prefix: "",
    call: async (call) => {
      if ("x-amz-copy-source" in call.headers) return answer(call);
      return replyOf("<ListBucketResult/>");
    },
    log: SILENT_LOG,
    now: Date.now,
  });
  const bucket = store.bucket("10001234/photos");
  const copy = () => bucket.copy(A, '"1"', infoOf("b.jpg", ONE), { isStale: false });
  return { copy, close: () => store.close() };
}

test("copy() without a response sends one request and fails in time", async () => {
  const answer = vi.fn(silence);
  const { copy, close } = await copying(answer);
  expect(await failsAfter(copy)).toBeLessThan(CLIENT_MS - 10_000);
  expect(answer).toHaveBeenCalledOnce();
  await close();
});

/** A response that begins after `headMs` and sends a space every 4 s for `ms` before the text. */
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
  ["after a late start", { headMs: 30_000, ms: 30_000 }],
])("copy() fails in time if spaces arrive %s", async (_what, when) => {
  const { copy, close } = await copying(() => blanksThen("<CopyObjectResult/>", when));
  expect(await failsAfter(copy)).toBeLessThan(40_000);
  await close();
});

test("copy() has 35 s, during which spaces may arrive", async () => {
  const { copy, close } = await copying(() => blanksThen("<CopyObjectResult/>", { ms: 32_000 }));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  expect(await copy()).toBe(true);
  await close();
});

test("createIdleTimeout() aborts its signal when the store closes, and else leaves no listener", async () => {
  const closing = new AbortController();
  const shared = shareSignal(closing.signal);
  const listening = () => getEventListeners(closing.signal, "abort").length;
  const [ended, read, silent, open] = [15_000, 15_000, 0, 15_000].map((ms) => createIdleTimeout(ms, shared));
  ended?.end();
  for await (const _piece of read?.watchReply(replyOf("one").body, false) ?? []);
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
