// ls, stat, delete, undelete and purge as an operator runs them: against a running server, and on the data folder when
// no server runs.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const BUCKET = "10001234/photos";
let jpeg: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program | undefined;

beforeAll(async () => {
  jpeg = await noisyJpeg(20, 20);
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    const isMissing = target.includes("missing");
    await connection.send(isMissing ? response("", { status: "404 Not Found" }) : response(jpeg));
  });
  const server = { adminPort: await freePort(), adminToken: "env:TOKEN_OF_THE_TEST" };
  installation = await install(oneBucket(mirrorOf(origin.url), { aliases: { small: "imageView2/2/w/9" } }, { server }));
  program = await installation.start({ env: TOKEN });
});
afterAll(async () => {
  await program?.kill();
  await origin?.close();
  await installation?.remove();
});

const TOKEN = { TOKEN_OF_THE_TEST: "s3cret" };
const command = (...args: string[]) => loadedHuiyuan([...args, "--config", installation.file], { env: TOKEN });
const jsonLines = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

async function download(key: string) {
  const answer = await get({ port: program?.downloadPort ?? 0, path: `/${key}` });
  return { status: answer.status, said: String(answer.headers["cache-status"]) };
}

/** Downloads each key and waits until the bucket has stored it. */
async function store(...keys: string[]): Promise<void> {
  for (const key of keys) {
    expect((await download(key)).status).toBe(200);
    await eventually(async () => /detail=(memory|bucket)/.test((await download(key)).said), `${key} is stored`);
  }
}

const requestsFor = (key: string) => origin.requests.filter(({ target }) => target === `/${key}`).length;

test("ls lists by prefix and by page, and stat describes one object", async () => {
  await store("a/1.jpg", "a/2.jpg", "b/1.jpg");
  const listed = await command("ls", "a/", "--json");
  expect(listed).toMatchObject({ code: 0, err: "" });
  expect(jsonLines(listed.out).map(({ key, size }) => [key, size])).toEqual([
    ["a/1.jpg", jpeg.byteLength],
    ["a/2.jpg", jpeg.byteLength],
  ]);
  const second = await command("ls", "--after", "a/1.jpg", "--limit", "1");
  expect(second.out).toMatch(new RegExp(`^ *${jpeg.byteLength}  jpeg  \\S+ \\S+  mirror     a/2\\.jpg\\n$`));
  const stat = await command("stat", "http://img.example.com/a/1.jpg?sign=secret", "--json");
  expect(stat.code).toBe(0);
  expect(JSON.parse(stat.out)).toMatchObject({
    bucket: BUCKET,
    key: "a/1.jpg",
    state: "object",
    object: {
      format: "jpeg",
      width: 20,
      height: 20,
      provenance: { via: "mirror", originUrl: `${origin.url}/a/1.jpg` },
    },
  });
  expect(await command("stat", "nowhere.jpg")).toMatchObject({ code: 1, out: expect.stringContaining("not stored") });
});

test("delete keeps an object away until undelete", async () => {
  await store("cat.jpg");
  const before = requestsFor("cat.jpg");
  const deleted = await command("delete", "http://any.example/cat.jpg", "never.jpg", "--reason", "complaint 4711");
  expect(deleted).toMatchObject({ code: 0, out: expect.stringMatching(/^deleted {4}cat\.jpg$/m) });
  expect(await download("cat.jpg")).toMatchObject({ status: 404 });
  expect(await download("never.jpg")).toMatchObject({ status: 404 });
  expect([requestsFor("cat.jpg"), requestsFor("never.jpg")]).toEqual([before, 0]);
  const stat = await command("stat", "cat.jpg", "--json");
  expect(JSON.parse(stat.out)).toMatchObject({ state: "tombstone", tombstone: { reason: "complaint 4711" } });
  expect(program?.output).toMatch(/"operation":"delete".*"changed":1,"unchanged":1,"failed":0/);
  expect(await command("undelete", "cat.jpg", "never.jpg")).toMatchObject({ code: 0 });
  expect(await download("cat.jpg")).toMatchObject({ status: 200 });
});

test("a key with a leading slash is refused with the key that is meant, unless it is stored; its URL names it", async () => {
  await store("dunes.jpg");
  const says = 'no such key "/dunes.jpg": a key has no leading slash, did you mean "dunes.jpg"?\n';
  for (const operation of ["delete", "undelete", "purge"]) {
    const { code, out } = await command(operation, "/dunes.jpg");
    expect([code, out]).toEqual([1, expect.stringContaining(`failed     /dunes.jpg: ${says}`)]);
  }
  expect(await command("stat", "/dunes.jpg")).toEqual({ code: 1, out: "", err: `huiyuan: ${says}` });
  const list = join(installation.folder, "slash.txt");
  await writeFile(list, "/dunes.jpg\n");
  expect(await command("warm", list)).toMatchObject({ code: 1, out: expect.stringContaining(says) });
  expect(await command("delete", "http://any.example//dunes.jpg")).toMatchObject({ code: 0 });
  expect([(await download("dunes.jpg")).status, (await download("/dunes.jpg")).status]).toEqual([200, 404]);
  // Now that the bucket has this key, it is the key that is meant.
  expect(await command("undelete", "/dunes.jpg")).toMatchObject({ code: 0, out: expect.stringContaining("1 undel") });
});

test("a delete with --expires ends by itself", async () => {
  expect(await command("delete", "brief.jpg", "--expires", "1ms")).toMatchObject({ code: 0 });
  await eventually(async () => (await download("brief.jpg")).status === 200, "the tombstone has expired");
});

test("a delete by prefix needs --yes", async () => {
  await store("wide/a/1.jpg", "wide/a/2.jpg", "wide/b/1.jpg");
  expect(await command("delete", "--prefix", "wide/a/")).toMatchObject({
    code: 2,
    err: expect.stringContaining("--yes"),
  });
  const deleted = await command("delete", "--prefix", "wide/a/", "--yes", "--json");
  expect(jsonLines(deleted.out).at(-1)).toEqual({ end: { changed: 2, unchanged: 0, failed: 0 } });
  expect((await command("ls", "wide/")).out).toMatch(/^[^\n]* wide\/b\/1\.jpg\n$/);
});

test("purge makes the next download fetch again, reads names from a list, and maps an alias to its original", async () => {
  await store("purged/1.jpg", "purged/2.jpg");
  const counts = [requestsFor("purged/1.jpg"), requestsFor("purged/2.jpg")];
  const list = join(installation.folder, "list.txt");
  await writeFile(list, "purged/1.jpg\r\n\nhttp://img.example/purged/2.jpg!small\n../etc/passwd\n");
  const purged = await command("purge", "--list", list);
  expect(purged.code).toBe(1);
  expect(purged.out).toMatch(/^failed {5}\.\.\/etc\/passwd: .*'\.\.' segment/m);
  expect(purged.out).toMatch(/^2 purged, 1 failed$/m);
  expect(JSON.parse((await command("stat", "purged/1.jpg", "--json")).out)).toMatchObject({ isStale: true });
  const hard = await command("purge", "--hard", "--prefix", "purged/", "--yes");
  expect(hard).toMatchObject({ code: 0, out: expect.stringMatching(/^2 removed$/m) });
  await store("purged/1.jpg", "purged/2.jpg");
  expect(
    [requestsFor("purged/1.jpg"), requestsFor("purged/2.jpg")].map((count, index) => count > (counts[index] ?? 0)),
  ).toEqual([true, true]);
});

test("the commands work on the data folder when no server runs", async () => {
  await store("own/1.jpg", "own/2.jpg");
  await program?.stop();
  const listed = await command("ls", "own/");
  expect(listed).toMatchObject({ code: 0, err: expect.stringContaining("no server answers") });
  expect(listed.out.match(/own\/\d\.jpg/g)).toEqual(["own/1.jpg", "own/2.jpg"]);
  expect(await command("delete", "own/1.jpg")).toMatchObject({ code: 0 });
  expect(await command("purge", "--hard", "own/2.jpg")).toMatchObject({ code: 0 });
  expect((await command("ls", "own/")).out).toBe("");
  expect(await command("stat", "own/1.jpg")).toMatchObject({ code: 1, out: expect.stringContaining("deleted") });
  program = await installation.start({ env: TOKEN });
  expect(await download("own/1.jpg")).toMatchObject({ status: 404 });
  expect(await command("undelete", "own/1.jpg")).toMatchObject({ code: 0, err: "" });
});

test("nodes says that a server without coordination is alone", async () => {
  const err = "this server is alone: its settings have no coordination\n";
  expect(await command("nodes")).toMatchObject({ code: 0, out: "", err });
});

test("each error message names the obstacle and its remedy", async () => {
  const port = program?.adminPort;
  const admin = ["--admin", `http://127.0.0.1:${port}`];
  expect(await loadedHuiyuan(["ls", ...admin])).toMatchObject({
    code: 1,
    err: expect.stringContaining("HUIYUAN_ADMIN_TOKEN"),
  });
  expect(await loadedHuiyuan(["ls", ...admin], { env: { HUIYUAN_ADMIN_TOKEN: "s3cret" } })).toMatchObject({ code: 0 });
  const nobody = await loadedHuiyuan(["ls", "--admin", `http://127.0.0.1:${await freePort()}`]);
  expect(nobody).toMatchObject({ code: 1, err: expect.stringContaining("is it running?") });
  const notOurs = await loadedHuiyuan(["ls", "--admin", origin.url]);
  expect(notOurs).toMatchObject({ code: 1, err: expect.stringContaining("another program listens there") });
  expect(await command("ls", "--bucket", "other")).toMatchObject({ code: 1, err: expect.stringContaining(BUCKET) });
  expect(await command("delete")).toMatchObject({ code: 2 });
  expect(await command("ls", "--limit", "0")).toMatchObject({ code: 2 });
  await installation.write({ ...JSON.parse(JSON.stringify(oneBucket(undefined))), server: { adminPort: 0 } });
  expect(await command("ls")).toMatchObject({ code: 1, err: expect.stringContaining("--admin URL") });
});
