// An object is not treated as missing while S3 cannot be reached: no other object is changed or served in its place.
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { changeObjects, sizeOf } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { type ScriptedS3, startScriptedS3 } from "../helpers/scripted-s3.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, oneBucket } from "../helpers/settings.ts";

const BUCKET = `${APPID}/photos`;

let s3: ScriptedS3;
let installations: Installation[];
let uploader: Program;
/** Another machine, without local copies. */
let fresh: Program;
let jpeg: Buffer;

beforeAll(async () => {
  s3 = await startScriptedS3();
  const { url: endpoint, region, accessKeyId, secretAccessKey } = s3;
  const place = { endpoint, region, bucket: "pictures", accessKeyId, secretAccessKey, pathStyle: true };
  const bucket = { separators: ["!"], aliases: { small: "imageView2/2/w/40" } };
  const settings = async () =>
    oneBucket(undefined, bucket, {
      store: { type: "s3", ...place, allowPrivate: true },
      server: { adminPort: await freePort() },
    });
  installations = [await install(await settings()), await install(await settings())];
  [uploader, fresh] = (await Promise.all(installations.map((each) => each.start()))) as [Program, Program];
  jpeg = await noisyJpeg(320, 240);
});
beforeEach(showAll);
afterAll(async () => {
  await uploader?.kill();
  await fresh?.kill();
  await s3?.close();
  for (const each of installations ?? []) await each.remove();
});

async function upload(fileid: string, image = jpeg): Promise<void> {
  const call = { path: `/${encodeURIComponent(fileid)}`, form: fileForm(image), sign: uploadToken(fileid) };
  expect((await callApi({ port: uploader.downloadPort, ...call })).code).toBe(0);
}

const remove = (fileid: string) =>
  callApi({ port: fresh.downloadPort, path: `/${fileid}/del`, method: "POST", sign: onceToken(fileid) });

async function ask(path: string) {
  const { status, headers, body } = await get({ port: fresh.downloadPort, path });
  return { body, told: [status, headers["x-errno"] ?? headers["cache-control"]] };
}

/** Resolves once the program sends requests to S3 again, which may have counted as down. */
async function showAll(): Promise<void> {
  s3.failure = () => undefined;
  await eventually(async () => (await ask("/never.jpg")).told[0] === 404, "S3 is asked again");
}

/** S3 does not answer look-ups of the name. */
function hide(key: string): void {
  s3.failure = (method, name) =>
    method === "HEAD" && name === `${BUCKET}/${key}` ? { status: 500, code: "InternalError" } : undefined;
}

test("a delete fails while S3 is unsure, and succeeds afterwards", async () => {
  await upload("d.jpg");
  hide("d.jpg");
  expect((await remove("d.jpg")).code).toBe(-190);
  await showAll();
  expect((await remove("d.jpg")).code).toBe(0);
  expect((await ask("/d.jpg")).told).toEqual([404, "-6101"]);
  expect([(await remove("d.jpg")).code, (await remove("never.jpg")).code]).toEqual([-197, -197]);
});

test("a change of an object whose name ends in an alias does not affect the original instead", async () => {
  await upload("o.jpg");
  await upload("o.jpg!small");
  const names = ["http://any.example/o.jpg!small"];
  hide("o.jpg!small");
  for (const change of ["delete", "purge", "undelete"] as const)
    await expect(changeObjects(fresh.adminPort, change, { bucket: BUCKET, names })).rejects.toThrow("store_failed");
  await showAll();
  expect((await ask("/o.jpg")).told).toEqual([200, "public, max-age=86400"]);
  await changeObjects(fresh.adminPort, "delete", { bucket: BUCKET, names });
  expect(await sizeOf((await ask("/o.jpg!small")).body)).toEqual(["jpeg", 40, 30]);
});

test("an alias's variant may be cached for a minute at most while an object of that name may exist", async () => {
  const named = await noisyJpeg(64, 80);
  await upload("a.jpg");
  await upload("a.jpg!small", named);
  expect((await ask("/a.jpg")).told[0]).toBe(200);
  hide("a.jpg!small");
  for (let time = 0; time < 2; time += 1) {
    const { told, body } = await ask("/a.jpg!small");
    expect([...told, await sizeOf(body)]).toEqual([200, "public, max-age=60", ["jpeg", 40, 30]]);
  }
  await showAll();
  expect((await ask("/a.jpg!small")).body.equals(named)).toBe(true);
});

test("an alias's name does not get 404 because the original is missing", async () => {
  hide("none.jpg!small");
  expect((await ask("/none.jpg!small")).told).toEqual([500, "-101"]);
  expect((await ask("/none.jpg!small?imageView2/2/w/9")).told).toEqual([500, "-101"]);
  await upload("style.jpg");
  await showAll();
  hide("style.jpg!other");
  expect((await ask("/style.jpg!other")).told).toEqual([500, "-101"]);
});

test("a watermark that may exist is not reported as a fault of the instruction", async () => {
  await upload("ground.jpg");
  await upload("m.jpg", await noisyJpeg(40, 30));
  const url = Buffer.from("http://any.example/m.jpg").toString("base64url");
  const path = `/ground.jpg?watermark/1/image/${url}`;
  hide("m.jpg");
  expect((await ask(path)).told).toEqual([500, "-101"]);
  await showAll();
  expect((await ask(path)).told[0]).toBe(200);
});
