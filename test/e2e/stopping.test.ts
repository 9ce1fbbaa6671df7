// The duration of a stop: it does not wait for idle clients, and gives a client that does not read 5 s, a fetch 10 s.
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

// Concurrent: each test stops a program of its own.
describe.concurrent("a stop", () => {
  test("takes less than 2 s while a client keeps an idle connection", async () => {
    const program = await start();
    const agent = new Agent({ keepAlive: true });
    const options = { host: "127.0.0.1", port: program.downloadPort, path: "/a.jpg", agent };
    const answered = new Promise<void>((resolve, reject) => {
      const sent = request(options, (response) => response.resume().on("end", resolve));
      sent.on("error", reject);
      sent.end();
    });
    await within(answered, 10_000, () => "no answer");
    expect(await stopTime(program)).toBeLessThan(2_000);
    agent.destroy();
  });

  test("takes 5 s while a client does not read its response", async () => {
    const program = await start();
    const before = origin.requests.length;
    const socket = askWithoutReading(program.downloadPort, "/large.jpg");
    await eventually(
      () => origin.requests.slice(before).some(({ target }) => target === "/large.jpg"),
      "the image is fetched",
    );
    const milliseconds = await stopTime(program);
    expect(milliseconds).toBeGreaterThan(4_500);
    expect(milliseconds).toBeLessThan(7_000);
    socket.destroy();
  });

  test("waits for a fetch and takes less than 10 s while an origin hangs", async () => {
    const program = await start();
    const socket = askWithoutReading(program.downloadPort, "/hanging.jpg");
    await eventually(() => origin.requests.some(({ target }) => target === "/hanging.jpg"), "the image is fetched");
    const milliseconds = await stopTime(program);
    expect(milliseconds).toBeGreaterThan(7_000);
    expect(milliseconds).toBeLessThan(10_000);
    socket.destroy();
  });

  test("takes less than 10 s even if the clock is set back meanwhile", async () => {
    const preload = new URL("../helpers/clock-set-back.mjs", import.meta.url).href;
    const program = await start({ nodeFlags: ["--import", preload] });
    const socket = askWithoutReading(program.downloadPort, "/hanging-on.jpg");
    await eventually(() => origin.requests.some(({ target }) => target === "/hanging-on.jpg"), "the image is fetched");
    expect(await stopTime(program)).toBeLessThan(10_000);
    socket.destroy();
  });
});
