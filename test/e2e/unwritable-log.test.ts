// A log that cannot be written (a full disk, a reader that has gone or has stalled) costs lines and nothing else.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, PROGRAM, within } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

/** Makes lines of the log long. */
const LONG = "x".repeat(1_000);
const LOST = /"lines":(\d+),"msg":"lines of this log are lost/;

let origin: ScriptedOrigin;
let installation: Installation;
let port: number;
let child: ChildProcess | undefined;

beforeAll(async () => {
  const jpeg = await noisyJpeg(64, 48);
  origin = await startScriptedOrigin((request, connection) =>
    connection.send(request.target === "/a.jpg" ? response(jpeg) : response("", { status: "404 Not Found" })),
  );
  port = await freePort();
  installation = await install(oneBucket(mirrorOf(origin.url), {}, { server: { port, accessLog: "all" } }));
});
afterEach(async () => {
  if (child === undefined || child.exitCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
});
afterAll(async () => {
  await origin?.close();
  await installation?.remove();
});

/** Answering when this resolves. `out`: its standard output. */
async function serve(out: "pipe" | number): Promise<ChildProcess> {
  const started = spawn(process.execPath, [PROGRAM, "serve", "--config", installation.file], {
    stdio: ["ignore", out, "ignore"],
  });
  child = started;
  const answers = async () => (await ask("/a.jpg").catch(() => undefined))?.status === 200;
  await eventually(answers, "it serves", 20_000);
  return started;
}

const ask = (path: string) => get({ port, path });

async function stopped(program: ChildProcess): Promise<number | null> {
  const ended = once(program, "exit");
  program.kill("SIGTERM");
  await within(ended, 15_000, () => "it did not stop");
  return program.exitCode;
}

test.runIf(process.platform === "linux")("no room for the log: it serves on, and stops in order", async () => {
  const full = await open("/dev/full", "w");
  try {
    const program = await serve(full.fd);
    for (let index = 0; index < 20; index += 1) expect((await ask("/a.jpg")).status).toBe(200);
    expect(await stopped(program)).toBe(0);
  } finally {
    await full.close();
  }
});

test("the reader of the log has gone: it serves on, and stops in order", async () => {
  const program = await serve("pipe");
  program.stdout?.destroy();
  for (let index = 0; index < 20; index += 1) expect((await ask("/a.jpg")).status).toBe(200);
  expect(await stopped(program)).toBe(0);
});

test("the reader of the log has stalled: lines wait, then are lost, and it is told how many", async () => {
  const program = await serve("pipe");
  // Nothing has been read of the pipe yet. Some 64 KB find room in it.
  for (let index = 0; index < 1_500; index += 1) expect((await ask(`/${LONG}`)).status).toBe(404);
  let asked = 1_500;
  let read = "";
  program.stdout?.on("data", (bytes: Buffer) => {
    read += bytes.toString();
  });
  await eventually(async () => {
    await ask(`/${LONG}`);
    asked += 1;
    return LOST.test(read);
  }, "the loss is told");
  const lost = Number(LOST.exec(read)?.[1]);
  expect(lost).toBeGreaterThan(0);
  const lines = () => read.split("\n").filter((line) => line.includes(LONG));
  await eventually(() => lines().length + lost === asked, "each line was written or counted");
  const whole = lines();
  for (const line of whole) expect(JSON.parse(line)).toMatchObject({ status: 404 });
  expect(await stopped(program)).toBe(0);
});
