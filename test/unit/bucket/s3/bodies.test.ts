// Responses of S3 whose bodies break off or never end.
import { afterEach, expect, test, vi } from "vitest";
import type { RemoteBucket, RemoteStore } from "../../../../src/bucket/remote/remote.ts";
import type { HttpCall } from "../../../../src/bucket/s3/http-call.ts";
import { openS3Store } from "../../../../src/bucket/s3/store.ts";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { toKey } from "../../../../src/core/object.ts";

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
      header: (name) => (name === "etag" ? '"1"' : undefined),
      body: bodyOf(call)(),
    }),
    log: SILENT_LOG,
    now: Date.now,
  });
  return store;
}

/** Yields `chunk` without end, each `ms` after the last. Calls `left` when its reader stops. */
function endless(chunk: string, ms: number, left: () => void = () => undefined): Body {
  return async function* () {
    let now = performance.now();
    vi.spyOn(performance, "now").mockImplementation(() => now);
    try {
      for (;;) {
        yield Buffer.from(chunk);
        now += ms;
      }
    } finally {
      left();
    }
  };
}

test("a first listing that breaks off does not end the start: S3 counts as down", async () => {
  const { isDown } = await open(({ method }) => (method === "GET" ? broken : whole));
  expect(isDown).toBe(true);
});

test("a capability probe that breaks off does not end the start either, and tells nothing about conditions", async () => {
  const { isDown } = await open(({ method }) => (method === "PUT" ? broken : whole));
  expect(isDown).toBe(true);
});

test.each([
  ["trickles", " ", 200],
  ["is long", "0".repeat(1_000_000), 0],
])("a first listing that %s without end is aborted and does not delay the start", async (_what, chunk, ms) => {
  const left = vi.fn();
  const { isDown } = await open(({ method }) => (method === "GET" ? endless(chunk, ms, left) : whole));
  expect(isDown).toBe(true);
  expect(left).toHaveBeenCalledOnce();
});

test("a refusal with an endless body is handled by its status", async () => {
  await expect(
    open(
      () => endless(" ", 200),
      () => 403,
    ),
  ).rejects.toMatchObject({ code: "store_failed" });
});

test("an object's body that breaks off is store_failed, with the cause", async () => {
  const remote = await open(({ target }) => (target.endsWith("a.jpg") ? broken : whole));
  const body = (await remote.bucket("10001234/photos").get(A, undefined)) ?? [];
  const read = async () => {
    for await (const _chunk of body);
  };
  await expect(read()).rejects.toMatchObject({ code: "store_failed", message: expect.stringContaining("terminated") });
});

interface Run {
  readonly chunks: number;
  /** Size of each chunk. Bytes. */
  readonly bytes: number;
  /** Delay of each chunk. Milliseconds. */
  readonly ms: number;
}

/** Reads an object whose body arrives in these runs. Returns the received bytes. */
async function readInChunks(runs: readonly Run[], readerMs = 0): Promise<number> {
  // Whole milliseconds, so that sums are exact.
  let now = Math.round(performance.now());
  async function* trickle(): AsyncGenerator<Buffer> {
    for (const { chunks, bytes, ms } of runs) {
      for (let sent = 0; sent < chunks; sent += 1) {
        now += ms;
        yield Buffer.alloc(bytes);
      }
    }
  }
  const remote = await open(({ target }) => (target.endsWith("a.jpg") ? trickle : whole));
  vi.spyOn(performance, "now").mockImplementation(() => now);
  let received = 0;
  for await (const chunk of (await remote.bucket("10001234/photos").get(A, undefined)) ?? []) {
    received += chunk.length;
    now += readerMs;
  }
  return received;
}

test("an object's body that trickles is aborted after 15 s", async () => {
  await expect(readInChunks([{ chunks: 1_000, bytes: 1, ms: 1_000 }])).rejects.toMatchObject({
    code: "store_failed",
    message: expect.stringContaining("15 bytes in 15 s"),
  });
});

test("a body that is fast first and then trickles is aborted as soon", async () => {
  const fast = { chunks: 160, bytes: 1_000_000, ms: 100 };
  // The second run lasts longer than the rest of the window with the 160 MB, and one window more.
  const drops = { chunks: 30, bytes: 1, ms: 1_000 };
  await expect(readInChunks([fast, drops])).rejects.toMatchObject({ code: "store_failed" });
});

test("a slow but steady body of minutes is read to its end", async () => {
  expect(await readInChunks([{ chunks: 300, bytes: 20_000, ms: 1_000 }])).toBe(6_000_000);
});

test("a slow reader does not count against the store", async () => {
  expect(await readInChunks([{ chunks: 300, bytes: 100, ms: 10 }], 5_000)).toBe(30_000);
});

test.each([
  ["200 to a range", 200, (bucket: RemoteBucket) => bucket.getRange(A, '"1"', { start: 0, end: 1 })],
  ["206 to a whole object", 206, (bucket: RemoteBucket) => bucket.get(A, undefined)],
  ["304 to a HEAD", 304, (bucket: RemoteBucket) => bucket.head(A)],
])("the body of an unexpected response, %s, is read to its end or aborted", async (_what, status, ask) => {
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
