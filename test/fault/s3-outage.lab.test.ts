// A real Ceph RGW is killed and stays away under load: every hit is served, and every image that was fetched meanwhile
// is put into S3 once after it. HUIYUAN_LAB=1: it stays away for ten minutes.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CEPH_START_MS, type Gateway, startGateway } from "../helpers/ceph.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { needs, serviceAvailable } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const AWAY_MS = process.env.HUIYUAN_LAB === "1" ? 600_000 : 15_000;
const STORED = 40;
const BUCKET = bucketName();

let gateway: Gateway;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  if (!serviceAvailable("ceph")) return;
  gateway = await startGateway();
  await plainS3(gateway).makeBucket(BUCKET);
  const jpeg = await noisyJpeg(160, 120);
  origin = await startScriptedOrigin((_request, connection) => connection.send(response(jpeg)));
  const { url: endpoint, region, accessKeyId, secretAccessKey } = gateway;
  const place = { endpoint, region, bucket: BUCKET, accessKeyId, secretAccessKey, pathStyle: true };
  const store = { type: "s3", ...place, allowPrivate: true };
  installation = await install(oneBucket(mirrorOf(origin.url), {}, { store }));
  program = await installation.start();
}, CEPH_START_MS);
afterAll(async () => {
  await program?.kill();
  await origin?.close();
  await gateway?.stop();
  await installation?.remove();
});

test("no hit fails while S3 is away, and all fetched images are stored once after it", {
  ...needs("ceph"),
  timeout: AWAY_MS + 240_000,
}, async () => {
  const s3 = plainS3(gateway);
  const load = async (name: string) => {
    const { status, isWhole } = await get({ port: program.downloadPort, path: `/${name}` });
    return status === 200 && isWhole ? undefined : `${name}: ${status}, whole: ${isWhole}`;
  };
  const stored = Array.from({ length: STORED }, (_, index) => `stored-${index}.jpg`);
  for (const name of stored) expect(await load(name)).toBeUndefined();
  const names = async () => (await s3.list(BUCKET)).map((key) => key.replace(/^.*\//, ""));
  await eventually(async () => (await names()).length === STORED, "the first images are in S3", 30_000);

  await gateway.stop();
  const until = performance.now() + AWAY_MS;
  const failures: string[] = [];
  const fetched: string[] = [];
  let hits = 0;
  const visit = async (next: () => string, pauseMs: number) => {
    while (performance.now() < until) {
      const failure = await load(next());
      if (failure !== undefined) failures.push(failure);
      await delay(pauseMs);
    }
  };
  const hit = () => {
    hits += 1;
    return stored[hits % STORED] as string;
  };
  const miss = () => {
    fetched.push(`fetched-${fetched.length}.jpg`);
    return fetched.at(-1) as string;
  };
  await Promise.all([visit(hit, 20), visit(hit, 20), visit(miss, 100)]);
  expect(failures).toEqual([]);
  expect(hits).toBeGreaterThan(AWAY_MS / 200);

  await gateway.start();
  const all = [...stored, ...fetched].sort();
  await eventually(async () => (await names()).length >= all.length, "the fetched images are in S3", 180_000);
  expect((await names()).sort()).toEqual(all);
  const puts = (await gateway.accessLog()).filter((line) => /PUT \S*fetched-\S* 200$/.test(line));
  expect(puts.length).toBe(fetched.length);
  expect(new Set(puts).size).toBe(fetched.length);
  process.stdout.write(`${hits} hits and ${fetched.length} misses while S3 was away; 0 failed, each stored once\n`);
});
