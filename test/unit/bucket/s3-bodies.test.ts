// Answers of S3 whose bodies break off.
import { afterEach, expect, test } from "vitest";
import type { RemoteStore } from "../../../src/bucket/remote.ts";
import type { HttpCall } from "../../../src/bucket/s3/http-call.ts";
import { openS3Store } from "../../../src/bucket/s3/store.ts";
import { SILENT_LOG } from "../../../src/log.ts";
import { toKey } from "../../../src/object.ts";

const A = toKey("a.jpg");
let store: RemoteStore | undefined;

afterEach(async () => {
  await store?.close();
  store = undefined;
});

type Body = () => AsyncGenerator<Buffer>;

async function* whole(): AsyncGenerator<Buffer> {}

async function* broken(): AsyncGenerator<Buffer> {
  yield Buffer.from("<List");
  throw new TypeError("terminated");
}

async function open(bodyOf: (call: HttpCall) => Body): Promise<RemoteStore> {
  store = await openS3Store({
    url: "http://127.0.0.1:1/b",
    region: "test",
    accessKeyId: "key",
    secretAccessKey: "secret",
    bucket: "b",
    prefix: "",
    call: async (call) => ({ status: 200, header: () => undefined, body: bodyOf(call)() }),
    log: SILENT_LOG,
    now: Date.now,
  });
  return store;
}

test("a first listing that breaks off does not end the start: S3 is away", async () => {
  const { isDown } = await open(({ method }) => (method === "GET" ? broken : whole));
  expect(isDown).toBe(true);
});

test("the trial of conditions that breaks off does not end the start either, and says nothing of them", async () => {
  const { isDown } = await open(({ method }) => (method === "PUT" ? broken : whole));
  expect(isDown).toBe(true);
});

test("an object's body that breaks off is store_failed, with what happened", async () => {
  const remote = await open(({ target }) => (target.endsWith("a.jpg") ? broken : whole));
  const body = (await remote.bucket("10001234/photos").get(A, undefined)) ?? [];
  const read = async () => {
    for await (const _piece of body);
  };
  await expect(read()).rejects.toMatchObject({ code: "store_failed", message: expect.stringContaining("terminated") });
});
