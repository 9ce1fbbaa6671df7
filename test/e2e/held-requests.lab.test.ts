// Pipelined requests, some with an Upgrade header, after which the client closes its side or the program is stopped.
// The program must keep serving everybody else. Each test uses a program of its own, because a bug could hang it.
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const SLOW_MS = 800;
const request = (path: string, ...fields: string[]) =>
  [`GET ${path} HTTP/1.1`, "Host: any.example", ...fields, "", ""].join("\r\n");
const PLAIN = request("/a.jpg");
const SLOW = request("/slow-NUMBER.jpg");
const OFFER = request("/a.jpg", "Connection: Upgrade", "Upgrade: websocket");

const SHAPES: readonly (readonly [what: string, bytes: string])[] = [
  ["a slow request, and an upgrade", SLOW + OFFER],
  ["a slow request, a plain one and an upgrade", SLOW + PLAIN + OFFER],
  ["a slow request, two plain ones and an upgrade", SLOW + PLAIN + PLAIN + OFFER],
  ["a slow request, a plain one and two upgrades", SLOW + PLAIN + OFFER + OFFER],
  ["a slow request, an upgrade and a plain one", SLOW + OFFER + PLAIN],
  ["a slow request and forty plain ones", SLOW + PLAIN.repeat(40)],
  ["a slow request, forty plain ones and an upgrade", SLOW + PLAIN.repeat(40) + OFFER],
];

let origin: ScriptedOrigin;
let program: Program | undefined;
const programs: Program[] = [];
const installations: Installation[] = [];

beforeAll(async () => {
  const jpeg = await noisyJpeg(64, 48);
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    if (target.startsWith("/slow")) await delay(SLOW_MS);
    return connection.send(response(jpeg));
  });
});
afterAll(async () => {
  // A hanging program would never stop by itself.
  for (const each of programs) await each.kill();
  await origin?.close();
  for (const installation of installations) await installation.remove();
});

async function start(): Promise<Program> {
  const installation = await install(oneBucket(mirrorOf(origin.url)));
  installations.push(installation);
  const started = await installation.start();
  programs.push(started);
  return started;
}

/** True when the program answers on its admin port. */
async function isAlive({ adminPort }: Program): Promise<boolean> {
  const health = get({ port: adminPort, path: "/healthz", host: "localhost", deadlineMs: 3_000 });
  return health.then(
    ({ status }) => status === 200,
    () => false,
  );
}

/** Number of the next slow image; each is requested once. */
let number = 0;

async function send({ downloadPort }: Program, bytes: string) {
  const socket = Object.assign(connect(downloadPort, "127.0.0.1"), { received: "" });
  socket.on("error", () => {}); // A `close` event follows.
  socket.on("data", (chunk: Buffer) => {
    socket.received += chunk.toString("latin1");
  });
  await once(socket, "connect");
  number += 1;
  socket.write(bytes.replaceAll("NUMBER", String(number)));
  return socket;
}

describe("the program keeps serving after pipelined requests", () => {
  test.each(SHAPES)("and a client that has closed its side: %s", async (_what, bytes) => {
    program ??= await start();
    const socket = await send(program, bytes);
    socket.end();
    await eventually(() => socket.received.startsWith("HTTP/1.1 200"), "the first is answered");
    await eventually(() => socket.destroyed, "the connection is closed");
    const lives = await isAlive(program);
    // Otherwise every later row would wait for it.
    if (!lives) {
      await program.kill();
      program = undefined;
    }
    expect(lives).toBe(true);
  });

  test.each([
    ["a plain one, a slow one and an offer", PLAIN + SLOW + OFFER],
    ["two slow ones and an offer", SLOW + SLOW.replace("NUMBER", "again-NUMBER") + OFFER],
    ["a plain one, an offer, a slow one and an offer", PLAIN + OFFER + SLOW + OFFER],
    ["a slow one and an offer", SLOW + OFFER],
  ])("and a client that resets the connection meanwhile: %s", async (_what, bytes) => {
    program ??= await start();
    // Stored, so that the response is sent at once.
    await get({ port: program.downloadPort, path: "/a.jpg" });
    for (const leave of ["resetAndDestroy", "destroy"] as const) {
      const socket = await send(program, bytes);
      const isFirst = !bytes.startsWith(SLOW.slice(0, 9));
      if (isFirst || bytes.includes("again")) await eventually(() => socket.received !== "", "the first is answered");
      await delay(100);
      socket[leave]();
      await delay(SLOW_MS + 200);
      expect(await isAlive(program)).toBe(true);
    }
  });

  test.each(SHAPES)("when it is stopped: %s", async (_what, bytes) => {
    const stopping = await start();
    const before = origin.requests.length;
    const socket = await send(stopping, bytes);
    await eventually(() => origin.requests.length > before, "the first is fetched");
    const began = performance.now();
    expect(await stopping.stop()).toBe(0);
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(socket.received).toMatch(/^HTTP\/1\.1 200/);
    socket.destroy();
  });
});
