// Upload callbacks over HTTP, against the built program. Real receivers answer, fail, hang and recover, and kill -9
// strikes at every moment of an upload.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type CallbackNotice, verifyCallback } from "../../src/serve/sign/callback.ts";
import { sharedRgw } from "../helpers/ceph.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { eventually, install, type Program, type StartOptions } from "../helpers/program.ts";
import {
  type ApiResult,
  callApi,
  type FormPart,
  fileForm,
  makeForm,
  onceToken,
  uploadToken,
} from "../helpers/rest-api.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { response, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort, needs } from "../helpers/services.ts";
import { oneBucket } from "../helpers/settings.ts";

const SECRET = "the secret of the callback";

let jpeg: Buffer;
const cleanUp: (() => Promise<void>)[] = [];

beforeAll(async () => {
  jpeg = await noisyJpeg(320, 240);
});
afterAll(() => Promise.all(cleanUp.map((step) => step())));

interface ReceivedNotice {
  readonly notice: CallbackNotice;
  readonly requestId: unknown;
  readonly body: string;
}

type Lab = Awaited<ReturnType<typeof createLab>>;

/** A program that is not started yet, and a business server that is not open yet. */
async function createLab() {
  const port = await freePort();
  const received: ReceivedNotice[] = [];
  let business: Server | undefined;
  let program: Program | undefined;

  const callback = (more: object = {}) => ({
    url: `http://127.0.0.1:${port}/uploaded?to=images`,
    secret: SECRET,
    allowPrivate: true,
    ...more,
  });
  const settings = (more: object = {}) => oneBucket(undefined, { callback: callback(more) });
  const installation = await install(settings());

  async function start(options: StartOptions = {}): Promise<Program> {
    program = await installation.start(options);
    return program;
  }

  /** Starts a receiver that verifies each notice and responds as `answer` says; undefined means no response. */
  async function openBusiness(answer: (notice: CallbackNotice) => [number, string] | undefined): Promise<void> {
    business = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const body = Buffer.concat(parts).toString("latin1");
        const verdict = verifyCallback(body, { secret: SECRET, now: Math.floor(Date.now() / 1_000) });
        if (!verdict.ok) return void response.writeHead(403).end();
        received.push({ notice: verdict.notice, requestId: request.headers["x-request-id"], body });
        const said = answer(verdict.notice);
        if (said !== undefined) response.writeHead(said[0]).end(said[1]);
      });
    }).listen(port, "127.0.0.1");
    await once(business, "listening");
  }

  async function closeBusiness(): Promise<void> {
    if (business === undefined) return;
    const closed = once(business, "close");
    business.close();
    business.closeAllConnections();
    await closed;
    business = undefined;
  }

  const downloadPort = () => program?.downloadPort ?? 0;
  const upload = (fileid: string, fields: Record<string, string> = {}): Promise<ApiResult> =>
    callApi({
      port: downloadPort(),
      path: `/${encodeURIComponent(fileid)}`,
      sign: uploadToken(),
      form: fileForm(jpeg, fields),
    });
  const stat = (fileid: string) => callApi({ port: downloadPort(), path: `/${encodeURIComponent(fileid)}` });
  const order = (fileid: string, operation: string) =>
    callApi({
      port: downloadPort(),
      path: `/${encodeURIComponent(fileid)}/${operation}`,
      method: "POST",
      sign: onceToken(fileid),
    });

  cleanUp.push(async () => {
    await program?.kill();
    await closeBusiness();
    await installation.remove();
  });
  return { received, settings, installation, start, openBusiness, closeBusiness, upload, stat, order };
}

describe("a running program", () => {
  let lab: Lab;
  let program: Program;

  beforeAll(async () => {
    lab = await createLab();
    program = await lab.start();
  });
  afterEach(async () => {
    await lab.closeBusiness();
    lab.received.length = 0;
  });

  test("an upload notifies the business server, whose response is passed to the uploader unchanged", async () => {
    const { received, openBusiness, upload } = lab;
    await openBusiness(() => [200, '{"id":9007199254740993,"code":-1,"url":"mine"}']);
    const fileid = "照片/a b&c=+.jpg";
    const result = await upload(fileid, { MagicContext: '{"user":"甲 & 乙"}' });
    expect(result).toMatchObject({ status: 200, code: 0, message: "SUCCESS", chunks: 1, data: { fileid } });
    expect(result.data.callback).toEqual({ id: 9007199254740992, code: -1, url: "mine" });
    expect(result.data.url).not.toBe("mine");
    const [{ notice, requestId, body } = { notice: undefined, requestId: undefined, body: "" }] = received;
    expect(notice).toEqual({
      appid: "10001234",
      bucket: "photos",
      fileid,
      magicContext: '{"user":"甲 & 乙"}',
      sha1: createHash("sha1").update(jpeg).digest("hex"),
      size: jpeg.byteLength,
      url: result.data.download_url,
      userid: "0",
      timestamp: expect.any(Number),
      attempt: 1,
    });
    expect(requestId).toBe(result.headers["x-request-id"]);
    expect(body).not.toContain("attempt=");
    const { host, pathname } = new URL(String(result.data.download_url));
    expect((await get({ port: program.downloadPort, host, path: pathname })).body).toEqual(jpeg);
  });

  test("only stored uploads are notified; refused uploads, copies and deletes are not", async () => {
    const { received, openBusiness, upload, order } = lab;
    await openBusiness(() => [200, ""]);
    expect((await upload("a.jpg")).data).toMatchObject({ callback: null });
    expect(await upload("a.jpg")).toMatchObject({ code: -1886, data: {} });
    expect(await upload("b.jpg", { Md5: "0".repeat(32) })).toMatchObject({ code: -1898 });
    expect(await order("a.jpg", "copy")).toMatchObject({ code: 0 });
    expect(await order("a.jpg", "del")).toMatchObject({ code: 0 });
    expect((await upload("c.jpg")).code).toBe(0);
    expect(received.map(({ notice }) => notice.fileid)).toEqual(["a.jpg", "c.jpg"]);
  });

  test("the last slice and an instant upload are each notified once, with the first packet's MagicContext", async () => {
    const { received, openBusiness } = lab;
    await openBusiness(({ fileid }) => [200, JSON.stringify(fileid)]);
    // The bucket has the bytes of the other image already, and would need no slices.
    const image = await noisyJpeg(330, 240);
    const packet = (fileid: string, parts: readonly FormPart[]) =>
      callApi({
        port: program.downloadPort,
        path: `/${fileid}`,
        sign: uploadToken(),
        form: makeForm([{ name: "op", content: "upload_slice" }, ...parts]),
      });
    const sha = createHash("sha1").update(image).digest("hex");
    const begin = (fileid: string) =>
      packet(fileid, [
        { name: "sha", content: sha },
        { name: "filesize", content: String(image.byteLength) },
        { name: "slice_size", content: "16384" },
        { name: "magicContext", content: `of ${fileid}` },
      ]);
    const { session } = (await begin("slices.jpg")).data;
    let last: ApiResult | undefined;
    for (let offset = 0; offset < image.byteLength; offset += 16_384) {
      const content = image.subarray(offset, offset + 16_384);
      last = await packet("slices.jpg", [
        { name: "session", content: String(session) },
        { name: "offset", content: String(offset) },
        { name: "fileContent", content, filename: "a" },
      ]);
    }
    expect(last?.data).toMatchObject({ fileid: "slices.jpg", callback: "slices.jpg" });
    expect((await begin("instant.jpg")).data).toMatchObject({ fileid: "instant.jpg", callback: "instant.jpg" });
    expect((await begin("instant.jpg")).code).toBe(-1886);
    expect(
      received.map(({ notice: { fileid, magicContext, sha1, size } }) => [fileid, magicContext, sha1, size]),
    ).toEqual(["slices.jpg", "instant.jpg"].map((fileid) => [fileid, `of ${fileid}`, sha, image.byteLength]));
  });
});

// Concurrent: they wait for timeouts and for the first retry after 10 s, each with a program of its own.
describe.concurrent("a receiver that fails", () => {
  test("a failed callback is reported, the file stays, and its notice is sent once the business server recovers", async () => {
    const { received, start, openBusiness, upload, stat } = await createLab();
    await start();
    const result = await upload("a.jpg");
    expect(result).toMatchObject({
      status: 400,
      code: -5979,
      data: { fileid: "a.jpg", info: [{ 0: { width: 320, height: 240 } }], callback: { reason: "connect" } },
    });
    expect((await stat("a.jpg")).code).toBe(0);
    expect((await upload("a.jpg")).code).toBe(-1886);
    await openBusiness(() => [200, "{}"]);
    await eventually(() => received.length === 1, "the notice is sent again", 30_000);
    expect(received[0]).toMatchObject({
      notice: { attempt: 2, fileid: "a.jpg" },
      requestId: result.headers["x-request-id"],
    });
  });

  test("a receiver that hangs delays its own uploader until the timeout, and no other bucket", async () => {
    const { settings, installation, start, openBusiness, upload } = await createLab();
    await openBusiness(() => undefined);
    const two = settings({ timeout: "1s", onFailure: "accept" }) as { projects: { buckets: object[] }[] };
    two.projects[0]?.buckets.push({ name: "others" });
    await installation.write(two);
    const program = await start();
    const began = performance.now();
    const slow = upload("a.jpg").then((result) => ({ result, ms: performance.now() - began }));
    const other = await callApi({
      port: program.downloadPort,
      target: "/photos/v2/10001234/others/0/a.jpg",
      sign: uploadToken("", "others"),
      form: fileForm(jpeg),
    });
    const otherMs = performance.now() - began;
    expect(other).toMatchObject({ code: 0 });
    expect("callback" in other.data).toBe(false);
    const { result, ms } = await slow;
    expect(result).toMatchObject({ status: 200, code: 0, data: { callback: { reason: "timeout" } } });
    expect(ms).toBeGreaterThanOrEqual(1_000);
    expect(ms).toBeLessThan(otherMs + 5_000);
  });

  test("a reload changes the URL, the secret and the answer, also for pending notices", async () => {
    const { received, settings, installation, start, openBusiness, upload } = await createLab();
    await installation.write(settings({ url: `http://127.0.0.1:${await freePort()}/`, secret: "old" }));
    const program = await start();
    expect((await upload("a.jpg")).code).toBe(-5979);
    await openBusiness(() => [200, "1"]);
    await installation.write(settings());
    await eventually(() => program.output.includes("new settings are in force"), "the settings are reloaded");
    expect((await upload("b.jpg")).data.callback).toBe(1);
    await eventually(() => received.length === 2, "the pending notice is sent to the new URL", 30_000);
    expect(received.map(({ notice }) => notice.fileid)).toEqual(["b.jpg", "a.jpg"]);
    await installation.write(oneBucket(undefined));
    await eventually(() => program.output.split("new settings are in force").length === 3, "the callback is removed");
    expect("callback" in (await upload("c.jpg")).data).toBe(false);
  });
});

test("a host name that resolves to an internal address is never dialled", async () => {
  const { settings, installation, start, upload } = await createLab();
  const canary = await startScriptedOrigin({});
  await installation.write(settings({ url: `http://${hostname()}:${canary.port}/`, allowPrivate: false }));
  await start();
  expect(await upload("a.jpg")).toMatchObject({ code: -5979, data: { callback: { reason: "blocked" } } });
  expect(canary.connections).toBe(0);
  await canary.close();
});

test("https accepts a certificate that the system trusts, and no other", async () => {
  const { settings, installation, start, upload } = await createLab();
  const file = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}.pem`, import.meta.url));
  const [key, cert] = await Promise.all(["key", "cert"].map((name) => readFile(file(name), "utf8")));
  const secure = await startScriptedOrigin(
    { "*": [response('"over TLS"')] },
    { tls: { key: key ?? "", cert: cert ?? "" } },
  );
  await installation.write(settings({ url: `${secure.url}/` }));
  let program = await start({ env: { NODE_EXTRA_CA_CERTS: file("cert") } });
  expect((await upload("a.jpg")).data.callback).toBe("over TLS");
  await program.stop();
  program = await start();
  expect((await upload("b.jpg")).data.callback).toEqual({ reason: "tls" });
  expect(secure.requests.length).toBe(1);
  await secure.close();
});

test("after kill -9 during a callback the next process sends the notice", async () => {
  const { received, start, openBusiness, closeBusiness, upload } = await createLab();
  await openBusiness(() => undefined);
  let program = await start();
  const broken = upload("a.jpg").catch(() => "broken");
  await eventually(() => received.length === 1, "the business server has received the callback");
  await program.kill();
  expect(await broken).toBe("broken");
  await closeBusiness();
  await openBusiness(() => [200, "{}"]);
  program = await start();
  await eventually(() => received.length === 2, "the notice is sent by the next process");
  expect(received[1]?.notice).toMatchObject({ fileid: "a.jpg", attempt: 1 });
});

describe("store: s3", needs("ceph"), () => {
  test("after kill -9 during a callback the next process notifies objects that are in S3, and no others", async () => {
    const { received, settings, installation, start, openBusiness, closeBusiness, upload, order } = await createLab();
    const rgw = await sharedRgw();
    const bucket = bucketName();
    await plainS3(rgw).makeBucket(bucket);
    const { region, accessKeyId, secretAccessKey } = rgw;
    const endpoint = `http://127.0.0.1:${rgw.port}`;
    const store = { type: "s3", endpoint, region, bucket, accessKeyId, secretAccessKey, allowPrivate: true };
    await installation.write({ ...settings(), store });
    await openBusiness(() => undefined);
    let program = await start();
    const broken = ["a.jpg", "b.jpg"].map((fileid) => upload(fileid).catch(() => "broken"));
    await eventually(() => received.length === 2, "the business server has received the callback");
    expect(await order("b.jpg", "del")).toMatchObject({ code: 0 });
    await program.kill();
    expect(await Promise.all(broken)).toEqual(["broken", "broken"]);
    await closeBusiness();
    await openBusiness(() => [200, "{}"]);
    program = await start();
    await eventually(() => received.length === 3, "the notice is sent by the next process");
    expect((await upload("c.jpg")).code).toBe(0);
    expect(received.slice(2).map(({ notice }) => notice.fileid)).toEqual(["a.jpg", "c.jpg"]);
  }, 120_000);
});

test("kill -9 at any moment leaves every stored upload notified, and every notified upload stored", async () => {
  const { received, start, openBusiness, closeBusiness, upload, stat } = await createLab();
  await openBusiness(({ size }) => (received.length % 5 === 0 ? [500, ""] : [200, `{"size":${size}}`]));
  const tried: string[] = [];
  const acknowledged = new Set<string>();
  for (let round = 0; round < 4; round += 1) {
    const program = await start();
    let isKilled = false;
    const lanes = Array.from({ length: 6 }, async (_, lane) => {
      for (let number = 0; !isKilled; number += 1) {
        const fileid = `${round}/${lane}/${number}.jpg`;
        tried.push(fileid);
        const result = await upload(fileid).catch(() => undefined);
        if (result !== undefined && (result.code === 0 || result.code === -5979)) acknowledged.add(fileid);
      }
    });
    const before = acknowledged.size;
    await eventually(() => acknowledged.size >= before + 10 + 7 * round, "uploads are acknowledged", 30_000);
    await program.kill();
    isKilled = true;
    await Promise.all(lanes);
  }
  await closeBusiness();
  await openBusiness(() => [200, "{}"]);
  await start();
  const stored: string[] = [];
  for (const fileid of tried) if ((await stat(fileid)).code === 0) stored.push(fileid);
  expect(stored).toEqual(expect.arrayContaining([...acknowledged]));
  const named = () => new Set(received.map(({ notice }) => notice.fileid));
  await eventually(() => stored.every((fileid) => named().has(fileid)), "every stored upload is notified", 60_000);
  expect([...named()].filter((fileid) => !stored.includes(fileid))).toEqual([]);
}, 180_000);
