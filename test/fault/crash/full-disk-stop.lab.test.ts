// Stops the program while a full disk delays everything: running and paused fetches, pending writes, renders, uploads,
// clients that do not read, and clients that disconnect. The stop ends within its 10 s.
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { get } from "../../helpers/get.ts";
import { noisyBmp } from "../../helpers/images.ts";
import { type Installation, install, type Program, within } from "../../helpers/program.ts";
import { head, type ScriptedConnection, startScriptedOrigin } from "../../helpers/scripted-origin.ts";
import { needs } from "../../helpers/services.ts";
import { mirrorOf, oneBucket } from "../../helpers/settings.ts";
import { fillDisk, mountSmall } from "./broken-disk.ts";
import { createRandom, type Random } from "./random.ts";

/** `FULL_DISK_STOPS=30` runs more of them, `FULL_DISK_FIRST=31` starts with another seed. */
const RUNS = Number(process.env.FULL_DISK_STOPS ?? 3);
const FIRST = Number(process.env.FULL_DISK_FIRST ?? 1);
const STOP_MS = 10_000;
const clean: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});

const large = noisyBmp(900, 1_000);
const small = noisyBmp(60, 60);

/** Sends an image in a random framing and pace. */
async function sendSomehow(connection: ScriptedConnection, target: string, random: Random): Promise<void> {
  const body = target.startsWith("/small") ? small : large;
  const framing: [string, string][] = random.below(3) === 0 ? [] : [["Content-Length", String(body.length)]];
  if (random.below(2) === 0) framing.push(["Connection", "close"]);
  await connection.send(head("200 OK", framing));
  const cut = random.below(4) === 0 ? random.below(body.length) : body.length;
  const step = 1 + random.below(300_000);
  for (let at = 0; at < cut; at += step) {
    await connection.send(body.subarray(at, Math.min(at + step, cut)));
    if (random.below(6) === 0) await connection.pause(random.below(60));
  }
  const end = random.below(6);
  if (end === 0) return connection.hang();
  if (end === 1) connection.reset();
  else if (end === 2 || framing.length < 2 || cut < body.length) connection.end();
}

/** Sends a random request; then reads the response, ignores it, or disconnects. */
function askSomehow(program: Program, random: Random, sockets: Socket[]): void {
  const name = `/${random.below(3) === 0 ? "small" : "large"}-${random.below(40)}`;
  const instruction = ["", "", "?imageMogr2/thumbnail/50x", "?imageInfo", "?imageMogr2/format/png"][random.below(5)];
  const headers = [{}, {}, { Range: "bytes=0-9,20-29" }, { "If-Match": '"x"' }, { Range: "bytes=-5" }][random.below(5)];
  const path = `${name}${instruction}`;
  if (random.below(3) === 0) {
    const socket = connect(program.downloadPort, "127.0.0.1");
    sockets.push(socket);
    socket.on("error", () => {}); // The stop resets this connection.
    socket.write(`GET ${path} HTTP/1.1\r\nHost: any.example\r\n\r\n`);
    if (random.below(2) === 0) setTimeout(() => socket.destroy(), random.below(1_500));
    return;
  }
  const leaveAfter = random.below(4) === 0 ? random.below(200_000) : Number.POSITIVE_INFINITY;
  get({ port: program.downloadPort, path, headers: { ...headers }, leaveAfter }).catch(() => undefined);
}

async function start(installation: Installation): Promise<Program> {
  const program = await installation.start();
  clean.push(() => program.kill());
  return program;
}

describe("a full disk", needs("tmpfs"), () => {
  test.each(Array.from({ length: RUNS }, (_, index) => FIRST + index))(
    "a stop during random load ends in time (seed %i)",
    async (seed) => {
      const random = createRandom(seed);
      const origin = await startScriptedOrigin(({ target }, connection) => sendSomehow(connection, target, random));
      clean.push(() => origin.close());
      const freeDisk = ["0MB", "10MB", "60MB"][seed % 3];
      const limits = { freeDisk, spoolMemory: ["0", "300KB", "64MiB"][random.below(3)], hotObjectSize: "1KB" };
      const timeouts = { firstByte: "30s", idle: "30s", total: "60s" };
      const installation = await install(oneBucket(mirrorOf(origin.url, { timeouts }), {}, { limits }));
      clean.push(() => installation.remove());
      const { unmount } = await mountSmall(installation.data, "48m");
      clean.push(unmount);
      const program = await start(installation);
      if (random.below(4) !== 0) await fillDisk(join(installation.data, "filler"));
      const sockets: Socket[] = [];
      clean.push(() => {
        for (const socket of sockets) socket.destroy();
      });
      for (let asked = 0; asked < 40 + random.below(160); asked += 1) {
        askSomehow(program, random, sockets);
        if (random.below(10) === 0) await delay(random.below(60));
      }
      await delay(random.below(1_500));
      const began = performance.now();
      const code = await within(program.stop(), 60_000, () => `it has not ended:\n${program.output.slice(-3_000)}`);
      const took = performance.now() - began;
      if (process.env.FULL_DISK_STOPS !== undefined) console.log(seed, freeDisk, Math.round(took));
      expect({ code, isInTime: took < STOP_MS + 500 ? true : took }).toEqual({ code: 0, isInTime: true });
      expect(program.output).not.toMatch(/AssertionError|internal/);
    },
    120_000,
  );
});
