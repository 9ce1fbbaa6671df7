// `huiyuan migrate` with the built program, from sources over HTTP: a list of URLs on a real nginx with broken
// answers, Qiniu by stand-ins, a real Ceph RGW, and the origins of a domain.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CEPH_START_MS, sharedRgw } from "../helpers/ceph.ts";
import { get, pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { type Installation, install } from "../helpers/program.ts";
import { startQiniuListing, startQiniuStandIn } from "../helpers/qiniu-stand-in.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { head, response, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort, needs, serviceAvailable, startNginx } from "../helpers/services.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const HOST = "img.example.com";
let base: Buffer;
let port: number;
let installation: Installation;
let folder: string;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  base = await noisyJpeg(24, 24);
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-migrate-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** A JPEG with a comment, so that each name has bytes of its own. */
function jpegOf(name: string): Buffer {
  const text = Buffer.from(name);
  return Buffer.concat([
    base.subarray(0, 2),
    Buffer.from([0xff, 0xfe, 0, text.byteLength + 2]),
    text,
    base.subarray(2),
  ]);
}

async function installWith(mirror?: object): Promise<void> {
  port = await freePort();
  const domains = [{ host: HOST, ...(mirror && { mirror }) }, { host: "*" }];
  const projects = [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains }] }];
  installation = await install({ server: { port, adminPort: await freePort() }, projects });
  cleanups.push(() => installation.remove());
}

async function configure(options: Readonly<Record<string, string | number>>): Promise<void> {
  await writeFile(join(folder, "config.yaml"), JSON.stringify(options));
}

const flags = (...more: readonly string[]) => [
  ...["--config", join(folder, "config.yaml"), "--job", join(folder, "job")],
  ...more,
];
const start = (...more: readonly string[]) =>
  loadedHuiyuan(["migrate", "start", ...flags("--settings", installation.file, "--allow-private", ...more)]);
const stat = async () => (await loadedHuiyuan(["migrate", "stat", ...flags()])).out;
const viewFailed = async () => (await loadedHuiyuan(["migrate", "view-failed", ...flags()])).out.trim().split("\n");

/** Each is served with the bytes of its content, by default its name. `host`: default one without an origin. */
async function expectServed(
  names: readonly string[],
  { host = "any.example", contents = {} }: { host?: string; contents?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const program = await installation.start();
  for (const name of names) {
    const answer = await get({ port, path: pathOf(name), headers: { Host: host } });
    expect([answer.status, answer.body.equals(jpegOf(contents[name] ?? name))], name).toEqual([200, true]);
  }
  await program.stop();
}

describe("a list of URLs", needs("nginx"), () => {
  const MANY = 100;
  const whole = Array.from({ length: MANY }, (_, index) => `${index % 20}/图 ${index}.jpg`);

  test("100 URLs and 8 broken ones: each equal, and counted once", async () => {
    await installWith();
    const root = join(folder, "root");
    for (let index = 0; index < 20; index += 1) await mkdir(join(root, String(index)), { recursive: true });
    for (const name of whole) await writeFile(join(root, name), jpegOf(name));
    await writeFile(join(root, "html.jpg"), "<html>no image</html>");
    await writeFile(join(root, "cut.jpg"), jpegOf("cut").subarray(0, -20));
    const length = head("200 OK", [["Content-Length", "5000"]]);
    const upstream = await startScriptedOrigin({
      "/hung.jpg": ["HANG"],
      "/truncated.jpg": [length, jpegOf("t").subarray(0, 100), "FIN"],
      "/stalled.jpg": [length, jpegOf("t").subarray(0, 100), "HANG"],
    });
    cleanups.push(upstream.close);
    const conf = `location = /500.jpg { return 500; }
      location ~ ^/(hung|truncated|stalled) { proxy_pass ${upstream.url}; proxy_buffering off; }`;
    const nginx = await startNginx({ root, conf });
    cleanups.push(nginx.remove);
    const broken = ["missing", "500", "html", "cut", "hung", "truncated", "stalled"].map((name) => `${name}.jpg`);
    const names = [...whole.slice(0, 50), ...broken, ...whole.slice(50)];
    const lines = [
      ...names.map((name) => nginx.url + pathOf(name)),
      "ftp://example.com/old.jpg",
      `${nginx.url}/0/图 0.jpg?again`,
    ];
    await writeFile(join(folder, "urls.txt"), lines.join("\n"));
    const options = { "url.url_list_file_path": join(folder, "urls.txt"), "timeout.seconds": 1, retries: 0 };
    await configure({ "migrate.type": "URLList", ...options });

    expect((await start()).code).toBe(1);
    expect(await stat()).toBe(`failed, successful / submitted: 8, ${MANY} / ${MANY + 8}\n`);
    const failures = new Map((await viewFailed()).map((line) => line.split("|", 2) as [string, string]));
    expect(failures.get("missing.jpg")).toBe("HTTP Error 404: Not Found");
    expect(failures.get("500.jpg")).toBe("HTTP response status code: 500");
    expect(failures.get("ftp://example.com/old.jpg")).toMatch(/ftp: are not supported/);
    expect([...failures.keys()].sort()).toEqual([...broken, "ftp://example.com/old.jpg"].sort());
    await expectServed(whole);
  });

  test("without --allow-private nothing is fetched from a private address", async () => {
    await installWith();
    await mkdir(join(folder, "root"));
    await writeFile(join(folder, "root/a.jpg"), jpegOf("a.jpg"));
    const nginx = await startNginx({ root: join(folder, "root") });
    cleanups.push(nginx.remove);
    await writeFile(join(folder, "urls.txt"), `${nginx.url}/a.jpg`);
    await configure({ "migrate.type": "URLList", "url.url_list_file_path": join(folder, "urls.txt") });
    const run = await loadedHuiyuan(["migrate", "start", ...flags("--settings", installation.file)]);
    expect(run.code).toBe(1);
    expect(run.out).toContain("1  origin_blocked");
    expect(await nginx.accessLog()).toEqual([]);
  });
});

test.each(["True", "False"])("a bucket of Qiniu, isprivate %s, with a Referer and a range", async (isprivate) => {
  await installWith();
  const names = Array.from({ length: 30 }, (_, index) => `七牛/${String(index).padStart(2, "0")}.jpg`);
  const objects = new Map(names.map((name) => [name, jpegOf(name)]));
  const keys = { accessKey: "QINIU_AK", secretKey: "QINIU_SK" };
  const referer = "http://www.example.com";
  const downloads = await startQiniuStandIn({ objects, referer, ...(isprivate === "True" && { keys }) });
  const listing = await startQiniuListing({ bucket: "pictures", objects, keys, pageItems: 7 });
  cleanups.push(downloads.close, listing.close);
  const range = { "qiniu.start_offset": 3, "qiniu.total_num": 20 };
  const place = { "qiniu.bucket": "pictures", "qiniu.domain": downloads.url, "qiniu.endpoint": listing.url };
  const secrets = { "qiniu.AccessKey": keys.accessKey, "qiniu.SecretKey": keys.secretKey };
  const more = { "qiniu.referer": referer, "qiniu.isprivate": isprivate };
  await configure({ "migrate.type": "Qiniu", ...place, ...secrets, ...more, ...range });
  const run = await start();
  expect(run).toMatchObject({ code: 0, err: "" });
  expect(await stat()).toBe("failed, successful / submitted: 0, 20 / 20\n");
  await expectServed(names.slice(3, 23));
});

test("a wrong Qiniu key is an error of the listing, and nothing counts as listed", async () => {
  await installWith();
  const keys = { accessKey: "QINIU_AK", secretKey: "QINIU_SK" };
  const listing = await startQiniuListing({ bucket: "pictures", objects: new Map(), keys });
  cleanups.push(listing.close);
  const place = { "qiniu.bucket": "pictures", "qiniu.domain": listing.url, "qiniu.endpoint": listing.url };
  await configure({ "migrate.type": "Qiniu", ...place, "qiniu.AccessKey": "QINIU_AK", "qiniu.SecretKey": "no" });
  const run = await start();
  expect(run.code).toBe(1);
  expect(run.out + run.err).toContain("bad token");
  expect(await stat()).toBe("failed, successful / submitted: 0, 0 / 0\n");
  // The listing is not taken for a whole one: the next start lists again.
  const before = listing.requests.length;
  expect((await start()).code).toBe(1);
  expect(listing.requests.length).toBeGreaterThan(before);
});

describe("a bucket of S3", needs("ceph"), () => {
  beforeAll(async () => {
    if (serviceAvailable("ceph")) await sharedRgw();
  }, CEPH_START_MS);

  test("is copied, and a second start -f copies what has changed", async () => {
    await installWith();
    const rgw = await sharedRgw();
    const s3 = plainS3(rgw);
    const bucket = bucketName();
    await s3.makeBucket(bucket);
    const names = ["a b+c%20.jpg", "深/1.jpg", "深/2.jpg", "//x.jpg"];
    for (const name of names) await s3.put(bucket, name, jpegOf(name));
    await s3.put(bucket, "folder/", Buffer.alloc(0));
    const keys = { "s3.accesskey": rgw.accessKeyId, "s3.secretkey": rgw.secretAccessKey };
    await configure({
      "migrate.type": "S3",
      "s3.bucket": bucket,
      "s3.endpoint": rgw.url,
      "s3.preset": "ceph",
      ...keys,
    });
    expect(await start()).toMatchObject({ code: 0, err: "" });
    expect(await stat()).toBe("failed, successful / submitted: 0, 4 / 4\n");
    await s3.put(bucket, "深/2.jpg", jpegOf("changed"));
    const again = await start("-f");
    expect(again.out).toContain("New submitted: 0\nChanged: 1\nSubmit failed: 3\n");
    await expectServed(names, { contents: { "深/2.jpg": "changed" } });
  });
});

test("the origins of a domain, by a list without any config: live traffic then hits", async () => {
  const names = ["a.jpg", "b/c d.jpg"];
  const scripts = names.map((name) => [`/up${pathOf(name)}`, [response(jpegOf(name))]] as const);
  const origin = await startScriptedOrigin(Object.fromEntries(scripts));
  cleanups.push(origin.close);
  await installWith({ origins: [{ type: "site", url: `${origin.url}/up`, allowPrivate: true }] });
  await writeFile(join(folder, "keys.txt"), names.join("\n"));
  const from = ["--settings", installation.file, "--from-origin", HOST, "--list", join(folder, "keys.txt")];
  const job = ["--job", join(folder, "job")];
  const run = await loadedHuiyuan(["migrate", "start", ...from, ...job]);
  expect(run).toMatchObject({ code: 0, err: "" });
  expect(run.out).toContain("New submitted: 2");
  expect(origin.requests.map(({ target }) => target).sort()).toEqual(["/up/a.jpg", "/up/b/c%20d.jpg"]);
  await expectServed(names, { host: HOST });
  expect(origin.requests.length).toBe(2);
  const again = await loadedHuiyuan(["migrate", "start", ...from, ...job, "-f"]);
  expect(again.out).toContain("Submit failed: 2");
  // The origin sends no validators, so the second run fetches both again.
  expect(again.code).toBe(0);
});

test("flags that do not fit together are faults, and nothing is written", async () => {
  await installWith();
  const job = ["--job", join(folder, "job")];
  const faults = async (...more: readonly string[]) => {
    const { code, err } = await loadedHuiyuan(["migrate", "start", ...job, ...more]);
    expect(code).toBe(2);
    return err;
  };
  expect(await faults("--from-origin", HOST)).toContain("Error: --from-origin needs --settings.");
  expect(await faults("--list", "x")).toContain("Error: --list and --sitemap need --from-origin.");
  const settings = ["--settings", installation.file];
  expect(await faults(...settings, "--from-origin", HOST)).toContain(`The domain ${HOST} has no origins.`);
});
