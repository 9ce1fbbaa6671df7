// The main job on real input: a real nginx with real photographs is mirrored through signed URLs, then stopped, and
// every image is still served. Huiyuan itself is killed in the middle and restarted.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSqlite } from "../../src/core/sqlite.ts";
import { makeToken } from "../../src/serve/sign/token.ts";
import { get, pathOf } from "../helpers/get.ts";
import { type CorpusImage, photographCorpus } from "../helpers/photographs.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { type Nginx, needs, startNginx } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { ownFileNames, readSha256, type StoredBlob, storedBlobs } from "../helpers/stored-blobs.ts";

let images: readonly CorpusImage[];
let nginx: Nginx;
let installation: Installation;
let program: Program;

const sign = (fileid: string) => {
  const issuedAt = Math.floor(Date.now() / 1_000);
  const fields = {
    appid: APPID,
    bucket: "photos",
    secretId: KEYS[0].secretId,
    expires: issuedAt + 3_600,
    issuedAt,
    random: 1,
    userid: "0",
    fileid,
  };
  return makeToken(fields, KEYS[0].secretKey);
};
const download = (key: string) =>
  get({ port: program.downloadPort, path: `${pathOf(key)}?sign=${encodeURIComponent(sign(key))}`, deadlineMs: 60_000 });

async function sha256(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

/** Downloads all, four at a time, and checks every byte; returns the Cache-Status of each. */
async function downloadAll(list: readonly CorpusImage[]): Promise<string[]> {
  const said: string[] = [];
  const queue = [...list];
  const worker = async () => {
    for (let image = queue.shift(); image !== undefined; image = queue.shift()) {
      const answer = await download(image.key);
      const equal =
        answer.isWhole && createHash("sha256").update(answer.body).digest("hex") === (await sha256(image.path));
      expect({ key: image.key, status: answer.status, equal }).toEqual({ key: image.key, status: 200, equal: true });
      said.push(String(answer.headers["cache-status"]));
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return said;
}

beforeAll(async () => {
  const corpus = await photographCorpus();
  images = corpus.images;
  nginx = await startNginx({ root: corpus.root });
  installation = await install(oneBucket(mirrorOf(nginx.url), { token: "required" }));
  program = await installation.start();
}, 180_000);
afterAll(async () => {
  await program?.kill();
  await nginx?.remove();
  await installation?.remove();
});

const SERVICES = needs("nginx", "photographs");

test("hundreds of photographs are mirrored, and survive the origin's end and a kill -9", SERVICES, async () => {
  expect(images.length).toBeGreaterThan(300);
  const half = Math.floor(images.length / 2);

  await downloadAll(images.slice(0, half));
  // Downloads and writes are in progress when the process is killed.
  const cut = Promise.allSettled(images.slice(half, half + 40).map((image) => download(image.key)));
  await program.kill();
  await cut;
  program = await installation.start();
  await downloadAll(images);
  await eventually(() => countObjects() === images.length, "every image is in the catalogue", 30_000);

  await nginx.stop();
  const said = await downloadAll(images);
  expect(said.filter((status) => !status.startsWith("huiyuan; hit"))).toEqual([]);

  await program.kill();
  program = await installation.start();
  const afterRestart = await downloadAll(images);
  expect(afterRestart.filter((status) => !status.startsWith("huiyuan; hit"))).toEqual([]);
  await expectNothingTornOrTwice();
});

function countObjects(): number {
  const database = openSqlite(join(installation.data, "catalogue.db"), { readonly: true });
  try {
    return (database.prepare("SELECT count(*) AS count FROM entries WHERE state = 'object'").get() as { count: number })
      .count;
  } finally {
    database.close();
  }
}

/** Every blob in the catalogue is whole, in a pack or a file of its own. Each different image has one blob. */
async function expectNothingTornOrTwice(): Promise<void> {
  const blobs = storedBlobs(installation.data);
  for (const blob of blobs) expect(readSha256(blob), `at ${blob.at} of ${blob.path}`).toBe(blob.sha256);
  const different = new Set(await Promise.all(images.map((image) => sha256(image.path))));
  expect(new Set(blobs.map((blob) => blob.sha256))).toEqual(different);
  expect(blobs).toHaveLength(different.size);
  const own = blobs.filter(({ pack }) => pack === undefined).map((blob) => blob.sha256);
  expect([...ownFileNames(installation.data)].sort()).toEqual(own.sort());
  // The corpus must have both kinds, or half of this test checks nothing.
  expect([own.length > 0, own.length < blobs.length]).toEqual([true, true]);
  expectNoOverlap(blobs);
}

function expectNoOverlap(blobs: readonly StoredBlob[]): void {
  const packed = blobs.filter(({ pack }) => pack !== undefined);
  packed.sort((one, other) => Number(one.pack) - Number(other.pack) || one.at - other.at);
  for (const [index, { pack, at, size }] of packed.entries()) {
    const next = packed[index + 1];
    if (next?.pack === pack) expect(next?.at).toBeGreaterThanOrEqual(at + size);
  }
}
