// If the log cannot be written (full disk, closed or stalled reader), log lines are lost and nothing else fails.
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

/** Makes log lines long. */
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

/** Resolves once the program serves. `out`: its standard output. */
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

test.runIf(process.platform === "linux")(
  "the program serves and stops cleanly when the log's disk is full",
  async () => {
    const full = await open("/dev/full", "w");
    try {
      const program = await serve(full.fd);
      for (let index = 0; index < 20; index += 1) expect((await ask("/a.jpg")).status).toBe(200);
      expect(await stopped(program)).toBe(0);
    } finally {
      await full.close();
    }
  },
);

test("the program serves and stops cleanly when the log's reader has closed the pipe", async () => {
  const program = await serve("pipe");
  program.stdout?.destroy();
  for (let index = 0; index < 20; index += 1) expect((await ask("/a.jpg")).status).toBe(200);
  expect(await stopped(program)).toBe(0);
});

test("a stalled log reader delays lines, then loses some, and the log reports how many", async () => {
  const program = await serve("pipe");
  // Nothing has been read from the pipe yet, which holds about 64 KB.
  for (let batch = 0; batch < 60; batch += 1) {
    const answers = await Promise.all(Array.from({ length: 25 }, () => ask(`/${LONG}`)));
    for (const { status } of answers) expect(status).toBe(404);
  }
  let asked = 1_500;
  let read = "";
  program.stdout?.on("data", (bytes: Buffer) => {
    read += bytes.toString();
  });
  await eventually(async () => {
    await ask(`/${LONG}`);
    asked += 1;
    return LOST.test(read);
  }, "the loss is reported");
  const lost = Number(LOST.exec(read)?.[1]);
  expect(lost).toBeGreaterThan(0);
  const lines = () => read.split("\n").filter((line) => line.includes(LONG));
  await eventually(() => lines().length + lost === asked, "each line was written or counted");
  const whole = lines();
  for (const line of whole) expect(JSON.parse(line)).toMatchObject({ status: 404 });
  expect(await stopped(program)).toBe(0);
});
