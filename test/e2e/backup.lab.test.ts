// `huiyuan backup` and `huiyuan restore` beside the running program, as an operator uses them.
import { existsSync, statSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { huiyuan, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { oneBucket } from "../helpers/settings.ts";

let installation: Installation;
let empty: Installation;
let program: Program;
let image: Buffer;
let dir: string;

beforeAll(async () => {
  [installation, empty] = [await install(oneBucket(undefined)), await install(oneBucket(undefined))];
  dir = join(installation.folder, "new", "backups");
  image = await noisyJpeg(300, 200);
  program = await installation.start();
  const form = fileForm(image);
  expect(await callApi({ port: program.downloadPort, path: "/a.jpg", form, sign: uploadToken("a.jpg") })).toMatchObject(
    { code: 0 },
  );
});

afterAll(async () => {
  await program.kill();
  await Promise.all([installation.remove(), empty.remove()]);
});

const backUp = (...flags: string[]) => huiyuan(["backup", dir, "--config", installation.file, ...flags]);

async function backupTimes(): Promise<Readonly<Record<string, number>>> {
  const { body } = await get({ port: program.adminPort, host: "127.0.0.1", path: "/metrics" });
  const lines = body.toString().matchAll(/^huiyuan_backup_timestamp_seconds\{event="(\w+)"\} (\S+)$/gm);
  return Object.fromEntries([...lines].map(([, event, at]) => [event, Number(at)]));
}

test("a backup of the running server reports what it did, and the metrics tell when and how it ended", async () => {
  expect(await backupTimes()).toEqual({});
  const began = Date.now() / 1_000;
  const { code, out, err } = await backUp("--json");
  expect([code, err]).toEqual([0, ""]);
  const report = JSON.parse(out);
  expect(report).toMatchObject({ objects: 1, bytes: image.byteLength, damaged: 0, generations: 1 });
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  expect(await readFile(join(report.path, "huiyuan.yaml"), "utf8")).toBe(await readFile(installation.file, "utf8"));
  const { started = 0, succeeded = 0, ...others } = await backupTimes();
  expect([started >= began, succeeded >= started, others]).toEqual([true, true, {}]);

  // The damaged catalogue of the newest backup would stop all later ones.
  const catalogue = join(report.path, "catalogue.db");
  await rm(catalogue);
  await writeFile(catalogue, "no database at all");
  const stopped = await backUp();
  expect([stopped.code, stopped.err]).toEqual([1, expect.stringContaining(`move the folder "${report.path}" away`)]);
  await rename(report.path, join(installation.folder, "away"));
  expect((await backUp()).code).toBe(0);

  const failed = await loadedHuiyuan(["backup", installation.data, "--config", installation.file]);
  expect([failed.code, failed.err]).toEqual([1, expect.stringContaining("it overlaps the data folder")]);
  expect((await backupTimes()).failed).toBeGreaterThanOrEqual(succeeded);
});

test("a backup of a folder without a catalogue says whether there is such a folder", async () => {
  const missing = await loadedHuiyuan(["backup", dir, "--config", empty.file]);
  expect([missing.code, missing.err]).toEqual([1, expect.stringContaining("there is no such folder; see `data`")]);
  await mkdir(empty.data);
  const other = await loadedHuiyuan(["backup", dir, "--config", empty.file]);
  expect([other.code, other.err]).toEqual([1, expect.stringContaining("no server has used it yet")]);
});

test("a restore refuses the running server's folder, fills an empty one, and refuses it afterwards", async () => {
  expect((await backUp()).out).toContain(": 1 image, ");
  const running = await loadedHuiyuan(["restore", dir, "--config", installation.file]);
  expect([running.code, running.err]).toEqual([1, expect.stringContaining("using it; stop it first")]);
  const restored = await loadedHuiyuan(["restore", dir, "--config", empty.file]);
  expect([restored.code, restored.err]).toEqual([0, ""]);
  const again = await loadedHuiyuan(["restore", dir, "--config", empty.file]);
  expect([again.code, again.err]).toEqual([1, expect.stringContaining("it is not empty")]);
  const copy = await empty.start();
  try {
    const answer = await get({ port: copy.downloadPort, path: "/a.jpg" });
    expect([answer.status, answer.body.equals(image)]).toEqual([200, true]);
  } finally {
    await copy.kill();
  }
});

test("wrong usage exits with 2, what is no backup or has no settings with 1", async () => {
  expect((await loadedHuiyuan(["backup", "--config", installation.file])).code).toBe(2);
  expect((await backUp("--keep", "0")).code).toBe(2);
  const none = await loadedHuiyuan(["restore", join(installation.folder, "none"), "--config", installation.file]);
  expect([none.code, none.err]).toEqual([1, expect.stringContaining("there is no such folder")]);
  const other = await loadedHuiyuan(["restore", installation.folder, "--config", installation.file]);
  expect([other.code, other.err]).toEqual([1, expect.stringContaining("it is no backup")]);
  expect(existsSync(join(installation.folder, "none"))).toBe(false);
  const lost = await loadedHuiyuan(["restore", dir, "--config", join(installation.folder, "lost.yaml")]);
  expect([lost.code, lost.err]).toEqual([1, expect.stringContaining("has the settings of its time")]);
});
