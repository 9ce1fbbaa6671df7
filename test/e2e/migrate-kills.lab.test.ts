// `huiyuan migrate` with the built program, killed with SIGKILL at random moments: every object is equal to its source
// and counted once, and no object that the journal has as copied is fetched again. LAB_SEED changes the moments.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createDice } from "../fault/proxy.ts";
import { CEPH_START_MS, sharedRgw, startGateway } from "../helpers/ceph.ts";
import { pathOf } from "../helpers/get.ts";
import { noisyJpeg, segment } from "../helpers/images.ts";
import { checkMigrated, doneIn, repeatedIn, runKilled } from "../helpers/migration-runs.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { startQiniuListing, startQiniuStandIn } from "../helpers/qiniu-stand-in.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { freePort, needs, serviceAvailable, startNginx } from "../helpers/services.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const SEED = Number(process.env.LAB_SEED ?? 1);
const KILLS = 4;
/** Few, so that kills come at many places of a small source. */
const AT_ONCE = 20;
const COMMENT = 0xfe;
/** Time for a server to write what it has answered into its log. */
const LOG_MS = 200;
/** On a busy machine each of the starts takes seconds. */
const SLOW = { timeout: 240_000 };
let objects: ReadonlyMap<string, Buffer>;
let installation: Installation;
let folder: string;
let port: number;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  const base = await noisyJpeg(24, 24);
  const names = Array.from({ length: 1_000 }, (_, index) => `${index % 10}/图 ${index}.jpg`);
  const jpegOf = (name: string) =>
    Buffer.concat([base.subarray(0, 2), segment(COMMENT, Buffer.from(name)), base.subarray(2)]);
  objects = new Map(names.map((name) => [name, jpegOf(name)]));
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-migrate-"));
  const projects = [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains: [{ host: "*" }] }] }];
  port = await freePort();
  installation = await install({ server: { port, adminPort: await freePort() }, projects });
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await installation.remove();
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

interface Source {
  readonly config: Readonly<Record<string, string | number>>;
  readonly objects: ReadonlyMap<string, Buffer>;
  readonly failures?: ReadonlyMap<string, RegExp>;
  /** The target is its REST API; default: the store. */
  readonly server?: Program;
  /** Names of the objects in the order of their requests. Undefined: the source does not say. */
  fetched?(): Promise<readonly string[]>;
}

async function expectWhole(source: Source): Promise<void> {
  const dir = join(folder, "job");
  const config = join(folder, "migrate.yaml");
  await writeFile(config, JSON.stringify({ concurrency: AT_ONCE, ...source.config }));
  const settings = source.server === undefined ? ["--settings", installation.file] : [];
  const kills: { successful: ReadonlySet<string>; requests: number }[] = [];
  const run = await runKilled(
    { dir, args: ["--config", config, "--job", dir, "--allow-private", ...settings] },
    {
      total: source.objects.size,
      kills: KILLS,
      dice: createDice(SEED),
      async onKill(successful) {
        await delay(LOG_MS);
        kills.push({ successful, requests: (await source.fetched?.())?.length ?? 0 });
      },
    },
  );
  expect(run.code, run.output).toBe(source.failures === undefined ? 0 : 1);
  const { failures } = source;
  await source.server?.stop();
  const target = { data: installation.data, bucketId: `${APPID}/photos`, dir };
  expect(checkMigrated({ ...target, objects: source.objects, ...(failures && { failures }) })).toBe(
    source.objects.size,
  );
  expect(doneIn(dir)).toBe(source.objects.size + (failures?.size ?? 0));
  // A test whose kills all come before the first object, or behind the last one, would prove nothing.
  expect(kills.at(-1)?.successful.size).toBeGreaterThan(0);
  expect(kills.at(-1)?.successful.size).toBeLessThan(source.objects.size);
  if (source.fetched === undefined) return;
  const fetched = await source.fetched();
  expect(new Set(fetched).size).toBe(source.objects.size);
  expect(repeatedIn(fetched, kills).afterSuccess).toBe(0);
}

async function writeObjects(root: string): Promise<void> {
  for (let index = 0; index < 10; index += 1) await mkdir(join(root, String(index)), { recursive: true });
  for (const [name, bytes] of objects) await writeFile(join(root, name), bytes);
}

test("a folder, with a file that is no image", SLOW, async () => {
  const root = join(folder, "root");
  await writeObjects(root);
  await writeFile(join(root, "page.jpg"), "<html>no image</html>");
  const failures = new Map([["page.jpg", /origin_not_image/]]);
  await expectWhole({ config: { "migrate.type": "Local", "local.image_root_path": root }, objects, failures });
});

test("a folder over the REST API", SLOW, async () => {
  const root = join(folder, "root");
  await writeObjects(root);
  const server = await installation.start();
  cleanups.push(() => server.kill());
  const { secretId, secretKey } = KEYS[0];
  const place = { endpoint: `http://127.0.0.1:${port}`, appid: APPID, bucket: "photos", secretId, secretKey };
  const options = Object.entries(place).map(([name, value]) => [`appinfo.${name}`, value]);
  const config = { "migrate.type": "Local", "local.image_root_path": root, ...Object.fromEntries(options) };
  await expectWhole({ config, objects, server });
});

test("a list of URLs on nginx, with broken ones", { ...SLOW, ...needs("nginx") }, async () => {
  const root = join(folder, "root");
  await writeObjects(root);
  const nginx = await startNginx({ root, conf: "location /broken/500 { return 500; }" });
  cleanups.push(nginx.remove);
  const failures = new Map([
    ["broken/404.jpg", /^HTTP Error 404: Not Found$/],
    ["broken/500.jpg", /^HTTP response status code: 500$/],
  ]);
  const names = [...objects.keys()];
  const list = [...names.slice(0, 300), ...failures.keys(), ...names.slice(300)];
  await writeFile(join(folder, "urls.txt"), list.map((name) => nginx.url + pathOf(name)).join("\n"));
  const paths = new Map(names.map((name) => [`GET ${pathOf(name)} HTTP/1.1`, name]));
  await expectWhole({
    config: { "migrate.type": "URLList", "url.url_list_file_path": join(folder, "urls.txt"), retries: 0 },
    objects,
    failures,
    fetched: async () => (await nginx.accessLog()).flatMap((line) => paths.get(line) ?? []),
  });
});

test("a private bucket of a Qiniu stand-in", SLOW, async () => {
  const keys = { accessKey: "QINIU_AK", secretKey: "QINIU_SK" };
  const downloads = await startQiniuStandIn({ objects, keys });
  const listing = await startQiniuListing({ bucket: "pictures", objects, keys, pageItems: 100 });
  cleanups.push(downloads.close, listing.close);
  const place = { "qiniu.bucket": "pictures", "qiniu.domain": downloads.url, "qiniu.endpoint": listing.url };
  const secrets = { "qiniu.AccessKey": keys.accessKey, "qiniu.SecretKey": keys.secretKey };
  await expectWhole({
    config: { "migrate.type": "Qiniu", ...place, ...secrets, "qiniu.isprivate": "True" },
    objects,
    fetched: async () => downloads.requests.map(({ key }) => key),
  });
});

describe("a bucket of S3", needs("ceph"), () => {
  beforeAll(async () => {
    if (serviceAvailable("ceph")) await sharedRgw();
  }, CEPH_START_MS);

  test("on a real Ceph RGW", SLOW, async () => {
    const gateway = await startGateway();
    cleanups.push(gateway.stop);
    const s3 = plainS3(gateway);
    const bucket = bucketName();
    await s3.makeBucket(bucket);
    const some = new Map([...objects].slice(0, 500));
    const left = some.entries();
    const putAll = async () => {
      for (const [name, bytes] of left) await s3.put(bucket, name, bytes);
    };
    await Promise.all(Array.from({ length: 16 }, putAll));
    const place = { "s3.bucket": bucket, "s3.endpoint": gateway.url, "s3.preset": "ceph" };
    const keys = { "s3.accesskey": gateway.accessKeyId, "s3.secretkey": gateway.secretAccessKey };
    const paths = new Map([...some.keys()].map((name) => [`/${bucket}${pathOf(name)}`, name]));
    await expectWhole({
      config: { "migrate.type": "S3", ...place, ...keys },
      objects: some,
      fetched: async () =>
        (await gateway.accessLog()).flatMap((line) => paths.get(/ GET (\S+) /.exec(line)?.[1] ?? "") ?? []),
    });
  });
});
