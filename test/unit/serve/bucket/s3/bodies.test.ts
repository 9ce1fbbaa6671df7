// Responses of S3 whose bodies break off, are slow or have no end.
import { afterEach, expect, test, vi } from "vitest";
import type { HttpCall } from "../../../../../src/core/http-call.ts";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { toKey } from "../../../../../src/core/object.ts";
import type { RemoteBucket, RemoteStore } from "../../../../../src/serve/bucket/remote/remote.ts";
import { openS3Store } from "../../../../../src/serve/bucket/s3/s3-store.ts";

const A = toKey("a.jpg");
let store: RemoteStore | undefined;

afterEach(async () => {
  vi.restoreAllMocks();
  await store?.close();
  store = undefined;
});

type Body = () => AsyncGenerator<Buffer>;

async function* whole(): AsyncGenerator<Buffer> {
  yield Buffer.from("<ListBucketResult/>");
}

async function* broken(): AsyncGenerator<Buffer> {
  yield Buffer.from("<List");
  throw new TypeError("terminated");
}

/** The probe's GET of an object that is not there. */

async function open(
  bodyOf: (call: HttpCall) => Body,
  statusOf: (call: HttpCall) => number = () => 200,
): Promise<RemoteStore> {
  store = await openS3Store({
    url: "http://127.0.0.1:1/b",
    region: "test",
    accessKeyId: "key",
    secretAccessKey: "secret",
    bucket: "b",
    prefix: "",
    call: async (call) => ({
      status: statusOf(call),
      header: (name) => ({ etag: '"1"', "x-amz-request-id": "1" })[name],
      body: bodyOf(call)(),
    }),
    log: SILENT_LOG,
    now: Date.now,
  });
  return store;
}

/** Yields `piece` for ever, every `ms` milliseconds. `left` is called when reading stops. */
function endless(piece: string, ms: number, left: () => void = () => undefined): Body {
  return async function* () {
    let now = performance.now();
    vi.spyOn(performance, "now").mockImplementation(() => now);
    try {
      for (;;) {
        yield Buffer.from(piece);
        now += ms;
      }
    } finally {
      left();
    }
  };
}

test("openS3Store() opens with S3 down if the first listing breaks off", async () => {
  const { isDown } = await open(({ method }) => (method === "GET" ? broken : whole));
  expect(isDown).toBe(true);
});

test("openS3Store() opens with S3 down if the capability probe breaks off", async () => {
  const { isDown } = await open(({ method }) => (method === "PUT" ? broken : whole));
  expect(isDown).toBe(true);
});

test.each([
  ["is slow", " ", 200],
  ["is long", "0".repeat(1_000_000), 0],
])("openS3Store() aborts a first listing that %s and has no end", async (_what, piece, ms) => {
  const left = vi.fn();
  const { isDown } = await open(({ method }) => (method === "GET" ? endless(piece, ms, left) : whole));
  expect(isDown).toBe(true);
  expect(left).toHaveBeenCalledOnce();
});

test("a refusal whose body has no end is classified by its status", async () => {
  await expect(
    open(
      () => endless(" ", 200),
      () => 403,
    ),
  ).rejects.toMatchObject({ code: "store_failed" });
});

test("get() throws store_failed with the cause if the body breaks off", async () => {
  const remote = await open(({ target }) => (target.endsWith("a.jpg") ? broken : whole));
  const body = (await remote.bucket("10001234/photos").get(A, undefined)) ?? [];
  const read = async () => {
    for await (const _piece of body);
  };
  await expect(read()).rejects.toMatchObject({ code: "store_failed", message: expect.stringContaining("terminated") });
});

test.each([
  ["206 to a whole object", 206, (bucket: RemoteBucket) => bucket.get(A, undefined)],
  ["304 to a HEAD", 304, (bucket: RemoteBucket) => bucket.head(A)],
])("the body of an answer that is none, %s, is read to its end or left", async (_what, status, ask) => {
  const left = vi.fn();
  async function* long(): AsyncGenerator<Buffer> {
    try {
      for (let sent = 0; sent < 100; sent += 1) yield Buffer.alloc(10_000);
    } finally {
      left();
    }
  }
  const remote = await open(
    ({ target }) => (target.endsWith("a.jpg") ? long : whole),
    ({ target }) => (target.endsWith("a.jpg") ? status : 200),
  );
  await expect(ask(remote.bucket("10001234/photos"))).rejects.toMatchObject({ code: "store_failed" });
  await vi.waitFor(() => expect(left).toHaveBeenCalledOnce());
});
