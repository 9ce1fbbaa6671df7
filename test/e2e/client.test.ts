// The SDK against the program: every call, names of every kind, and the examples of docs/develop/sdk.md unmodified.
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, createClient, HuiyuanClientError, processing, verifyCallback } from "../../src/client/client.ts";
import { callbackBody } from "../../src/serve/sign/callback.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { runModule, startModule } from "../helpers/run-module.ts";
import { type ScriptedService, startService } from "../helpers/scripted-service.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const DOWNLOADS = `photos-${APPID}.localhost`;

let jpeg: Buffer;
let installation: Installation;
let program: Program;
let client: Client;
let business: ScriptedService;

beforeAll(async () => {
  jpeg = await noisyJpeg(640, 480);
  business = await startService();
  const callback = { url: business.url, secret: "env:CALLBACK_SECRET", allowPrivate: true };
  const buckets = [
    {
      name: "photos",
      token: "required",
      separators: ["!"],
      aliases: { small: "imageView2/2/w/200" },
      domains: [{ host: DOWNLOADS }],
    },
    { name: "told", callback, domains: [{ host: "told.test" }] },
  ];
  installation = await install({ projects: [{ appid: APPID, keys: [KEYS[0]], buckets }] });
  program = await installation.start({ env: { CALLBACK_SECRET: "shared" } });
  client = clientOf({});
});
afterAll(async () => {
  await program?.stop();
  await installation?.remove();
  await business?.close();
});

function clientOf(changes: object): Client {
  const endpoint = `http://127.0.0.1:${program.downloadPort}`;
  return createClient({
    endpoint,
    downloads: `http://${DOWNLOADS}`,
    appid: APPID,
    bucket: "photos",
    ...KEYS[0],
    ...changes,
  });
}

async function download(url: string) {
  const { pathname, search } = new URL(url);
  return get({ port: program.downloadPort, host: DOWNLOADS, path: pathname + search });
}

async function failure(promise: Promise<unknown>): Promise<HuiyuanClientError> {
  const error: unknown = await promise.then(
    () => new Error("it was done"),
    (reason: unknown) => reason,
  );
  if (error instanceof HuiyuanClientError) return error;
  throw error;
}

describe("huiyuan/client", () => {
  test.each([
    "2015/07/17/abc.jpg",
    "a b+c%25.jpg",
    "50%.jpg",
    "照片/回源😀.jpg",
    "/begins//with a slash/",
    "ends/copy",
    "ends/del",
    "quotes'\"<>&=?#!*().jpg",
    "x".repeat(128),
  ])("uploads, stats, downloads, copies and deletes %s", async (fileid) => {
    const uploaded = await client.upload(jpeg, { fileid });
    expect(uploaded).toMatchObject({ fileid, width: 640, height: 480 });
    expect((await download(client.url(fileid, { sign: true }))).body.equals(jpeg)).toBe(true);
    expect((await download(client.url(fileid))).status).toBe(403);
    expect(await client.stat(fileid)).toMatchObject({
      fileid,
      downloadUrl: uploaded.downloadUrl,
      size: jpeg.byteLength,
      md5: createHash("md5").update(jpeg).digest("hex"),
      width: 640,
      height: 480,
    });
    const copied = await client.copy(fileid);
    await client.delete(fileid);
    expect(await client.stat(fileid)).toBeUndefined();
    expect((await download(client.url(copied.fileid, { sign: { lifeSeconds: 60 } }))).body.equals(jpeg)).toBe(true);
  });

  test("reports each refusal with its reason", async () => {
    expect(await client.upload(jpeg, { fileid: "twice.jpg" })).toMatchObject({ fileid: "twice.jpg" });
    // Large enough that the response arrives while the form is still being sent.
    const large = Buffer.alloc(10_000_000);
    expect(await failure(client.upload(large, { fileid: "twice.jpg" }))).toMatchObject({
      name: "file_exists",
      code: -1886,
      httpStatus: 400,
      requestId: expect.stringMatching(/^\S{8,}$/),
      stored: false,
    });
    expect(await failure(client.upload(large))).toMatchObject({ name: "not_an_image" });
    expect(await failure(client.upload(new Uint8Array()))).toMatchObject({ name: "size_refused" });
    expect(await failure(client.upload(Buffer.alloc(30_000_000)))).toMatchObject({ name: "size_refused" });
    expect(await failure(client.delete("nothing.jpg"))).toMatchObject({ name: "not_found", code: -197 });
    expect(await failure(clientOf({ secretKey: "wrong" }).upload(jpeg))).toMatchObject({ name: "signature_wrong" });
    expect(await failure(clientOf({ secretId: "AKIDNONE" }).copy("a"))).toMatchObject({ name: "secret_id_unknown" });
    expect(await failure(clientOf({ appid: "1" }).upload(jpeg))).toMatchObject({ name: "appid_unknown" });
    const late = clientOf({ now: () => Date.now() - 3_600_000 });
    expect(await failure(late.upload(jpeg))).toMatchObject({ name: "signature_expired" });
  });
});

describe("uploadSlices()", () => {
  test("sends an image in slices, resumes after an interruption, and sends no image twice", async () => {
    const large = await noisyJpeg(1600, 1200);
    const controller = new AbortController();
    let session = "";
    const broken = client.uploadSlices(large, {
      fileid: "sliced.jpg",
      sliceBytes: 65_536,
      signal: controller.signal,
      onProgress: (at) => {
        session = at.session;
        if (at.sentBytes === 131_072) controller.abort(new Error("the train enters a tunnel"));
      },
    });
    await expect(broken).rejects.toThrow("the train enters a tunnel");
    expect(await client.stat("sliced.jpg")).toBeUndefined();
    const seen: number[] = [];
    const onProgress = ({ sentBytes }: { readonly sentBytes: number }) => seen.push(sentBytes);
    const stored = await client.uploadSlices(large, { fileid: "sliced.jpg", session, onProgress });
    expect(stored).toMatchObject({ fileid: "sliced.jpg", width: 1600, height: 1200 });
    expect([seen[0], seen.at(-1)]).toEqual([131_072, large.byteLength]);
    expect((await download(client.url("sliced.jpg", { sign: true }))).body.equals(large)).toBe(true);
    // As if its response was lost: the session still knows the slice.
    expect(await client.uploadSlices(large, { fileid: "sliced.jpg", session })).toEqual(stored);
    seen.length = 0;
    expect(await client.uploadSlices(large, { fileid: "equal.jpg", onProgress })).toMatchObject({ width: 1600 });
    expect(seen).toEqual([]);
    expect(await failure(client.uploadSlices(large, { fileid: "equal.jpg" }))).toMatchObject({ name: "file_exists" });
    expect(await failure(client.uploadSlices(jpeg, { session: "none" }))).toMatchObject({ name: "session_unknown" });
    const tiny = client.uploadSlices(large, { sliceBytes: 9 });
    expect(await failure(tiny)).toMatchObject({ name: "slice_too_small" });
  });
});

describe("the URL of a processed image", () => {
  test("serves what the builder names, signed and by alias", async () => {
    await client.upload(jpeg, { fileid: "made.jpg" });
    const process = processing().fill({ width: 90, height: 60 }, "north").format("webp");
    const made = await download(client.url("made.jpg", { process, sign: true }));
    expect(await sharp(made.body).metadata()).toMatchObject({ format: "webp", width: 90, height: 60 });
    const small = await download(client.url("made.jpg", { alias: "!small", sign: true }));
    expect(await sharp(small.body).metadata()).toMatchObject({ format: "jpeg", width: 200, height: 150 });
    const info = await download(client.url("made.jpg", { process: processing().scale(50).info(), sign: true }));
    expect(JSON.parse(info.body.toString())).toMatchObject({ format: "jpeg", width: "320", height: "240" });
  });
});

describe("a bucket with a callback", () => {
  test("returns the business server's answer, and tells stored uploads from refused ones", async () => {
    const told = clientOf({ bucket: "told" });
    business.answers({ json: { welcome: 7 } });
    const uploaded = await told.upload(jpeg, { fileid: "one.jpg", magicContext: "a&b=图" });
    expect(uploaded.callback).toEqual({ welcome: 7 });
    const verdict = verifyCallback(business.requests[0]?.body ?? "", { secret: "shared" });
    expect(verdict).toMatchObject({
      ok: true,
      notice: { fileid: "one.jpg", magicContext: "a&b=图", size: jpeg.byteLength },
    });
    business.answers({ status: 502, text: "" });
    const error = await failure(told.upload(jpeg, { fileid: "two.jpg" }));
    expect(error).toMatchObject({ name: "callback_failed", code: -5979, stored: true });
    expect(error.uploaded).toMatchObject({
      fileid: "two.jpg",
      width: 640,
      callback: { reason: "status", status: 502 },
    });
    expect(await told.stat("two.jpg")).toMatchObject({ size: jpeg.byteLength });
  });
});

describe("docs/develop/sdk.md", () => {
  /** The JavaScript code blocks, by the text after the language name. */
  const blocks = async (kind: string) =>
    [...(await readFile(`${ROOT}docs/develop/sdk.md`, "utf8")).matchAll(/^```js *(\w*)\n(.*?)^```$/gms)]
      .filter((block) => block[1] === kind)
      .map((block) => block[2]);

  let folder: string;
  beforeAll(async () => {
    folder = join(installation.folder, "reader");
    await mkdir(join(folder, "node_modules/huiyuan"), { recursive: true });
    await cp(`${ROOT}package.json`, join(folder, "node_modules/huiyuan/package.json"));
    await symlink(`${ROOT}dist`, join(folder, "node_modules/huiyuan/dist"));
    await writeFile(join(folder, "picture.jpg"), jpeg);
  });

  test("the examples do what they say", async () => {
    const text = (await blocks("")).join("\n").replace("localhost:8080", `127.0.0.1:${program.downloadPort}`);
    const shown = text.replace('// downloads: "https://img.example.com",', 'downloads: "http://img.test",');
    const env = { HUIYUAN_SECRET_ID: KEYS[0].secretId, HUIYUAN_SECRET_KEY: KEYS[0].secretKey };
    const { size } = { size: jpeg.byteLength };
    const md5 = createHash("md5").update(jpeg).digest("hex");
    const stamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/;
    const lines = (await runModule(shown, { folder, env })).trimEnd().split("\n");
    const [sent, stored, named, stat, ...others] = lines;
    expect(sent).toBe(`${size} bytes are on their way`);
    expect(stored).toBe(`2015/07/a.jpg 640×480 http://${DOWNLOADS}:${program.downloadPort}/2015/07/a.jpg`);
    expect(named).toBe("36");
    expect(stat?.split(" ")).toEqual([String(size), md5, expect.stringMatching(stamp)]);
    expect(others).toEqual([
      "undefined true",
      "http://img.test/a%20b.jpg",
      "http://img.test/a.jpg?imageView2/2/w/400/format/webp/q/80",
      "http://img.test/a.jpg!small",
      "true",
      "imageMogr2/auto-orient/gravity/north/crop/200x200",
      "imageMogr2/auto-orient/gravity/north/crop/200x200|watermark/2/text/wqkg5Zue5rqQ/fontsize/20/fill/I2ZmZmZmZg/dx/10/dy/10/dissolve/100|imageMogr2/format/jpg",
      "imageMogr2/auto-orient/gravity/north/crop/200x200|imageInfo",
      "true true",
      "not_found -197 400 string false",
      "AbortError",
    ]);
  });

  test("the receiver accepts notices that the service signed, and nothing else", async () => {
    const text = (await blocks("receiver"))
      .join("\n")
      .replace(".listen(3000)", ".listen(0, function () { console.log(this.address().port); })");
    const receiver = await startModule(text, { folder, env: { CALLBACK_SECRET: "shared" } });
    try {
      const url = `http://127.0.0.1:${(await receiver.line()).trim()}`;
      const notice = {
        appid: APPID,
        bucket: "photos",
        fileid: "图/a&b.jpg",
        magicContext: '{"user":7}',
        sha1: "0".repeat(40),
        size: 9,
        url: "http://a/b",
        userid: "0",
        timestamp: Math.floor(Date.now() / 1000),
        attempt: 1,
      };
      const send = (secret: string) => fetch(url, { method: "POST", body: callbackBody(notice, secret) });
      expect((await send("other")).status).toBe(403);
      expect(await (await send("shared")).json()).toEqual({ welcome: "图/a&b.jpg" });
      expect(await receiver.line()).toBe('stored 图/a&b.jpg 9 {"user":7}');
    } finally {
      await receiver.stop();
    }
  });
});
