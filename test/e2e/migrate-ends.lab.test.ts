// `huiyuan migrate` with the built program: the lines and exit codes of the old tool, a real terminal, the cut-over
// pass over the REST API, a store on a real Ceph RGW as the target, and the runs that must leave no trace.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openSqlite } from "../../src/core/sqlite.ts";
import { CEPH_START_MS, sharedRgw } from "../helpers/ceph.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { eventually, type Installation, install, PROGRAM, within } from "../helpers/program.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { response, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort, needs } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

/** On a busy machine each start of the program takes seconds. */
const SLOW = { timeout: 300_000 };
const HOST = "img.example.com";
let base: Buffer;
let home: string;
let photos: string;
let port: number;
let installation: Installation;

beforeAll(async () => {
  base = await noisyJpeg(24, 24);
});
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "huiyuan-ends-"));
  photos = join(home, "photos");
  await mkdir(photos);
  port = await freePort();
});
afterEach(async () => {
  await installation.remove();
  await rm(home, { recursive: true, force: true, maxRetries: 3 });
});

/** A JPEG with bytes of its own. */
const jpegOf = (text: number | string) => Buffer.concat([base, Buffer.from(`number ${text}`)]);
const put = (name: string, bytes = jpegOf(name)) => writeFile(join(photos, name), bytes);

async function installWith(more: object = {}, mirror?: object): Promise<void> {
  const domains = [{ host: HOST, ...(mirror && { mirror }) }, { host: "*" }];
  const projects = [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains }] }];
  installation = await install({ server: { port, adminPort: await freePort() }, projects, ...more });
}

async function configure(more: Readonly<Record<string, string | number>> = {}): Promise<void> {
  const options = {
    ...{ "migrate.type": "Local", "local.image_root_path": photos, "appinfo.appid": APPID, "appinfo.bucket": "photos" },
    ...{ "appinfo.secretID": KEYS[0].secretId, "appinfo.secretKey": KEYS[0].secretKey },
    ...{ "appinfo.endpoint": `http://127.0.0.1:${port}`, retries: 0, ...more },
  };
  await writeFile(join(home, "config.yaml"), JSON.stringify(options));
}

const argumentsOf = (command: string, ...more: string[]) => [
  ...["migrate", command, "--config", join(home, "config.yaml"), "--job", join(home, "job"), ...more],
];
const migrate = (command: string, ...more: string[]) => loadedHuiyuan(argumentsOf(command, ...more));
const download = (name: string) => get({ port, path: `/${name}` });

/** Runs a command with its outputs on a terminal. */
async function onTerminal(args: readonly string[]): Promise<string> {
  const line = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`).join(" ");
  const { NO_COLOR: _, ...env } = process.env;
  const child = spawn("script", ["-qec", line, "/dev/null"], { env, stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  await within(once(child, "close"), 120_000, () => `${args.join(" ")} did not end:\n${output}`);
  return output;
}

test("on a terminal start and stat show a bar, and stat ends with the run and failures by cause", {
  ...SLOW,
  ...needs("script"),
}, async () => {
  await installWith();
  for (let index = 0; index < 60; index += 1) await put(`${index}.jpg`);
  await put("broken.jpg", Buffer.from("<html>no image</html>"));
  await configure({ "limit.requests.per.second": 8 });
  const running = onTerminal(argumentsOf("start", "--settings", installation.file));
  await eventually(() => existsSync(join(home, "job/pid")), "it runs", 60_000);
  const [started, stat] = await Promise.all([running, onTerminal(argumentsOf("stat"))]);
  // Objects, bytes, rate, time left.
  const bar = /\[#+\.+\] \d+\/61, \d[\d.]* \w+, \d+\/s, \d+ s left, failed [01]/;
  expect(started).toMatch(bar);
  expect(started).toContain("failed, successful / submitted: 1, 60 / 61");
  expect(stat).toMatch(bar);
  expect(stat).toMatch(/failed, successful \/ submitted: 1, 60 \/ 61\r\n {2}1 {2}origin_not_image\r\n$/);
});

test("over the REST API start -f copies new objects, and never replaces what has changed", SLOW, async () => {
  await installWith();
  for (const name of ["same.jpg", "changed.jpg"]) await put(name);
  await configure();
  const program = await installation.start();
  expect((await migrate("start")).code).toBe(0);
  await put("changed.jpg", jpegOf("changed since"));
  await put("new.jpg");
  const dry = await migrate("start", "--dry-run");
  expect(dry).toMatchObject({ code: 0, err: "" });
  expect(dry.out).toMatch(/^Would copy: 1 \(.+\)\nAre at the target: 2\n/);
  await configure({ "appinfo.endpoint": `http://127.0.0.1:${await freePort()}` });
  const away = await migrate("start", "--dry-run");
  expect([away.code, away.out]).toEqual([1, ""]);
  expect(away.err).toContain("ECONNREFUSED");
  await configure();
  const again = await migrate("start", "-f");
  expect(again.code).toBe(1);
  expect(again.out).toContain("New submitted: 1\nChanged: 1\nSubmit failed: 1\n");
  expect(again.out).toContain("failed, successful / submitted: 1, 2 / 3\n");
  const failure = "changed.jpg|message: 图片fileid已经存在, code: -1886, httpcode: 400\n";
  expect((await migrate("view-failed")).out).toBe(failure);
  expect((await download("new.jpg")).body.equals(jpegOf("new.jpg"))).toBe(true);
  expect((await download("changed.jpg")).body.equals(jpegOf("changed.jpg"))).toBe(true);
  await program.stop();
});

test("an S3 store of the settings is the target: all objects are in S3", { ...SLOW, ...needs("ceph") }, async () => {
  const rgw = await sharedRgw();
  const plain = plainS3(rgw);
  const bucket = bucketName();
  await plain.makeBucket(bucket);
  const { url: endpoint, region, accessKeyId, secretAccessKey } = rgw;
  const place = { endpoint, region, accessKeyId, secretAccessKey, pathStyle: true, allowPrivate: true };
  await installWith({ store: { type: "s3", bucket, ...place } });
  const names = Array.from({ length: 40 }, (_, index) => `${index}.jpg`);
  for (const name of names) await put(name);
  await configure();
  const run = await migrate("start", "--settings", installation.file);
  expect(run.code).toBe(0);
  expect(run.out).toContain("failed, successful / submitted: 0, 40 / 40\n");
  const stored = async () => (await plain.list(bucket)).filter((name) => name.endsWith(".jpg"));
  const waiting = Number(/^(\d+) objects wait for S3/m.exec(run.out)?.[1] ?? 0);
  expect(waiting + (await stored()).length).toBeGreaterThanOrEqual(names.length);
  const verified = await migrate("verify", "--settings", installation.file, "--all", "--json");
  expect(JSON.parse(verified.out)).toMatchObject({ objects: 40, equal: 40, hashed: 40 });
  const program = await installation.start();
  await eventually(async () => (await stored()).length === names.length, "all are in S3", CEPH_START_MS);
  for (const name of await stored()) {
    const original = jpegOf(name.split("/").at(-1) ?? "");
    expect((await plain.get(bucket, name))?.body.equals(original), name).toBe(true);
  }
  for (const name of names) expect((await download(name)).body.equals(jpegOf(name)), name).toBe(true);
  await program.stop();
});

test("a dry run with --settings creates neither a data folder nor a job folder", SLOW, async () => {
  await installWith();
  await put("a.jpg");
  await configure();
  const { code, out } = await migrate("start", "--settings", installation.file, "--dry-run");
  expect(code).toBe(0);
  expect(out).toContain("Would copy: 1 (");
  expect(await readdir(installation.folder)).toEqual(["huiyuan.yaml"]);
  expect((await readdir(home)).sort()).toEqual(["config.yaml", "photos"]);
});

test("without a config file and --job the journal of --from-origin is in ./huiyuan-migrate", SLOW, async () => {
  const origin = await startScriptedOrigin(async (_request, connection) => connection.send(response(jpegOf("site"))));
  await installWith({}, mirrorOf(origin.url));
  const args = ["migrate", "start", "--settings", installation.file, "--from-origin", HOST, "--list", "-"];
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: home, stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end("a.jpg\n");
  await once(child, "close");
  expect(child.exitCode).toBe(0);
  expect((await readdir(home)).sort()).toEqual(["huiyuan-migrate", "photos"]);
  await origin.close();
});

test("start, stat and view-failed print the lines of the old tool, and JSON with --json", SLOW, async () => {
  await installWith();
  await configure({ nonsense: 1 });
  const settings = ["--settings", installation.file];
  const empty = await migrate("start", ...settings);
  expect([empty.code, empty.err]).toEqual([0, "Warning: Option nonsense is not known and has no effect. \n"]);
  const scanned = "submit.sh is running... \nNew submitted: 0\nSubmit failed: 0\nIgnored: 0\nNothing to upload\n";
  expect(empty.out.startsWith(scanned), empty.out).toBe(true);
  await put("a.jpg");
  await put("b.jpg", Buffer.from("<html>no image</html>"));
  // Nothing was submitted, so this start scans again.
  const run = await migrate("start", ...settings);
  expect(run.code).toBe(1);
  for (const line of ["submit.sh is running... ", "New submitted: 2", "Submit failed: 0", "Start uploading..."])
    expect(run.out.split("\n")).toContain(line);
  expect((await migrate("start", ...settings, "--lenient")).code).toBe(0);
  expect(JSON.parse((await migrate("stat", "--json")).out)).toMatchObject({
    ...{ submitted: 2, successful: 1, failed: 1 },
    causes: [{ cause: "origin_not_image", count: 1 }],
  });
  const [failed = ""] = (await migrate("view-failed", "--json")).out.split("\n");
  expect(JSON.parse(failed)).toEqual({ fileid: "b.jpg", log: expect.stringContaining("origin_not_image") });
  // Counters that do not agree with the rows.
  const database = openSqlite(join(home, "job/jobs.db"));
  database.exec("UPDATE state SET json = json_set(json, '$.counters.submitted', 9)");
  database.close();
  const inconsistent =
    "It seems that jobs database is in inconsistent state. \nPlease run clean.sh to delete all jobs first. \n";
  expect(await migrate("start", ...settings)).toMatchObject({ code: 1, out: inconsistent });
  expect(await migrate("clean")).toEqual({ code: 0, out: "", err: "" });
  expect((await migrate("start", ...settings)).out).toContain("failed, successful / submitted: 1, 1 / 2\n");
});

test("start stops without a stack trace when the reader of its output has gone", SLOW, async () => {
  await installWith();
  for (let index = 0; index < 60; index += 1) await put(`${index}.jpg`);
  await configure({ "limit.requests.per.second": 5 });
  const child = spawn(process.execPath, [PROGRAM, ...argumentsOf("start", "--settings", installation.file)]);
  child.stdout.destroy();
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  await within(once(child, "close"), 60_000, () => "it did not end");
  expect([child.exitCode, errors]).toEqual([1, ""]);
  const { successful } = JSON.parse((await migrate("stat", "--json")).out);
  expect(successful).toBeLessThan(60);
});

test("a scan that fails ends the run with 1, and the next start scans again", SLOW, async () => {
  const origin = await startScriptedOrigin(async ({ target }, connection) =>
    connection.send(target.includes("sitemap") ? response("", { status: "404 Not Found" }) : response(jpegOf("site"))),
  );
  await installWith({}, mirrorOf(origin.url));
  await configure();
  const from = ["--settings", installation.file, "--from-origin", HOST, "--allow-private"];
  const run = await migrate("start", ...from, "--sitemap", `${origin.url}/sitemap.xml`);
  expect(run.code).toBe(1);
  expect(run.out).toContain("submit.sh is running... \nsubmit.sh failed. \n");
  await origin.close();
});

test("stop lets objects in flight finish, stop -f gives them up; with --lenient both end with 0", SLOW, async () => {
  await installWith();
  for (let index = 0; index < 60; index += 1) await put(`${index}.jpg`);
  await configure({ "limit.requests.per.second": 5 });
  const stopped = async (more: readonly string[], flags: readonly string[], kill: string) => {
    const args = argumentsOf("start", "--settings", installation.file, ...more);
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    const ended = once(child, "close");
    await eventually(() => output.includes("Start uploading"), "it runs", 60_000);
    expect(await migrate("stop", ...flags)).toEqual({ code: 0, out: `kill ${kill} ${child.pid}\n`, err: "" });
    await within(ended, 60_000, () => `it did not end:\n${output}`);
    expect(output).toMatch(/not tried: [1-9]/);
    expect(existsSync(join(home, "job/pid"))).toBe(false);
    return child.exitCode;
  };
  expect(await stopped([], [], "-2")).toBe(1);
  expect(await stopped([], ["-f"], "-15")).toBe(1);
  expect(await stopped(["--lenient"], [], "-2")).toBe(0);
  expect(await migrate("stop")).toEqual({ code: 1, out: "Tool is not running. \n", err: "" });
});

test("faults of settings and config end with 2, with --lenient with 1, and name the option and the alias", async () => {
  await installWith();
  await configure();
  const none = ["--settings", join(home, "none.yaml")];
  const fault = expect.stringMatching(
    /^Error: \S+none\.yaml {2}no such settings file; name yours with --settings FILE/,
  );
  expect(await migrate("start", ...none)).toEqual({ code: 2, out: "", err: fault });
  expect(await migrate("start", ...none, "--lenient")).toEqual({ code: 1, out: "", err: fault });
  await writeFile(join(home, "config.yaml"), "migrate.type: &type Local\nconcurrency: *type\n");
  const alias = { code: 2, out: "", err: "Error: Write the value in place of the alias *type. \n" };
  expect(await migrate("start")).toEqual(alias);
  expect(existsSync(join(home, "job"))).toBe(false);
});

test(
  "a second SIGINT ends a run whose source does not answer, and the next start copies the object",
  SLOW,
  async () => {
    let [requests, hangs] = [0, true];
    const origin = await startScriptedOrigin(async (_request, connection) => {
      requests += 1;
      if (!hangs) await connection.send(response(jpegOf("late")));
    });
    try {
      await installWith();
      await writeFile(join(home, "list.txt"), `${origin.url}/late.jpg\n`);
      await configure({ "migrate.type": "URLList", "url.url_list_file_path": join(home, "list.txt") });
      const flags = ["--settings", installation.file, "--allow-private"];
      const child = spawn(process.execPath, [PROGRAM, ...argumentsOf("start", ...flags)], { stdio: "ignore" });
      const ended = once(child, "close");
      await eventually(() => requests > 0, "the source is asked", 60_000);
      // The first one waits for the object in flight.
      child.kill("SIGINT");
      await eventually(() => child.kill("SIGINT") === false || child.signalCode !== null, "it ends", 20_000);
      expect(await ended).toEqual([null, "SIGINT"]);
      hangs = false;
      expect((await migrate("start", ...flags)).out).toContain("failed, successful / submitted: 0, 1 / 1\n");
    } finally {
      await origin.close();
    }
  },
);
