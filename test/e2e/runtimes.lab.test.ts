// A data folder outlives a change of the runtime: the program on another Node reads and continues it after a kill, and
// the first one then reads what the other has written. .ci/run tests with Node 20 and 24, whose SQLite differs.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { changeObjects, storedObjects } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { type Nginx, needs, startNginx } from "../helpers/services.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";

const OTHER = process.env.HUIYUAN_OTHER_NODE;

let root: string;
let nginx: Nginx;
let installation: Installation;
let program: Program;
const images = new Map<string, Buffer>();

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "huiyuan-runtimes-"));
  // Small ones are stored in packs, the large ones in files of their own.
  for (const name of ["small1", "small2", "small3", "deleted"]) images.set(name, await noisyJpeg(160, 120));
  for (const name of ["large1", "large2"]) images.set(name, await noisyJpeg(1_600, 1_200));
  for (const [name, bytes] of images) await writeFile(join(root, `${name}.jpg`), bytes);
  nginx = await startNginx({ root });
  installation = await install(oneBucket(mirrorOf(nginx.url)));
});

afterAll(async () => {
  await program?.kill();
  await nginx?.remove();
  await installation?.remove();
  await rm(root, { recursive: true, force: true });
});

/** Downloads the images and compares their bytes. Returns the cache status of each. */
async function download(...names: readonly string[]): Promise<string[]> {
  const said: string[] = [];
  for (const name of names) {
    const answer = await get({ port: program.downloadPort, path: `/${name}.jpg` });
    expect([name, answer.status, images.get(name)?.equals(answer.body)]).toEqual([name, 200, true]);
    said.push(String(answer.headers["cache-status"]).replace(/^huiyuan; (\w+).*/, "$1"));
  }
  return said;
}

const statusOf = async (name: string) => (await get({ port: program.downloadPort, path: `/${name}.jpg` })).status;

const change = (call: "delete" | "undelete", name: string) =>
  changeObjects(program.adminPort, call, { bucket: `${APPID}/photos`, names: [`${name}.jpg`] });

/** Kills the program once so many images are durable. The kill leaves the database's log as it is. */
async function killOnceStored(count: number): Promise<void> {
  const isStored = () => storedObjects(installation.data, `${APPID}/photos`).length === count;
  await eventually(isStored, `${count} images are stored`);
  await program.kill();
}

test("two runtimes take turns on one data folder", needs("nginx", "another Node"), async () => {
  program = await installation.start();
  expect(await download("small1", "large1", "deleted")).toEqual(["fwd", "fwd", "fwd"]);
  await change("delete", "deleted");
  // The folder is locked against the other runtime too.
  await expect(installation.start({ node: OTHER })).rejects.toThrow("another huiyuan process is using it");
  await killOnceStored(2);

  program = await installation.start({ node: OTHER });
  expect(await download("small1", "large1")).toEqual(["hit", "hit"]);
  expect(await statusOf("deleted")).toBe(404);
  expect(await download("small2", "large2")).toEqual(["fwd", "fwd"]);
  await change("undelete", "deleted");
  await change("delete", "small1");
  expect(program.output).not.toMatch(/warning/i);
  await killOnceStored(3);

  program = await installation.start();
  expect(await download("small2", "large1", "large2")).toEqual(["hit", "hit", "hit"]);
  expect(await statusOf("small1")).toBe(404);
  expect(await download("deleted", "small3")).toEqual(["fwd", "fwd"]);
  expect(await program.stop()).toBe(0);

  program = await installation.start({ node: OTHER });
  await nginx.stop();
  expect(await download("small2", "small3", "large1", "large2", "deleted")).toEqual(Array(5).fill("hit"));
});
