// The duration of a stop: it does not wait for idle clients, and gives a client that does not read 5 s, a fetch 8 s.
// A stop without any connection, which begins at the same time, shows what a busy machine adds.
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program, type StartOptions, within } from "../helpers/program.ts";
import { head, response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

// More than any socket buffers; bytes behind a whole image are allowed.
const LARGE_BYTES = 16_000_000;

let jpeg: Buffer;
let origin: ScriptedOrigin;
const installations: Installation[] = [];

beforeAll(async () => {
  jpeg = await noisyJpeg(64, 48);
  const large = Buffer.concat([jpeg, Buffer.alloc(LARGE_BYTES)]);
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    if (!target.startsWith("/hanging")) return connection.send(response(target === "/large.jpg" ? large : jpeg));
    await connection.send(head("200 OK", [["Content-Length", String(jpeg.length)]]));
    await connection.send(jpeg.subarray(0, 900));
    return connection.hang();
  });
});
afterAll(async () => {
  await origin?.close();
  for (const installation of installations) await installation.remove();
});

async function start(options: StartOptions = {}): Promise<Program> {
  const timeouts = { firstByte: "30s", idle: "30s", total: "60s" };
  const installation = await install(oneBucket(mirrorOf(origin.url, { timeouts })));
  installations.push(installation);
  return installation.start(options);
}

/** Milliseconds from SIGTERM to the end; the exit code must be 0. */
async function stopTime(program: Program): Promise<number> {
  const began = performance.now();
  expect(await program.stop()).toBe(0);
  return performance.now() - began;
}

/** A client that sends a request and reads nothing of the response. */
function askWithoutReading(port: number, path: string) {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // The stop resets it.
  socket.write(`GET ${path} HTTP/1.1\r\nHost: any.example\r\n\r\n`);
  return socket;
}

/** A client that keeps an idle connection. */
async function keepIdle(port: number): Promise<Agent> {
  const agent = new Agent({ keepAlive: true });
  const answered = new Promise<void>((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path: "/a.jpg", agent }, (answer) =>
      answer.resume().on("end", resolve),
    );
    sent.on("error", reject);
    sent.end();
  });
  await within(answered, 10_000, () => "no answer");
  return agent;
}

test("a stop waits for no idle client, 5 s for one that does not read, and 8 s for a fetch, whatever the clock does", async () => {
  const preload = new URL("../helpers/clock-set-back.mjs", import.meta.url).href;
  const setBack = { nodeFlags: ["--import", preload] };
  const programs = await Promise.all([start(), start(), start(), start(), start(setBack)]);
  const [, idle, unread, hanging, late] = programs.map(({ downloadPort }) => downloadPort);
  const clients = [
    await keepIdle(idle!),
    askWithoutReading(unread!, "/large.jpg"),
    askWithoutReading(hanging!, "/hanging.jpg"),
    askWithoutReading(late!, "/hanging-on.jpg"),
  ];
  const fetched = () => origin.requests.map(({ target }) => target).sort();
  const wanted = ["/a.jpg", "/hanging-on.jpg", "/hanging.jpg", "/large.jpg"];
  await eventually(() => wanted.every((target) => fetched().includes(target)), "the images are fetched");
  const [alone = 0, ...times] = await Promise.all(programs.map(stopTime));
  const busyMs = 2 * alone;
  const [forIdle, forUnread, forHanging, forLate] = times;
  expect(forIdle).toBeLessThan(2_000 + busyMs);
  expect(forUnread).toBeGreaterThan(4_500);
  expect(forUnread).toBeLessThan(7_000 + busyMs);
  expect(forHanging).toBeGreaterThan(7_000);
  for (const each of [forHanging, forLate]) expect(each).toBeLessThan(10_000 + busyMs);
  for (const client of clients) client.destroy();
});
