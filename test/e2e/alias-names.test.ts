// Object names that end in an alias. An origin may answer every name, but no request stores an origin image under such
// a name, because it would hide the alias's variant. An upload under such a name is an ordinary object until it is
// deleted.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get, pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { changeObjects, sizeOf } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";

const BUCKET = `${APPID}/photos`;
const MADE = ["jpeg", 40, 30];

let image: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  image = await noisyJpeg(320, 240);
  // Like a site that ignores an unknown suffix, or a vendor that has styles with the same names.
  origin = await startScriptedOrigin(async ({ method, target }, connection) => {
    const whole = target.startsWith("/none/") ? response("", { status: "404 Not Found" }) : response(image);
    await connection.send(method === "HEAD" ? whole.subarray(0, whole.indexOf("\r\n\r\n") + 4) : whole);
  });
  const mirror = mirrorOf(origin.url, {
    headMiss: "store",
    rules: [
      { match: { prefix: "none/" }, fallbackKey: "fall.jpg!small" },
      { match: { host: "raw.example" }, type: "everything" },
      { match: { methods: ["HEAD"], prefix: "heads/" }, type: "everything" },
    ],
  });
  const bucket = { separators: ["!", "-"], aliases: { small: "imageView2/2/w/40" } };
  installation = await install(oneBucket(mirror, bucket, { server: { adminPort: await freePort() } }));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

const requestedTargets = () => origin.requests.map(({ target }) => target);
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
const markOf = (name: string) => Buffer.from(`http://photos.example/${name}`).toString("base64url");

/** Each kind of request that names an alias, with its expected status and code. */
const WAYS: readonly (readonly [string, (name: string) => Promise<unknown>, unknown])[] = [
  ["a GET with the alias twice", (name) => ask(`/${name}!small!small`).then(said), [400, "-106"]],
  ["a GET with the alias twice, by two separators", (name) => ask(`/${name}!small-small`).then(said), [400, "-106"]],
  ["a HEAD with the alias twice", (name) => ask(`/${name}!small!small`, "HEAD").then(said), [400, "-106"]],
  ["a GET with an instruction behind", (name) => ask(`/${name}!small?imageInfo`).then(said), [400, "-106"]],
  ["a HEAD with the alias", (name) => ask(`/${name}!small`, "HEAD").then(said), [200, undefined]],
  ["a stat", (name) => api(`/${name}%21small`).then(({ code }) => code), -197],
  ["a copy", (name) => api(`/${name}%21small/copy`, onceToken(`${name}!small`)).then(({ code }) => code), -197],
  ["a mark", (name) => ask(`/ground.jpg?watermark/1/image/${markOf(`${name}!small`)}`).then(said), [400, "-106"]],
  ["warming the key", (name) => warm(`${name}!small`), expect.stringContaining("1 unmirrored")],
  [
    "warming a URL with the alias twice",
    (name) => warm(`http://any.example/${name}!small!small`),
    expect.stringContaining("1 unmirrored"),
  ],
  ["a fallback of that name", () => ask("/none/a.jpg").then(said), [404, "-6101"]],
  ["warming a URL with the alias", (name) => warm(`http://any.example/${name}!small`), "1 fetched\n"],
];

function said({ status, headers }: { status: number; headers: Record<string, unknown> }): unknown {
  return [status, headers["x-errno"]];
}

async function warm(name: string): Promise<string> {
  return (await loadedHuiyuan(["warm", "-", "--config", installation.file], { input: `${name}\n` })).out;
}

test.each(WAYS)("%s stores nothing under the alias's name", async (what, way, answer) => {
  const name = `${WAYS.findIndex(([each]) => each === what)}.jpg`;
  expect(await way(name)).toEqual(answer);
  expect(requestedTargets().filter((target) => /small/.test(target))).toEqual([]);
  const made = await ask(`/${name}!small`);
  expect(await sizeOf(made.body)).toEqual(MADE);
  expect(requestedTargets().filter((target) => target === `/${name}`)).toHaveLength(1);
});

test("a rule for one host serves the origin's own image under an alias's name on that host only", async () => {
  const raw = () => get({ port: program.downloadPort, path: "/r.jpg!small", host: "raw.example" });
  const shown = [await raw(), await raw()];
  for (const { status, body, headers } of shown)
    expect([status, body.equals(image), headers["cache-status"]]).toEqual([200, true, "huiyuan; fwd=uri-miss"]);
  expect(await sizeOf((await ask("/r.jpg!small")).body)).toEqual(MADE);
  expect((await raw()).body.equals(image)).toBe(true);
  expect(requestedTargets().filter((target) => target === "/r.jpg!small")).toHaveLength(3);
  expect((await api("/r.jpg%21small")).code).toBe(-197);
});

test("a rule for HEAD alone stores nothing under an alias's name", async () => {
  expect((await ask("/heads/a.jpg!small", "HEAD")).status).toBe(200);
  expect(requestedTargets()).toContain("/heads/a.jpg!small");
  // An earlier response would be stored before a later one.
  const behind = async () => String((await ask("/heads/behind.jpg")).headers["cache-status"]);
  await eventually(async () => /detail=(?:memory|bucket)/.test(await behind()), "the later image is stored");
  expect(await sizeOf((await ask("/heads/a.jpg!small")).body)).toEqual(MADE);
});

test("an upload under an alias's name takes precedence, and the alias applies to it as well", async () => {
  const other = await noisyJpeg(64, 80);
  expect((await upload("u.jpg!small", other)).code).toBe(0);
  expect((await ask("/u.jpg!small")).body.equals(other)).toBe(true);
  expect(await sizeOf((await ask("/u.jpg!small!small")).body)).toEqual(["jpeg", 40, 50]);
  expect((await api("/u.jpg%21small")).data).toMatchObject({ file_fileid: "u.jpg!small", photo_width: "64" });
});

test("the name means the alias again once such an object is deleted", async () => {
  expect((await upload("d.jpg!small", await noisyJpeg(64, 80))).code).toBe(0);
  expect(await sizeOf((await ask("/d.jpg!small")).body)).toEqual(["jpeg", 64, 80]);
  expect((await remove("d.jpg!small")).code).toBe(0);
  expect(await sizeOf((await ask("/d.jpg!small")).body)).toEqual(MADE);
  expect((await api("/d.jpg%21small")).code).toBe(-197);
});

test("deleting an alias's name without an object keeps the alias, and deleting the original ends it", async () => {
  expect(await sizeOf((await ask("/e.jpg!small")).body)).toEqual(MADE);
  expect((await remove("e.jpg!small")).code).toBe(0);
  await changeObjects(program.adminPort, "delete", { bucket: BUCKET, names: ["e.jpg!small"] });
  expect(await sizeOf((await ask("/e.jpg!small")).body)).toEqual(MADE);
  await eventually(async () => (await remove("e.jpg")).code === 0, "the original is deleted");
  expect(said(await ask("/e.jpg!small"))).toEqual([404, "-6101"]);
});

test("an object stored before its alias was configured stays, and is not fetched again after a hard purge", async () => {
  const without = oneBucket(mirrorOf(origin.url), { separators: ["!"] });
  const before = await install(without);
  let server = await before.start();
  const show = async () => sizeOf((await get({ port: server.downloadPort, path: pathOf("old.jpg!small") })).body);
  try {
    expect(await show()).toEqual(["jpeg", 320, 240]);
    await server.stop();
    await before.write(oneBucket(mirrorOf(origin.url), { separators: ["!"], aliases: { small: "imageView2/2/w/40" } }));
    server = await before.start();
    expect(await show()).toEqual(["jpeg", 320, 240]);
    await changeObjects(server.adminPort, "purge", { bucket: BUCKET, names: ["old.jpg!small"], hard: true });
    expect(await show()).toEqual(MADE);
  } finally {
    await server.stop();
    await before.remove();
  }
});
