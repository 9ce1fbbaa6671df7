// Outbox, operation log and usage counters with a full disk or damaged files: no request fails, and records are kept as
// far as possible.
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { freePort, needs } from "../helpers/services.ts";
import { oneBucket } from "../helpers/settings.ts";
import { fillDisk, mountSmall } from "./crash/broken-disk.ts";

const clean: (() => unknown)[] = [];
let jpeg: Buffer;

beforeAll(async () => {
  jpeg = await noisyJpeg(60, 40);
});
afterEach(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});

async function prepare(): Promise<Installation> {
  const callback = { url: `http://127.0.0.1:${await freePort()}/`, secret: "s", allowPrivate: true };
  const installation = await install({ ...oneBucket(undefined, { callback }), limits: { freeDisk: "0MB" } });
  clean.push(() => installation.remove());
  return installation;
}

async function start(installation: Installation): Promise<Program> {
  const program = await installation.start();
  clean.push(() => program.kill());
  return program;
}

const upload = (port: number, fileid: string) =>
  callApi({ port, path: `/${fileid}`, form: fileForm(jpeg), sign: uploadToken() });
const stat = (port: number, fileid: string) => callApi({ port, path: `/${fileid}` });

async function ask(program: Program, path: string): Promise<Record<string, unknown[]>> {
  const answer = await fetch(`http://127.0.0.1:${program.adminPort}/api/v1${path}`);
  expect(answer.status).toBe(200);
  return answer.json() as Promise<Record<string, unknown[]>>;
}

describe("a disk without room", needs("tmpfs"), () => {
  test("records made while the disk is full are written once there is room, and counted once", async () => {
    const installation = await prepare();
    const { unmount } = await mountSmall(installation.data, "8m");
    clean.push(unmount);
    const program = await start(installation);
    const { downloadPort: port } = program;
    expect((await upload(port, "a.jpg")).code).toBe(-5979);
    await eventually(async () => (await ask(program, "/callbacks")).notices?.length === 1, "a notice is owed");
    await eventually(async () => (await ask(program, "/usage")).days?.length === 1, "it is counted");
    await fillDisk(join(installation.data, "filler"));
    for (let count = 0; count < 50; count += 1) expect((await stat(port, "a.jpg")).code).toBe(0);
    expect((await upload(port, "b.jpg")).code).toBe(-5989);
    await eventually(() => program.output.includes("cannot write the operation log"), "the log says so");
    await rm(join(installation.data, "filler"));
    await eventually(async () => (await ask(program, "/log")).entries?.length === 52, "it is written down", 20_000);
    await eventually(async () => {
      const [day] = (await ask(program, "/usage")).days as { operations: { query?: { requests: number } } }[];
      return day?.operations.query?.requests === 50;
    }, "it is counted");
    expect((await upload(port, "b.jpg")).code).toBe(-5979);
    await eventually(async () => (await ask(program, "/callbacks")).notices?.length === 2, "another is owed");
  });
});

test("damaged files are moved aside at the start, and new ones are used", async () => {
  const installation = await prepare();
  let program = await start(installation);
  expect((await upload(program.downloadPort, "a.jpg")).code).toBe(-5979);
  await eventually(async () => (await ask(program, "/log")).entries?.length === 1, "it is in the log");
  await ask(program, "/usage");
  await program.stop();
  const names = ["outbox.db", "operations.db", "usage.db"];
  const damaged = new Map<string, Buffer>();
  for (const name of names) {
    const bytes = await readFile(join(installation.data, name));
    bytes.fill(0xa5, 1_024);
    await writeFile(join(installation.data, name), bytes);
    damaged.set(name, bytes);
  }
  program = await start(installation);
  expect((await stat(program.downloadPort, "a.jpg")).code).toBe(0);
  expect((await upload(program.downloadPort, "b.jpg")).code).toBe(-5979);
  await eventually(async () => (await ask(program, "/log")).entries?.length === 2, "the log goes on");
  await eventually(async () => (await ask(program, "/callbacks")).notices?.length === 1, "so does the outbox");
  expect((await ask(program, "/usage")).days?.length).toBe(1);
  expect(program.output.split("a damaged database was quarantined").length - 1).toBe(3);
  const files = await readdir(installation.data);
  for (const [name, bytes] of damaged) {
    const aside = files.filter((file) => new RegExp(`^${name}\\.damaged-\\d+$`).test(file));
    expect(aside.length).toBe(1);
    expect((await readFile(join(installation.data, aside[0] ?? ""))).equals(bytes)).toBe(true);
  }
});
