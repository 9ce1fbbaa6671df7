// `huiyuan migrate verify` with the built program: a folder against a store and against the REST API, with differences
// of each kind, a manifest that others can check, and the advice of the report.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { eventually, type Installation, install, PROGRAM } from "../helpers/program.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const COUNT = 60;
let base: Buffer;
let port: number;
let installation: Installation;
let home: string;
let images: string;

beforeAll(async () => {
  base = await noisyJpeg(24, 24);
});
beforeEach(async () => {
  port = await freePort();
  const projects = [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains: [{ host: "*" }] }] }];
  installation = await install({ server: { port, adminPort: await freePort() }, projects });
  home = await mkdtemp(join(tmpdir(), "huiyuan-verify-"));
  images = join(home, "images");
  for (let index = 0; index < COUNT; index += 1) await put(nameOf(index), jpegOf(`${index}`));
  await configure();
});
afterEach(async () => {
  await installation.remove();
  await rm(home, { recursive: true, force: true, maxRetries: 3 });
});

const nameOf = (index: number) => `${index % 7}/图 ${index}.jpg`;

/** A JPEG with a comment, so that each has bytes of its own. Equal lengths of the text give equal sizes. */
function jpegOf(text: string): Buffer {
  const comment = Buffer.from([0xff, 0xfe, 0, text.length + 2]);
  return Buffer.concat([base.subarray(0, 2), comment, Buffer.from(text), base.subarray(2)]);
}

async function put(name: string, bytes: Buffer): Promise<void> {
  const path = join(images, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}

async function configure(more: Readonly<Record<string, string | number>> = {}): Promise<void> {
  const options = {
    "migrate.type": "Local",
    "local.image_root_path": images,
    "appinfo.appid": APPID,
    "appinfo.secretID": KEYS[0].secretId,
    "appinfo.secretKey": KEYS[0].secretKey,
    "appinfo.bucket": "photos",
    "appinfo.endpoint": `http://127.0.0.1:${port}`,
    retries: 0,
    ...more,
  };
  await writeFile(join(home, "config.yaml"), JSON.stringify(options));
}

const flags = () => ["--config", join(home, "config.yaml"), "--job", join(home, "job")];
const settings = () => ["--settings", installation.file];
const migrate = (command: string, ...more: string[]) => loadedHuiyuan(["migrate", command, ...flags(), ...more]);
const remove = (name: string) => rm(join(images, name));

/** The report of `verify --json`. */
async function verify(...more: string[]) {
  const { code, out } = await migrate("verify", "--json", ...more);
  const report = JSON.parse(out) as Readonly<Record<string, unknown>> & {
    readonly findings: readonly {
      readonly kind: string;
      readonly first: readonly { fileid: string; reason: string }[];
    }[];
    readonly manifest?: { readonly objects: number };
  };
  const named = report.findings.map(({ kind, first }) => [kind, first.map(({ fileid }) => fileid)]);
  return { code, report, named: Object.fromEntries(named) as Record<string, string[]> };
}

const clean = { differs: 0, missing: 0, gone: 0, unread: 0, deleted: 0, skipped: 0, troubles: [] };
async function expectManifest(file: string, names: readonly string[]): Promise<void> {
  const text = await readFile(file, "utf8");
  const lines = text.trimEnd().split("\n");
  const sorted = [...names].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  expect(lines.slice(0, -1).map((line) => line.slice(66))).toEqual(sorted);
  expect(lines.at(-1)).toBe(`# objects: ${names.length}`);
  const check = spawn("sha256sum", ["--check", "--strict", "--quiet", file], { cwd: images, stdio: "ignore" });
  expect((await once(check, "exit"))[0]).toBe(0);
}

test("a store that is equal: all hashes, and a manifest that sha256sum confirms", async () => {
  await migrate("start", ...settings());
  await put("back\\slash.jpg", jpegOf("escaped"));
  await migrate("start", "-f", ...settings());
  const file = join(home, "photos.sha256");
  const { code, report } = await verify(...settings(), "--all", "--manifest", file);
  expect(report).toMatchObject({ ...clean, objects: COUNT + 1, equal: COUNT + 1, hashed: COUNT + 1 });
  expect(code).toBe(0);
  const names = Array.from({ length: COUNT }, (_, index) => nameOf(index));
  const text = await readFile(file, "utf8");
  expect(text).toContain("  back\\\\slash.jpg\n");
  await writeFile(file, text);
  await rm(join(images, "back\\slash.jpg"));
  await migrate("clean");
  const again = await verify(...settings(), "--all", "--manifest", file);
  expect(again.report.manifest?.objects).toBe(COUNT);
  await expectManifest(file, names);
});

test("a store that differs: each kind is counted and named, the next start mends it, and then all is equal", async () => {
  await migrate("start", ...settings());
  const program = await installation.start();
  const keys = (name: string) => ["--config", installation.file, name];
  expect((await loadedHuiyuan(["delete", ...keys(nameOf(4))])).code).toBe(0);
  expect((await loadedHuiyuan(["delete", ...keys(nameOf(5))])).code).toBe(0);
  expect((await loadedHuiyuan(["undelete", ...keys(nameOf(5))])).code).toBe(0);
  await program.stop();
  // Its copy fails, and verify keeps the cause.
  await put("page.jpg", Buffer.from("<html>no image</html>"));
  expect((await migrate("start", "-f", ...settings())).code).toBe(1);
  const view = (await migrate("view-failed")).out;
  expect(view).toMatch(/^page\.jpg\|Cannot use the body .*origin_not_image/);
  await put(nameOf(1), jpegOf("X")); // of the same size
  await put(nameOf(2), jpegOf("longer"));
  await put("new.jpg", jpegOf("new"));
  await remove(nameOf(3));
  const file = join(home, "photos.sha256");
  const { code, report, named } = await verify(...settings(), "--all", "--manifest", file);
  expect(code).toBe(1);
  expect(named).toEqual({
    differs: [nameOf(1), nameOf(2)].sort(),
    missing: [nameOf(5), "new.jpg"],
    gone: [nameOf(3)],
    failed: ["page.jpg"],
    deleted: [nameOf(4)],
  });
  expect(report).toMatchObject({ differs: 2, missing: 2, gone: 1, deleted: 1, unread: 0, failed: 1, equal: COUNT - 5 });
  expect((await migrate("view-failed")).out).toBe(view);
  const equal = Array.from({ length: COUNT }, (_, index) => nameOf(index)).filter((_, index) => index < 1 || index > 5);
  await expectManifest(file, equal);

  const { out } = await migrate("verify", ...settings(), "--sample", "50%");
  expect(out).toMatch(/Equal: 55\nDifferent: 2\nMissing at the target: 2\nMissing at the source: 1\nUnread: 0\n/);
  expect(out).toContain("a random sample of 50%; --all compares each");
  expect(out).toContain("\nMissing at the target; the next start copies them\n");
  expect(out).toContain(`huiyuan delete KEY --config ${installation.file}\n  ${nameOf(3)}\n`);
  expect(out).toContain("bytes at the source");
  expect(out).toMatch(
    /\nFailed to copy; remove the cause; then the next start copies them\n {2}page\.jpg\|Cannot use the body/,
  );
  await remove("page.jpg");
  await migrate("start", ...settings());
  const after = await verify(...settings(), "--all");
  expect(after.named).toEqual({ gone: [nameOf(3)], deleted: [nameOf(4)] });
  const running = await installation.start();
  expect((await get({ port, path: `/${encodeURI(nameOf(1))}` })).body).toEqual(jpegOf("X"));
  await running.kill();
});

test("a file with a newer time and the same bytes is equal, and counts as copied again", async () => {
  expect((await migrate("start", ...settings())).code).toBe(0);
  await utimes(join(images, nameOf(3)), new Date(), new Date());
  expect((await verify(...settings(), "--sample", "1")).report).toMatchObject({ ...clean, equal: COUNT });
  expect((await migrate("stat", "--once")).out).toContain(`: 0, ${COUNT} / ${COUNT}`);
});

test("bytes that are damaged in the store differ, and the next start mends them", async () => {
  await migrate("start", ...settings());
  const found = await damage(installation.data, jpegOf("17"));
  expect(found).toBe(1);
  const { code, named } = await verify(...settings(), "--all");
  expect([code, named]).toEqual([1, { differs: [nameOf(17)] }]);
  expect((await migrate("start", ...settings())).code).toBe(0);
  expect((await verify(...settings(), "--all")).code).toBe(0);
});

/** Flips a bit of the bytes wherever a file below the folder has them. Returns how many files had. */
async function damage(folder: string, bytes: Buffer): Promise<number> {
  let count = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const content = entry.isFile() ? await readFile(path) : Buffer.alloc(0);
    const at = content.indexOf(bytes);
    if (at < 0) continue;
    content[at + 30]! ^= 1;
    await writeFile(path, content);
    count += 1;
  }
  return count;
}

test("over the REST API hashes are compared by MD5, and objects outside of the sample not at all", async () => {
  const program = await installation.start();
  await migrate("start");
  const { code, report } = await verify("--all");
  expect([code, report]).toMatchObject([0, { ...clean, objects: COUNT, equal: COUNT, hashed: COUNT }]);
  expect((await verify("--sample", "7")).report).toMatchObject({ equal: 7, hashed: 7, skipped: COUNT - 7 });
  await put(nameOf(1), jpegOf("Y"));
  expect((await loadedHuiyuan(["delete", "--config", installation.file, nameOf(2)])).code).toBe(0);
  await remove(nameOf(3));
  const broken = await verify("--all");
  expect([broken.code, broken.named]).toEqual([1, { differs: [nameOf(1)], missing: [nameOf(2)], gone: [nameOf(3)] }]);
  expect(broken.report.findings[0]?.first[0]?.reason).toMatch(/^md5 \w{32} at the source, \w{32} at the target$/);
  // Every sample has the objects that the source has changed, and those that it no longer lists.
  expect((await verify("--sample", "1")).named).toMatchObject({ differs: [nameOf(1)], gone: [nameOf(3)] });
  const { out } = await migrate("verify", "--all");
  expect(out).toContain(
    "Different; an upload never replaces: delete them at the target; then the next start copies them\n",
  );
  await program.kill();
});

test("a target that is down leaves everything unread, and Ctrl-C ends a run with what it knows and no manifest", async () => {
  const down = await verify("--sample", "10");
  expect([down.code, down.report]).toMatchObject([1, { unread: 10, equal: 0 }]);
  await migrate("start", ...settings());
  await migrate("clean");
  await configure({ "limit.requests.per.second": 5 });
  const file = join(home, "photos.sha256");
  const args = ["migrate", "verify", ...flags(), ...settings(), "--json", "--all", "--manifest", file];
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += String(chunk);
  });
  await eventually(async () => (await readdir(home)).includes("photos.sha256.new"), "it compares", 60_000);
  await eventually(async () => (await readFile(join(home, "job/pid"), "utf8")) !== "", "it has the lock");
  expect((await migrate("start", ...settings())).err).toContain("already running");
  child.kill("SIGINT");
  expect(await once(child, "close")).toEqual([1, null]);
  const { equal, troubles } = JSON.parse(out) as { equal: number; troubles: string[] };
  expect(equal).toBeLessThan(COUNT);
  expect(troubles).toEqual(["It was stopped"]);
  expect((await readdir(home)).sort()).toEqual(["config.yaml", "images", "job"]);
});

test("wrong usage exits with 2 and says why", async () => {
  const fault = async (...more: string[]) => {
    const { code, err } = await migrate("verify", ...settings(), ...more);
    return [code, err];
  };
  expect(await fault("--all", "--sample", "5")).toEqual([2, "Error: Give --sample or --all, not both. \n"]);
  expect(await fault("--manifest", "x")).toEqual([2, "Error: --manifest needs --all: it lists every object. \n"]);
  for (const sample of ["1.5", "101%", "many"])
    expect(await fault("--sample", sample)).toEqual([2, expect.stringContaining("a percentage such as 5%")]);
  expect(await readdir(home)).not.toContain("job");
});
