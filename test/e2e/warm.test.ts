// `huiyuan warm`: fetches each name of a list through the mirror once, within its rate, and stores it. One server for
// all tests.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

interface Settings {
  readonly server: object;
  readonly projects: readonly { readonly appid: string; readonly keys: object[]; readonly buckets: object[] }[];
}

const MISSING = response("", { status: "404 Not Found" });
let origin: ScriptedOrigin;
let installation: Installation;
let settings: Settings;
let program: Program;
let most: number;
/** The number of origin requests before the current test. */
let before: number;

beforeAll(async () => {
  const jpeg = await noisyJpeg(30, 30);
  let running = 0;
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    running += 1;
    most = Math.max(most, running);
    await connection.pause(20);
    if (target.includes("missing")) await connection.send(MISSING);
    else if (target.includes("broken")) await connection.send(response("<html>sorry</html>"));
    else await connection.send(response(target.includes("cut") ? jpeg.subarray(0, -20) : jpeg));
    running -= 1;
  });
  const domains = [
    { host: "*" },
    { host: "img.example", mirror: mirrorOf(origin.url) },
    { host: "all.example", mirror: mirrorOf(origin.url, { type: "everything" }) },
    { host: "few.example", mirror: mirrorOf(origin.url, { type: "everything", maxKeys: 1 }) },
  ];
  settings = {
    server: { adminPort: await freePort() },
    projects: [
      { appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", aliases: { small: "imageView2/2/w/9" }, domains }] },
    ],
  };
  installation = await install(settings);
  program = await installation.start();
});
afterAll(async () => {
  await program?.kill();
  await installation?.remove();
  await origin?.close();
});
beforeEach(() => {
  most = 0;
  before = origin.requests.length;
});

const command = (args: readonly string[], input = "") =>
  loadedHuiyuan([...args, "--config", installation.file], { input });
const lines = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const targets = () => origin.requests.slice(before).map(({ target }) => target);

async function list(...names: string[]): Promise<string> {
  const file = join(installation.folder, "list.txt");
  await writeFile(file, `${names.join("\n")}\n`);
  return file;
}

test("warm fetches each name once and stores it; a second run has nothing to do", async () => {
  const file = await list(
    "a.jpg",
    "http://img.example/b.jpg?imageView2/2/w/9&sign=x",
    "http://img.example/c.jpg!small",
    "http://all.example/d.jpg?v=2",
    "missing.jpg",
    "broken.jpg",
    "cut.jpg",
    "http://other.example/e.jpg",
    "../x",
  );
  const warmed = await command(["warm", file, "--json"]);
  const results = Object.fromEntries(lines(warmed.out).map(({ name, result, code }) => [name, code ?? result]));
  expect(results).toMatchObject({
    "a.jpg": "fetched",
    "http://img.example/b.jpg?imageView2/2/w/9&sign=x": "fetched",
    "http://img.example/c.jpg!small": "fetched",
    "http://all.example/d.jpg?v=2": "fetched",
    "missing.jpg": "missing",
    "broken.jpg": "origin_not_image",
    "cut.jpg": "unstored",
    "http://other.example/e.jpg": "unmirrored",
    "../x": "url_invalid",
  });
  expect(warmed.code).toBe(1);
  expect(targets().sort()).toEqual([
    "/a.jpg",
    "/b.jpg",
    "/broken.jpg",
    "/c.jpg",
    "/cut.jpg",
    "/d.jpg?v=2",
    "/missing.jpg",
  ]);
  // Images are stored behind the answer, so the first of these runs may come before the commit.
  const again = () => command(["warm", "-"], "a.jpg\nb.jpg\nc.jpg\n");
  await eventually(async () => (await again()).out === "3 present\n", "all are stored");
  const keyed = await command(["warm", "-", "--domain", "all.example"], "d.jpg?v=2\n");
  expect(keyed).toMatchObject({ code: 0, out: "1 present\n" });
  expect(targets()).toHaveLength(7);
});

test("warm respects its concurrency and rate", async () => {
  const names = Array.from({ length: 30 }, (_, index) => `many/${index}.jpg`);
  expect(await command(["warm", await list(...names), "--concurrency", "3"])).toMatchObject({ out: "30 fetched\n" });
  expect(most).toBe(3);
  const began = performance.now();
  const paced = await command(
    ["warm", "-", "--rate", "10"],
    names
      .slice(0, 10)
      .map((name) => `slow/${name}`)
      .join("\n"),
  );
  expect(paced.out).toBe("10 fetched\n");
  expect(performance.now() - began).toBeGreaterThan(900);
});

test("warm fetches a purged image again, and leaves a deleted one deleted", async () => {
  await command(["warm", await list("again.jpg", "deleted.jpg")]);
  await command(["purge", "again.jpg"]);
  await command(["delete", "deleted.jpg"]);
  const warmed = await command(["warm", await list("again.jpg", "deleted.jpg"), "--json"]);
  expect(
    lines(warmed.out)
      .slice(0, 2)
      .map(({ name, result }) => `${name} ${result}`)
      .sort(),
  ).toEqual([expect.stringMatching(/^again\.jpg (fetched|confirmed)$/), "deleted.jpg deleted"]);
  expect(targets().filter((target) => target === "/again.jpg")).toHaveLength(2);
  expect((await get({ port: program.downloadPort, path: "/deleted.jpg", host: "img.example" })).status).toBe(404);
});

test("warm does not report an image as fetched if the bucket does not store it", async () => {
  const file = await list("http://few.example/few.jpg?1", "http://few.example/few.jpg?2");
  const { out } = await command(["warm", file, "--json", "--concurrency", "1"]);
  expect(lines(out).map(({ result }) => result)).toEqual(["fetched", "unstored", undefined]);
});

test("warm reports a list that cannot be read, and an unknown domain", async () => {
  expect(await command(["warm", join(installation.folder, "none.txt")])).toMatchObject({
    code: 1,
    err: expect.stringContaining("Cannot read the list"),
  });
  const wrong = await command(["warm", "-", "--domain", "nowhere.example"], "a.jpg\n");
  expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining("img.example") });
  expect(targets()).toEqual([]);
});

test("warm stores images when no server runs", async () => {
  await program.stop();
  expect(await command(["warm", await list("own/a.jpg", "own/b.jpg")])).toMatchObject({ code: 0, out: "2 fetched\n" });
  const { out } = await command(["ls", "own/", "--json"]);
  expect(lines(out).map(({ key }) => key)).toEqual(["own/a.jpg", "own/b.jpg"]);
});

test("warm refuses a domain that belongs to another bucket", async () => {
  await program.stop();
  await installation.write({
    ...settings,
    projects: settings.projects.map((project) => ({ ...project, buckets: [...project.buckets, { name: "other" }] })),
  });
  const wrong = await command(["warm", "-", "--domain", "img.example", "--bucket", "other"], "a.jpg\n");
  expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining("belongs to the bucket 10001234/photos") });
  expect(targets()).toEqual([]);
});
