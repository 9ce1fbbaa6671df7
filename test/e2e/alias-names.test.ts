// Names that end in an alias: what somebody has uploaded under such a name is an object like any other, until it is deleted.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { changeObjects, sizeOf } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";

const BUCKET = `${APPID}/photos`;
const MADE = ["jpeg", 40, 30];

let image: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  image = await noisyJpeg(320, 240);
  // As a site that overlooks what it does not know, or a vendor with styles of the same names.
  origin = await startScriptedOrigin(async ({ method, target }, connection) => {
    const whole = target.startsWith("/none/") ? response("", { status: "404 Not Found" }) : response(image);
    await connection.send(method === "HEAD" ? whole.subarray(0, whole.indexOf("\r\n\r\n") + 4) : whole);
  });
  const mirror = mirrorOf(origin.url);
  const bucket = { separators: ["!", "-"], aliases: { small: "imageView2/2/w/40" } };
  installation = await install(oneBucket(mirror, bucket));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

const ask = (path: string, method: "GET" | "HEAD" = "GET") => get({ port: program.downloadPort, path, method });
const api = (path: string, sign?: string) =>
  callApi({ port: program.downloadPort, path, sign, method: sign === undefined ? "GET" : "POST" });
const remove = (fileid: string) => api(`/${encodeURIComponent(fileid)}/del`, onceToken(fileid));
const upload = (fileid: string, body: Buffer) =>
  callApi({
    port: program.downloadPort,
    path: `/${encodeURIComponent(fileid)}`,
    form: fileForm(body),
    sign: uploadToken(fileid),
  });
function said({ status, headers }: { status: number; headers: Record<string, unknown> }): unknown {
  return [status, headers["x-errno"]];
}

test("what was uploaded under an alias's name comes first, and the alias is made of it as well", async () => {
  const other = await noisyJpeg(64, 80);
  expect((await upload("u.jpg!small", other)).code).toBe(0);
  expect((await ask("/u.jpg!small")).body.equals(other)).toBe(true);
  expect(await sizeOf((await ask("/u.jpg!small!small")).body)).toEqual(["jpeg", 40, 50]);
  expect((await api("/u.jpg%21small")).data).toMatchObject({ file_fileid: "u.jpg!small", photo_width: "64" });
});

test("once such an object is deleted, its name means the alias again", async () => {
  expect((await upload("d.jpg!small", await noisyJpeg(64, 80))).code).toBe(0);
  expect(await sizeOf((await ask("/d.jpg!small")).body)).toEqual(["jpeg", 64, 80]);
  expect((await remove("d.jpg!small")).code).toBe(0);
  expect(await sizeOf((await ask("/d.jpg!small")).body)).toEqual(MADE);
  expect((await api("/d.jpg%21small")).code).toBe(-197);
});

test("deleting an alias's name of which there is no object leaves the alias as it is, and the original's own delete ends it", async () => {
  expect(await sizeOf((await ask("/e.jpg!small")).body)).toEqual(MADE);
  expect((await remove("e.jpg!small")).code).toBe(0);
  await changeObjects(program.adminPort, "delete", { bucket: BUCKET, names: ["e.jpg!small"] });
  expect(await sizeOf((await ask("/e.jpg!small")).body)).toEqual(MADE);
  await eventually(async () => (await remove("e.jpg")).code === 0, "the original is deleted");
  expect(said(await ask("/e.jpg!small"))).toEqual([404, "-6101"]);
});
