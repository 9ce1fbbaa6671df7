// Backs up a running program under load, with compaction, while server and backup are killed at random moments. It
// restores twice. Every object that was acknowledged before the backup began must be there, byte for byte.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as elapse } from "node:timers/promises";
import { expect, test } from "vitest";
import type { BackupReport } from "../../../src/operate/backups/backup.ts";
import { get, pathOf } from "../../helpers/get.ts";
import { noisyJpeg } from "../../helpers/images.ts";
import { eventually, huiyuan, type Installation, PROGRAM, type Program } from "../../helpers/program.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../../helpers/rest-api.ts";
import { bodyOf, FROM_BUCKET, type Mirrored, prepareMirrored } from "./mirrored.ts";

/** Uploads before the first backup: more than two packs of 64 MiB, and files of their own. */
const FIRST = 900;
/** Most images of the first pack are deleted, so that it is compacted. */
const DELETED = 360;
/** The sweep begins every 15 s and leaves images for 30 s. */
const COMPACTED_WITHIN_MS = 240_000;
const LARGE_EVERY = 20;
/** Images of the origin that are downloaded again and again. Every 50th download is of another one. */
const MIRRORED = 200;
const MISS_EVERY = 50;

const jpeg = await noisyJpeg(300, 200);

/** A different image for each number: decoders ignore bytes behind a JPEG's end. Most fit into a pack. */
function imageOf(number: number): Buffer {
  const size = number % LARGE_EVERY === 0 ? 400_000 : 100_000 + ((number * 7_919) % 100_000);
  return Buffer.concat([jpeg, Buffer.alloc(size, `${number}`)]);
}

const nameOf = (number: number) => `upload-${number}.jpg`;

/** Clients that upload, delete and download for as long as it runs. Requests that fail change no expectation. */
class Load {
  readonly uploaded = new Set<number>();
  /** Mirrored images that were answered from the bucket. */
  readonly mirrored = new Set<string>();
  /** Bytes of all images that were sent for the first time: what a later backup cannot have linked or skipped. */
  newBytes = 0;
  readonly #port: () => number;
  #next = 0;
  #downloads = 0;
  #deleted = DELETED;
  #isStopped = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(port: () => number) {
    this.#port = port;
  }

  async upload(): Promise<void> {
    this.#next += 1;
    const number = this.#next;
    const fileid = nameOf(number);
    const image = imageOf(number);
    this.newBytes += image.byteLength;
    const form = fileForm(image);
    const { code } = await callApi({ port: this.#port(), path: `/${fileid}`, form, sign: uploadToken(fileid) });
    if (code === 0) this.uploaded.add(number);
  }

  async delete(number: number): Promise<void> {
    // From now on nobody knows whether it is there.
    if (!this.uploaded.delete(number)) return;
    const fileid = nameOf(number);
    await callApi({ port: this.#port(), path: `/${fileid}/del`, method: "POST", sign: onceToken(fileid) });
  }

  deleteNext(): Promise<void> {
    this.#deleted += 7;
    return this.delete(this.#deleted);
  }

  async download(): Promise<void> {
    this.#downloads += 1;
    const isNew = this.#downloads % MISS_EVERY === 0;
    const number = isNew ? MIRRORED + this.#downloads / MISS_EVERY : this.#downloads % MIRRORED;
    const path = `/${number % LARGE_EVERY === 0 ? "large" : "small"}-${number}`;
    const { headers, body } = await get({ port: this.#port(), path });
    if (isNew) this.newBytes += body.byteLength;
    if (headers["cache-status"] === FROM_BUCKET) this.mirrored.add(path);
  }

  start(): void {
    const forEver = async (step: () => Promise<void>, pauseMs: number) => {
      while (!this.#isStopped) {
        await step().catch(() => undefined); // The server was killed.
        await elapse(pauseMs);
      }
    };
    this.#running = Promise.all([
      forEver(() => this.upload(), 800),
      forEver(() => this.download(), 30),
      forEver(() => this.download(), 30),
      forEver(() => this.deleteNext(), 500),
    ]);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }
}

interface Setting {
  readonly mirrored: Mirrored;
  readonly dir: string;
  readonly flags: readonly string[];
  readonly load: Load;
  program: Program;
}

async function killServer(setting: Setting): Promise<void> {
  await setting.program.kill();
  setting.program = await setting.mirrored.installation.start();
}

const argumentsOf = ({ mirrored, dir, flags }: Setting) => [
  ...["backup", dir, "--json", "--config", mirrored.installation.file],
  ...flags,
];

/** Kills a backup after a random time, in which it may or may not have ended. */
async function killedBackup(setting: Setting, longestMs: number): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, ...argumentsOf(setting)], { stdio: "ignore" });
  const ended = once(child, "exit");
  await elapse(Math.random() * longestMs);
  child.kill("SIGKILL");
  await ended;
}

/** Makes a whole backup while the server is killed. Returns what was there before and its report. */
async function backUp(setting: Setting, longestMs: number) {
  const { load } = setting;
  const [uploaded, mirrored] = [[...load.uploaded], [...load.mirrored]];
  const running = huiyuan(argumentsOf(setting));
  await elapse(Math.random() * longestMs);
  await killServer(setting);
  const { code, out, err } = await running;
  expect([code, err]).toEqual([0, ""]);
  // An image that was deleted meanwhile may be there or not.
  const expected = uploaded.filter((number) => load.uploaded.has(number));
  return { uploaded: expected, mirrored, report: JSON.parse(out) as BackupReport };
}

/** Restores to a new installation, whose origin answers nothing, and compares every expected object. */
async function expectRestored(
  { dir }: Setting,
  { uploaded, mirrored }: { readonly uploaded: readonly number[]; readonly mirrored: readonly string[] },
): Promise<void> {
  const copy: Mirrored = await prepareMirrored();
  try {
    await copy.origin.close();
    const { code, out, err } = await huiyuan(["restore", dir, "--config", copy.installation.file]);
    expect([code, err, out]).toEqual([0, "", expect.stringContaining("start the server")]);
    const program = await copy.installation.start();
    try {
      expect([uploaded.length > FIRST / 3, mirrored.length > MIRRORED / 4]).toEqual([true, true]);
      const wanted = [
        ...uploaded.map((number) => [pathOf(nameOf(number)), imageOf(number)] as const),
        ...mirrored.map((path) => [path, bodyOf(path)] as const),
      ];
      for (const [path, bytes] of wanted) {
        const answer = await get({ port: program.downloadPort, path });
        expect([path, answer.status, answer.body.equals(bytes)]).toEqual([path, 200, true]);
      }
    } finally {
      await program.kill();
    }
  } finally {
    await copy.close().catch(() => undefined); // Its origin is closed already.
  }
}

/** Bytes of all files, those with several names counted once. */
async function bytesIn(dir: string): Promise<number> {
  const files = new Map<number, number>();
  for (const name of await readdir(dir, { recursive: true })) {
    const found = statSync(join(dir, name), { throwIfNoEntry: false });
    if (found?.isFile() === true) files.set(found.ino, found.size);
  }
  return [...files.values()].reduce((sum, size) => sum + size, 0);
}

async function prepare(flags: readonly string[]): Promise<Setting> {
  const mirrored = await prepareMirrored();
  const program = await mirrored.installation.start();
  const setting: Setting = {
    ...{ mirrored, program, flags, dir: join(mirrored.installation.folder, "backups") },
    load: new Load(() => setting.program.downloadPort),
  };
  const { load } = setting;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let n = 0; n < FIRST / 8; n += 1) await load.upload();
    }),
  );
  for (const number of [...load.uploaded].slice(0, DELETED)) await load.delete(number);
  load.start();
  await eventually(() => load.mirrored.size > MIRRORED / 4, "hits from the bucket", 60_000);
  return setting;
}

const firstPack = ({ data }: Installation) => join(data, "packs", "1");

test.each([
  { name: "copied", flags: ["--copy"] },
  { name: "linked", flags: [] },
])(
  "a $name backup has every acknowledged object, whatever is killed meanwhile",
  { timeout: 900_000 },
  async ({ flags }) => {
    const setting = await prepare(flags);
    const { mirrored, load, dir } = setting;
    try {
      for (let n = 0; n < 3; n += 1) await killedBackup(setting, 3_000);
      await rm(dir, { recursive: true, force: true });
      const began = performance.now();
      const first = await backUp(setting, 1_500);
      const tookMs = performance.now() - began;
      const [firstBytes, newBefore] = [await bytesIn(dir), load.newBytes];
      await expectRestored(setting, first);

      const deadline = performance.now() + COMPACTED_WITHIN_MS;
      while (existsSync(firstPack(mirrored.installation))) {
        expect(performance.now()).toBeLessThan(deadline);
        await killedBackup({ ...setting, dir: `${dir}-killed` }, tookMs);
        // A sweep that meets a backup waits for its next turn, and a start begins its time anew.
        await elapse(Math.random() * 6_000);
        if (Math.random() < 0.08) await killServer(setting);
      }
      for (let n = 0; n < 3; n += 1) {
        const before = await readdir(dir);
        // Mostly killed before its end, so that the next whole run is not left with nothing to do.
        await killedBackup(setting, tookMs / 2);
        expect(await readdir(dir)).toEqual(
          expect.arrayContaining(before.filter((name) => name !== "huiyuan-unfinished")),
        );
      }
      const second = await backUp(setting, tookMs);
      await load.stop();
      // However long the compaction took, the load went on.
      const newBytes = load.newBytes - newBefore;
      const written = (await bytesIn(dir)) - firstBytes;
      console.info(
        `${first.report.bytes} bytes of images; ${firstBytes} in the first backup, ${written} more with the second, ${newBytes} of them new`,
      );
      if (flags.includes("--copy")) expect(written).toBeLessThan(newBytes + firstBytes / 4);
      const { writtenBytes, databaseBytes } = second.report;
      expect(writtenBytes + databaseBytes).toBeLessThan(newBytes + first.report.bytes / 4);
      await expectRestored(setting, second);
    } finally {
      await load.stop();
      await setting.program.kill();
      await mirrored.close();
    }
  },
);
