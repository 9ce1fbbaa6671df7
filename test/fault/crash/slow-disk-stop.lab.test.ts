// A stop while the disk takes longer for one fsync than the whole stop may: it ends in its 10 s all the same, and nothing that was
// acknowledged is lost.
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

/** Until it comes from the bucket. */
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

/** Code null: the signal ended it. */
async function stop(program: Program, mend: () => Promise<void>) {
  const began = performance.now();
  const stopped = program.stop();
  await within(ended(program), 2 * STOP_MS, () => `it has not ended:\n${program.output}`);
  const took = performance.now() - began;
  await mend();
  return { code: await stopped, isInTime: took < STOP_MS + 500 ? true : took };
}

// They wait for different programs, not for each other.
describe.concurrent("a disk that takes 30 s for an fsync", needs("strace"), () => {
  test("a stop while images are stored ends in time, by the signal, and loses none that was stored", async () => {
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

  test("a stop while only its readiness is tried ends in time, by the signal", async () => {
    const { program } = await start();
    const mend = await slow(program);
    get({ port: program.adminPort, path: "/readyz", host: "127.0.0.1" }).catch(() => undefined);
    await eventually(() => isHeldUp(program.pid), "the disk is tried");
    expect(await stop(program, mend)).toEqual({ code: null, isInTime: true });
  }, 40_000);
});
