// Stops the program while one fsync takes longer than the whole stop may. It still ends within its 10 s, and loses no
// acknowledged object.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { get } from "../../helpers/get.ts";
import { eventually, type Program, within } from "../../helpers/program.ts";
import { needs } from "../../helpers/services.ts";
import { hasEnded, isHeldUp, slowDisk } from "./broken-disk.ts";
import { downloadRight, FROM_BUCKET, prepareMirrored } from "./mirrored.ts";

const STOP_MS = 10_000;
const FSYNC_SECONDS = 30;
const clean: (() => unknown)[] = [];

afterAll(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});

async function start() {
  const mirrored = await prepareMirrored();
  clean.push(() => mirrored.close());
  const begin = async () => {
    const program = await mirrored.installation.start();
    clean.push(() => program.kill());
    return program;
  };
  return { ...mirrored, begin, program: await begin() };
}

/** Downloads the image until it comes from the bucket. */
async function stored(program: Program, path: string): Promise<void> {
  await eventually(async () => (await downloadRight(program, path)) === FROM_BUCKET, `${path} is stored`);
}

async function slow({ pid }: Program): Promise<() => Promise<void>> {
  const mend = await slowDisk(pid, { calls: ["fsync", "fdatasync"], seconds: FSYNC_SECONDS });
  clean.push(mend);
  return mend;
}

async function ended({ pid }: Program): Promise<void> {
  while (!hasEnded(pid)) await delay(10);
}

/** Code null: a signal ended the process. */
async function stop(program: Program, mend: () => Promise<void>) {
  const began = performance.now();
  const stopped = program.stop();
  await within(ended(program), 2 * STOP_MS, () => `it has not ended:\n${program.output}`);
  const took = performance.now() - began;
  await mend();
  return { code: await stopped, isInTime: took < STOP_MS + 500 ? true : took };
}

// Concurrent, because each test waits for its own program.
describe.concurrent("a disk that takes 30 s for an fsync", needs("strace"), () => {
  test("a stop during pending writes ends in time, by the signal, and loses no stored image", async () => {
    const { program, begin, origin } = await start();
    await stored(program, "/small");
    const mend = await slow(program);
    await Promise.all(["/small1", "/large"].map((path) => downloadRight(program, path)));
    await eventually(() => isHeldUp(program.pid), "the disk is asked to keep an image");
    expect(await stop(program, mend)).toEqual({ code: null, isInTime: true });
    expect(program.output).toContain("stopped before everything was closed");
    const again = await begin();
    const asked = origin.requests.length;
    expect(await downloadRight(again, "/small")).toBe(FROM_BUCKET);
    expect(origin.requests.length).toBe(asked);
    for (const path of ["/small1", "/large"]) await stored(again, path);
  }, 40_000);

  test("a stop during only a readiness check ends in time, by the signal", async () => {
    const { program } = await start();
    const mend = await slow(program);
    get({ port: program.adminPort, path: "/readyz", host: "127.0.0.1" }).catch(() => undefined);
    await eventually(() => isHeldUp(program.pid), "the disk is tried");
    expect(await stop(program, mend)).toEqual({ code: null, isInTime: true });
  }, 40_000);
});
