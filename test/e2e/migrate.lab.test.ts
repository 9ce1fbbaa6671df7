// `huiyuan migrate` with the built program: a folder into a store and over the REST API, the old config and
// the old scripts.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg, noisyTiff } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { eventually, type Installation, install, PROGRAM } from "../helpers/program.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const SCRIPTS = fileURLToPath(new URL("../../config/migrate", import.meta.url));
const MANY = 2_000;
const SLOW_CAT = `const b = Buffer.alloc(4096);
for (let n; (n = fs.readSync(0, b, 0, 4096, null)) > 0; fs.writeSync(1, b, 0, n))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3);`;
let images: string;
let base: Buffer;
let port: number;
let installation: Installation;
/** Has conf/, log/ and bin/, as the old tool. */
let home: string;

beforeAll(async () => {
  base = await noisyJpeg(24, 24);
  images = await mkdtemp(join(tmpdir(), "huiyuan-images-"));
  for (let index = 0; index < MANY; index += 1) await put(images, `${index % 50}/picture ${index}.jpg`, index);
}, 120_000);
afterAll(() => rm(images, { recursive: true }));
beforeEach(async () => {
  port = await freePort();
  const projects = [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains: [{ host: "*" }] }] }];
  installation = await install({ server: { port, adminPort: await freePort() }, projects });
  home = await mkdtemp(join(tmpdir(), "huiyuan-migrate-"));
  await mkdir(join(home, "conf"));
});
afterEach(async () => {
  await installation.remove();
  await rm(home, { recursive: true, force: true, maxRetries: 3 });
});

/** A JPEG with a comment, so that each number has bytes of its own. */
function jpegOf(number: number | string): Buffer {
  const text = Buffer.from(`number ${number}`);
  const comment = Buffer.from([0xff, 0xfe, 0, text.byteLength + 2]);
  return Buffer.concat([base.subarray(0, 2), comment, text, base.subarray(2)]);
}

async function put(root: string, name: string, content: number | string | Buffer): Promise<void> {
  const path = join(root, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, Buffer.isBuffer(content) ? content : jpegOf(content));
}

/** The template of the old tool with a user's values. */
async function configure(root: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const options = {
    "local.image_root_path": root,
    "appinfo.appid": APPID,
    "appinfo.secretID": KEYS[0].secretId,
    "appinfo.secretKey": KEYS[0].secretKey,
    "appinfo.bucket": "photos",
    "appinfo.endpoint": `http://127.0.0.1:${port}`,
    ...more,
  };
  let text = await readFile(join(SCRIPTS, "config.ini.template"), "utf8");
  for (const [name, value] of Object.entries(options)) {
    const line = `${name} = ${value.replaceAll("%", "%%")}`;
    const there = new RegExp(`^${name.replaceAll(".", "\\.")} =.*$`, "m");
    text = there.test(text) ? text.replace(there, () => line) : `${text}\n${line}\n`;
  }
  await writeFile(join(home, "conf/config.ini"), text);
}

const flags = () => ["--config", join(home, "conf/config.ini")];
const settings = () => ["--settings", installation.file];
const migrate = (command: string, ...more: string[]) => loadedHuiyuan(["migrate", command, ...flags(), ...more]);
const stat = async () => (await migrate("stat")).out;

test("2,000 files into a store: ls has each of them, also for a slow reader", { timeout: 120_000 }, async () => {
  await configure(images);
  expect((await migrate("start", ...settings())).code).toBe(0);
  const program = await installation.start();
  // The reader must get all lines, although the command could exit before.
  const piped = `"$0" "$1" ls --json --config "$2" | "$0" -e "$3"`;
  const list = spawn("sh", ["-c", piped, process.execPath, PROGRAM, installation.file, SLOW_CAT]);
  let text = "";
  for await (const chunk of list.stdout) text += String(chunk);
  const lines = text.trim().split("\n");
  expect(new Set(lines.map((line) => (JSON.parse(line) as { key: string }).key)).size).toBe(MANY);
  await program.kill();
});

test("failures have the texts of the old tool, a report with causes, and are retried as documented", async () => {
  const root = join(home, "images");
  for (const name of ["good", "taken", "equal"]) await put(root, `${name}.jpg`, name);
  await put(root, "broken.jpg", jpegOf("x").subarray(0, -10));
  await put(root, "page.jpg", Buffer.from("<html>no image</html>"));
  await put(root, `${"long".repeat(40)}.jpg`, "long");
  await put(root, "notes.txt", Buffer.from("ignored"));
  await put(root, "scan.tiff", await noisyTiff(24, 24));
  await configure(root);
  const program = await installation.start();
  const before = join(home, "before");
  await put(before, "taken.jpg", "other bytes");
  await put(before, "equal.jpg", "equal");
  await configure(before);
  expect((await migrate("start", "--job", join(home, "first"))).code).toBe(0);
  await configure(root);
  const first = await migrate("start");
  expect(first.code).toBe(1);
  expect(first.out).toContain("New submitted: 7\nSubmit failed: 0\nIgnored: 1\n");
  expect(first.out).toMatch(
    /1 {2}code -1886, such as: .*\n.*compare both, then add --overwrite .*; then start again\n/,
  );
  expect(await stat()).toBe("failed, successful / submitted: 4, 3 / 7\n");
  const failed = (await migrate("view-failed")).out;
  expect(failed).toContain("taken.jpg|message: 图片fileid已经存在, code: -1886, httpcode: 400\n");
  expect(failed.split("\n").length).toBe(5);
  // The failure that matches error.ignore.if is not retried.
  await put(root, "broken.jpg", "whole now");
  expect((await migrate("start")).code).toBe(1);
  expect(await stat()).toBe("failed, successful / submitted: 3, 4 / 7\n");
  await program.kill();
  expect((await migrate("start", "--lenient")).code).toBe(0);
});

test("a second start -f copies what the source changed, and a tombstone at the target is respected", async () => {
  const root = join(home, "images");
  for (const name of ["same", "changed", "deleted"]) await put(root, `${name}.jpg`, name);
  await configure(root);
  expect((await migrate("start", ...settings())).code).toBe(0);
  const program = await installation.start();
  expect((await loadedHuiyuan(["delete", "deleted.jpg", "--config", installation.file])).code).toBe(0);
  await program.stop();
  await put(root, "changed.jpg", "changed since");
  await put(root, "deleted.jpg", "deleted there, changed here");
  await put(root, "new.jpg", "new");
  const again = await migrate("start", ...settings(), "-f");
  expect(again).toMatchObject({ code: 0, err: "" });
  expect(again.out).toContain("New submitted: 1\nChanged: 2\nSubmit failed: 1\n");
  expect(again.out).toContain("deleted at the target: 1");
  const running = await installation.start();
  expect((await get({ port, path: "/changed.jpg" })).body).toEqual(jpegOf("changed since"));
  expect((await get({ port, path: "/deleted.jpg" })).status).toBe(404);
  expect((await get({ port, path: "/new.jpg" })).status).toBe(200);
  await running.kill();
});

test("a wrong config lists every fault, exits with 2 and changes nothing", async () => {
  await configure("relative/path", { concurrency: "0", "fileid.ignore.execute": "import os", "appinfo.appid": "" });
  const { code, out, err } = await migrate("start");
  expect(code).toBe(2);
  expect(out).toBe("");
  expect(err).toMatch(/^Error: Required: appinfo\.appid, unless --settings FILE /m);
  expect(err).toMatch(
    /local\.image_root_path must be .*\n(.*\n)*.*concurrency must be .*\n(.*\n)*.*fileid\.ignore\.execute/,
  );
  const names = ["appid", "bucket", "secretID", "secretKey", "endpoint"].map((name) => `appinfo.${name}`);
  await configure("relative/path", Object.fromEntries(names.map((name) => [name, ""])));
  const { err: untargeted } = await migrate("start");
  expect(untargeted).toContain(`Error: Required: ${names.join(", ")}, unless --settings FILE `);
  expect(await readdir(home)).toEqual(["conf"]);
  // A config of the old tool: it had a host of its own.
  await configure(images, { "appinfo.endpoint": "" });
  for (const command of [["start"], ["start", "--dry-run"], ["start", "--detach"], ["verify"]])
    expect(await migrate(command[0] ?? "", ...command.slice(1))).toEqual({
      ...{ code: 2, out: "" },
      err: expect.stringMatching(/^Error: Required: appinfo\.endpoint, unless --settings FILE or --admin URL .*\n$/),
    });
  expect(await readdir(home)).toEqual(["conf"]);
  expect((await migrate("start", "--overwrite", "always")).code).toBe(2);
  await configure(images, { "appinfo.bucket": "unknown" });
  const unknown = await migrate("start", ...settings());
  expect(unknown.err).toContain(`name ${APPID}/unknown, but must name one of: ${APPID}/photos`);
  expect(await readdir(home)).toEqual(["conf"]);
});

test("a config that has changed since is refused and says what to do, unless only its filters change", async () => {
  const own = join(home, "images");
  await put(own, "a.jpg", "a");
  await put(own, "old/page.jpg", Buffer.from("<html>no image</html>"));
  await configure(own);
  expect((await migrate("start", ...settings())).out).toMatch(
    /origin_not_image.*\n.*leave it out by fileid\.ignore\.if; then start again/,
  );
  // The advice of the report, and a file that the filter has left out until now.
  await put(own, "b.png", "b");
  const filters = { "fileid.ignore.if": "old/page\\.jpg$", "fileid.ignore.unless": "" };
  await configure(own, filters);
  expect(await migrate("start", ...settings())).toMatchObject({ code: 0, err: "" });
  expect(await stat()).toBe("failed, successful / submitted: 0, 2 / 2\n");
  await configure(own, { ...filters, "sub.pattern": "^", "sub.replace": "new/" });
  expect(await migrate("start", ...settings())).toMatchObject({ code: 0, err: "" });
  // The copies stay under their old names.
  expect(await stat()).toBe("failed, successful / submitted: 0, 4 / 4\n");
  await configure(images, { ...filters, concurrency: "3" });
  const { code, err } = await migrate("start", ...settings());
  expect(code).toBe(2);
  expect(err).toMatch(/The config has changed .*: local\.image_root_path\. .*--job.*clean/);
  expect(await migrate("clean")).toMatchObject({ code: 0, out: "", err: "" });
  expect((await migrate("start", ...settings(), "--dry-run")).out).toContain(`Would copy: ${MANY} `);
  expect(await stat()).toBe("failed, successful / submitted: 0, 0 / 0\n");
});

test("the old scripts run under dash from any directory: start in the background, stat, stop, view_failed, clean", async () => {
  await configure(images, { "limit.requests.per.second": "50" });
  await cp(SCRIPTS, join(home, "bin"), { recursive: true });
  const script = async (name: string, ...more: string[]) => {
    const env = { ...process.env, HUIYUAN: `${process.execPath} ${PROGRAM}` };
    const child = spawn("sh", [join(home, "bin", `${name}.sh`), ...more], { cwd: "/", env });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    await once(child, "close");
    return { code: child.exitCode, output };
  };
  const line = (counts: string) => ({ code: 0, output: `failed, successful / submitted: ${counts}\n` });
  expect(await script("stat")).toEqual(line("0, 0 / 0"));
  expect(await script("stop")).toEqual({ code: 1, output: "Tool is not running. \n" });
  expect(await script("start", ...settings(), "--detach")).toMatchObject({ code: 0 });
  await eventually(async () => / [1-9]\d* \/ 2000/.test((await script("stat")).output), "some are copied", 60_000);
  expect((await script("start", ...settings())).output).toContain("already running");
  expect((await script("clean")).code).toBe(1);
  const pid = (await readFile(join(home, "log/pid"), "utf8")).trim();
  expect(await script("stop")).toEqual({ code: 0, output: `kill -2 ${pid}\n` });
  // A second stop would end the process without its report.
  await eventually(async () => !existsSync(join(home, "log/pid")), "the run ends", 60_000);
  expect(await script("stop")).toEqual({ code: 1, output: "Tool is not running. \n" });
  expect(await readFile(join(home, "log/migrate.log"), "utf8")).toMatch(/not tried: [1-9]/);
  expect(await script("view_failed")).toEqual({ code: 0, output: "" });
  expect(await script("clean")).toEqual({ code: 0, output: "" });
  expect(await script("stat")).toEqual(line("0, 0 / 0"));
});

test("--json prints one object a line, and names that cannot be copied are failures, shown escaped", async () => {
  const root = join(home, "images");
  await put(root, "good.jpg", "good");
  await writeFile(Buffer.concat([Buffer.from(`${root}/bad`), Buffer.from([0xff]), Buffer.from(".jpg")]), jpegOf("bad"));
  await configure(root);
  const { code, out } = await migrate("start", ...settings(), "--json");
  expect(code).toBe(1);
  const events = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { event: string });
  expect(events.at(-1)).toMatchObject({ event: "report", submitted: 2, successful: 1, failed: 1, stored: 1 });
  expect((await migrate("view-failed")).out).toBe("bad\\xff.jpg|The name is not UTF-8\n");
  await unlink(join(home, "log/pid")).catch(() => undefined);
});
