// An upload whose bytes were damaged on the disk, while the origin has another image under the same name. The upload is
// neither missing nor replaced, operators see the damage, and a repeated upload repairs it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";
import { blobWith, damageBlob } from "../helpers/stored-blobs.ts";

let origin: ScriptedOrigin;
let originsImage: Buffer;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  originsImage = await noisyJpeg(320, 200);
  origin = await startScriptedOrigin((_request, connection) => connection.send(response(originsImage)));
  const server = { adminPort: await freePort() };
  installation = await install(oneBucket(mirrorOf(origin.url), {}, { server }));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

const upload = (fileid: string, image: Buffer) =>
  callApi({ port: program.downloadPort, path: `/${fileid}`, form: fileForm(image), sign: uploadToken(fileid) });
const download = (fileid: string, more: object = {}) =>
  get({ port: program.downloadPort, path: `/${fileid}`, ...more });
const command = (...args: string[]) => loadedHuiyuan([...args, "--config", installation.file]);
const metric = async (name: string) => {
  const { body } = await get({ port: program.adminPort, path: "/metrics", host: "127.0.0.1" });
  return new RegExp(`^${name} (\\d+)$`, "m").exec(body.toString())?.[1];
};
const requestCount = () => origin.requests.length;

/** One image is stored in a pack, the other one in a file of its own. */
test.each([
  { name: "small.jpg", width: 300, height: 200 },
  { name: "large.jpg", width: 1_600, height: 1_200 },
])("$name gets 500 with -101 until the same bytes are uploaded again", async ({ name, width, height }) => {
  const image = await noisyJpeg(width, height);
  expect((await upload(name, image)).code).toBe(0);
  damageBlob(blobWith(installation.data, image), 5_000);

  const seen: unknown[] = [];
  for (const more of [
    {},
    { method: "HEAD" },
    { headers: { range: "bytes=0-9" } },
    {},
    { path: `/${name}?imageInfo` },
  ]) {
    const answer = await download(name, more);
    seen.push([answer.status, answer.headers["x-errno"]]);
  }
  expect(seen).toEqual(Array.from({ length: 5 }, () => [500, "-101"]));
  expect(requestCount()).toBe(0);

  for (const query of ["", "?imageView2/2/w/50"]) {
    const explained = await command("explain", `http://any.example/${name}${query}`, "--json");
    expect([explained.code, JSON.parse(explained.out).answer]).toMatchObject([1, { status: 500, errNo: -101 }]);
    expect((await download(name + query)).status).toBe(500);
  }
  const stat = await command("stat", name);
  expect([stat.code, stat.out]).toEqual([0, expect.stringMatching(/^state +stored, damaged/m)]);
  expect((await command("ls", name)).out).toMatch(/ damaged +\S+\n$/);
  expect(await metric("huiyuan_damaged_objects")).toBe("1");
  const ready = await get({ port: program.adminPort, path: "/readyz", host: "127.0.0.1" });
  expect([ready.status, ready.body.toString()]).toEqual([200, expect.stringContaining("damaged")]);
  const lines = program.output.split("\n").filter((line) => line.includes(name) && line.includes("is damaged"));
  expect(lines).toHaveLength(1);

  expect((await callApi({ port: program.downloadPort, path: `/${name}` })).code).toBe(-197);
  expect((await upload(name, originsImage)).code).toBe(-1886);
  expect((await upload(name, image)).code).toBe(0);
  const mended = await download(name);
  expect([mended.status, mended.body.equals(image), await metric("huiyuan_damaged_objects")]).toEqual([200, true, "0"]);
  expect(requestCount()).toBe(0);
});

test("a damaged upload can be deleted, and its name used again", async () => {
  const image = await noisyJpeg(310, 200);
  await upload("gone.jpg", image);
  damageBlob(blobWith(installation.data, image), 5_000);
  expect((await download("gone.jpg")).status).toBe(500);
  const sign = onceToken("gone.jpg");
  const deleted = await callApi({ port: program.downloadPort, path: "/gone.jpg/del", method: "POST", sign });
  expect([deleted.code, (await download("gone.jpg")).status]).toEqual([0, 404]);
  expect((await upload("gone.jpg", originsImage)).code).toBe(0);
  expect((await download("gone.jpg")).body.equals(originsImage)).toBe(true);
});
