// `huiyuan migrate` with the built program: a real terminal, the cut-over pass over the REST API, a store on a real
// Ceph RGW as the target, and the runs that must leave no trace.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { CEPH_START_MS, sharedRgw } from "../helpers/ceph.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { eventually, huiyuan, type Installation, install, PROGRAM, within } from "../helpers/program.ts";
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
const migrate = (command: string, ...more: string[]) => huiyuan(argumentsOf(command, ...more));
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
  const verified = await migrate("verify", "--settings", installation.file, "--all", "--json");
  expect(JSON.parse(verified.out)).toMatchObject({ objects: 40, equal: 40, hashed: 40 });
  const program = await installation.start();
  const stored = async () => (await plain.list(bucket)).filter((name) => name.endsWith(".jpg"));
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
