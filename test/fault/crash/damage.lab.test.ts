// Damages stored bytes and the catalogue while the program is stopped. No wrong byte is served, and mirrored objects
// are fetched again. An unusable catalogue ends the start with instructions.
import { createHash } from "node:crypto";
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blobPath, packPath } from "../../../src/serve/bucket/fs/blob-places.ts";
import { get } from "../../helpers/get.ts";
import { eventually, type Program } from "../../helpers/program.ts";
import { randomBytes } from "../../helpers/whole-body.ts";
import { bodyOf, downloadRight, FROM_BUCKET, type Mirrored, prepareMirrored } from "./mirrored.ts";

const BLOCK = 65_536;
const PATH = "/large";

let mirrored: Mirrored;
let catalogue: string;
let program: Program | undefined;

afterAll(async () => {
  await program?.kill();
  await mirrored.close();
});

async function start(): Promise<Program> {
  program = await mirrored.installation.start();
  return program;
}

async function stop(): Promise<void> {
  expect(await program?.stop()).toBe(0);
  program = undefined;
}

async function stored(path: string): Promise<void> {
  await eventually(async () => (await downloadRight(program!, path)) === FROM_BUCKET, `${path} is stored`);
}

/** Returns the file of the blob with these bytes. */
function blobOf(bytes: Buffer): string {
  return blobPath(mirrored.installation.data, createHash("sha256").update(bytes).digest("hex"));
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 0x01;
  writeFileSync(path, bytes);
}

/** `isLate`: the damage is found after the response head was sent. */
interface BlobDamage {
  readonly name: string;
  readonly damage: (path: string) => void;
  readonly isLate?: boolean;
}

const BLOB_DAMAGE: readonly BlobDamage[] = [
  { name: "one bit of the first block", damage: (path) => flip(path, 100) },
  { name: "one bit of a block in the middle", damage: (path) => flip(path, 5 * BLOCK + 7), isLate: true },
  { name: "the last bit", damage: (path) => flip(path, statSync(path).size - 1), isLate: true },
  { name: "cut by one byte", damage: (path) => truncateSync(path, statSync(path).size - 1) },
  { name: "cut in the middle", damage: (path) => truncateSync(path, statSync(path).size / 2) },
  { name: "longer by one byte", damage: (path) => writeFileSync(path, "x", { flag: "a" }) },
  { name: "an empty file", damage: (path) => truncateSync(path, 0) },
  { name: "no file", damage: (path) => rmSync(path) },
  { name: "a folder that is gone", damage: (path) => rmSync(join(path, "../.."), { recursive: true }) },
];

const SMALL = ["/small-1", "/small-2"] as const;

/** Flips a bit of one image's bytes in the pack that both images share. */
function damageInPack(path: string): void {
  const pack = packPath(mirrored.installation.data, 1);
  const at = readFileSync(pack).indexOf(bodyOf(path));
  expect(at).toBeGreaterThanOrEqual(0);
  flip(pack, at + 100);
}

/** Not row 0, which has the bytes of PATH. */
function pathOfRow(index: number): string {
  return `/large-${index + 1}`;
}

beforeAll(async () => {
  mirrored = await prepareMirrored();
  catalogue = join(mirrored.installation.data, "catalogue.db");
  await start();
  await stored(PATH);
  for (const index of BLOB_DAMAGE.keys()) await stored(pathOfRow(index));
  for (const path of SMALL) await stored(path);
  await stop();
  damageInPack(SMALL[0]);
  for (const [index, { damage }] of BLOB_DAMAGE.entries()) damage(blobOf(bodyOf(pathOfRow(index))));
  await start();
});

test.each(BLOB_DAMAGE.map((row, index) => ({ isLate: false, ...row, path: pathOfRow(index) })))(
  "a damaged blob ($name) is fetched again, and no wrong byte is served",
  async ({ path, isLate }) => {
    const asked = mirrored.origin.requests.length;
    const answer = await get({ port: program!.downloadPort, path });
    expect(answer.status).toBe(200);
    expect(answer.isWhole).toBe(!isLate);
    const right = bodyOf(path);
    expect(answer.body.equals(right.subarray(0, isLate ? answer.body.length : right.length))).toBe(true);
    await stored(path);
    expect(mirrored.origin.requests.length).toBe(asked + 1);
  },
);

test("a damaged blob in a pack is fetched again, no wrong byte is served, and its neighbour still is", async () => {
  const asked = mirrored.origin.requests.length;
  await stored(SMALL[0]);
  expect(mirrored.origin.requests.length).toBe(asked + 1);
  expect(await downloadRight(program!, SMALL[1])).toBe(FROM_BUCKET);
});

test("images of a missing pack are fetched again", async () => {
  await stop();
  rmSync(packPath(mirrored.installation.data, 1));
  await start();
  for (const path of SMALL) await stored(path);
});

interface CatalogueDamage {
  readonly name: string;
  readonly damage: (catalogue: string) => void;
}

const REFUSED: readonly CatalogueDamage[] = [
  { name: "garbage", damage: (path) => writeFileSync(path, randomBytes(40_960)) },
  { name: "empty, beside blobs", damage: (path) => truncateSync(path, 0) },
];

const HEALED: readonly CatalogueDamage[] = [
  { name: "no log, after kill -9", damage: (path) => rmSync(`${path}-wal`) },
  {
    name: "none at all",
    damage(path) {
      for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
    },
  },
];

test.each(REFUSED)("a catalogue that is $name ends the start with code 1 and instructions", async ({ damage }) => {
  if (program !== undefined) await stop();
  const saved = readFileSync(catalogue);
  damage(catalogue);
  const message = /ended \(1\)[\s\S]*the catalogue ".*": it is damaged [\s\S]*restore [\s\S]*from a backup/;
  await expect(start()).rejects.toThrow(message);
  // The failed start changed nothing: with the file restored, all is served.
  writeFileSync(catalogue, saved);
  await start();
  expect(await downloadRight(program!, PATH)).toBe(FROM_BUCKET);
});

test.each(HEALED)("a catalogue with $name is replaced, and images are served and stored again", async ({ damage }) => {
  if (program === undefined) await start();
  await stored(PATH);
  await program!.kill();
  damage(catalogue);
  await start();
  await stored(PATH);
});
