// `npm run flood`: 50 connections of one address request new thumbnails without a pause, while other addresses download
// one image from memory. Compares the time of these downloads with that of a quiet server, with and without
// `limits.perClient`. Needs wrk.
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { metric } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";
import { median } from "./load.ts";
import { end, LOAD_CORE, outputOf, spawnOn } from "./processes.ts";
import { host } from "./report.ts";

const LIMIT = { rendersPerSecond: 20 };
const MAX_RATIO = 2;
const FLOOD_CONNECTIONS = 50;
/** 127.0.0.10 and the next ones; the flood comes from 127.0.0.1. */
const CLIENTS = 8;
/** The mean pause between two downloads of one client, milliseconds. */
const PAUSE_MS = 5;
/** Until the flood has used its burst. */
const BURST_MS = 3_000;
const PATH = "/photo.jpg";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "10" }, help: { type: "boolean" } } });
const rounds = Number(values.rounds);
const ROUND_MS = 4_000;

if (values.help || !(rounds >= 1)) {
  process.stdout.write("npm run flood -- [--rounds N]\n\n--rounds N   quiet and flooded, in turns, default 10\n");
  process.exitCode = values.help ? 0 : 2;
} else await run();

async function run(): Promise<void> {
  outputOf("wrk", ["-v"]);
  const picture = await noisyJpeg(800, 600);
  const origin = await startScriptedOrigin((_request, connection) => connection.send(response(picture)));
  const fileSystem = outputOf("df", ["--output=fstype", tmpdir()]).trim().split("\n").at(-1) ?? "";
  process.stdout.write(
    `${host(fileSystem)}; a JPEG of ${picture.length} bytes, p99 of its downloads in ms, ${rounds} rounds\n\n`,
  );
  try {
    for (const perClient of [LIMIT, {}]) {
      const more = { limits: { perClient, freeDisk: "0" } };
      const { quiet, flooded, ratio, renders, refused } = await withProgram(
        oneBucket(mirrorOf(origin.url), {}, more),
        measure,
      );
      const name = perClient === LIMIT ? "rendersPerSecond: 20" : "no limit";
      const facts = `${renders} renders and ${refused} refusals in all`;
      process.stdout.write(
        `${name}: quiet ${quiet.toFixed(2)}, flooded ${flooded.toFixed(2)}, ratio ${ratio.toFixed(2)}; ${facts}\n`,
      );
      if (perClient === LIMIT && !(ratio <= MAX_RATIO)) process.exitCode = 1;
    }
  } finally {
    await origin.close();
  }
}

async function withProgram<Result>(
  settings: object,
  use: (program: Program, installation: Installation) => Promise<Result>,
): Promise<Result> {
  const installation = await install(settings);
  try {
    const program = await installation.start();
    try {
      return await use(program, installation);
    } finally {
      await program.stop();
    }
  } finally {
    await installation.remove();
  }
}

/** Medians over the rounds: both p99, and their ratio within a round. */
async function measure({ downloadPort: port, adminPort }: Program, { folder }: Installation) {
  await eventually(async () => {
    const { headers } = await get({ port, path: PATH });
    return headers["cache-status"] === "huiyuan; hit; detail=memory";
  }, `${PATH} is in memory`);
  await p99OfHits(port); // Warms up.
  const list: { readonly quiet: number; readonly flooded: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const quiet = await p99OfHits(port);
    const stop = await flood(port, folder, round);
    await delay(BURST_MS);
    const flooded = await p99OfHits(port);
    await stop();
    list.push({ quiet, flooded });
    // Renders that wait end.
    await eventually(
      async () => (await metric(adminPort, "huiyuan_renders_running")) === 0,
      "the flood is over",
      30_000,
    );
  }
  return {
    quiet: median(list.map(({ quiet }) => quiet)),
    flooded: median(list.map(({ flooded }) => flooded)),
    ratio: median(list.map(({ quiet, flooded }) => flooded / quiet)),
    renders: await metric(adminPort, "huiyuan_render_seconds_count"),
    refused: await metric(adminPort, 'huiyuan_client_limited_total{limit="renders"}'),
  };
}

/** wrk from 127.0.0.1: each request wants another thumbnail. */
async function flood(port: number, folder: string, round: number): Promise<() => Promise<void>> {
  const script = join(folder, "flood.lua");
  const recipe = `"${PATH}?imageMogr2/thumbnail/" .. (100 + count % 600) .. "x/quality/" .. (20 + math.floor(count / 600) % 80)`;
  await writeFile(
    script,
    `local count = ${round * 4_800}
request = function() count = count + 1; return wrk.format("GET", ${recipe}) end
`,
  );
  const options = ["-t1", `-c${FLOOD_CONNECTIONS}`, "-d60s", "--timeout", "30s", "-s", script];
  const child = spawnOn(LOAD_CORE, "wrk", [...options, `http://127.0.0.1:${port}`]);
  return () => end(child);
}

/** Milliseconds; throws unless every download is 200. */
async function p99OfHits(port: number): Promise<number> {
  const until = performance.now() + ROUND_MS;
  const times: number[] = [];
  const clients = Array.from({ length: CLIENTS }, async (_, index) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: `127.0.0.${10 + index}`, noDelay: true });
    await once(socket, "connect");
    while (performance.now() < until) {
      times.push(await timeOne(socket));
      await delay(PAUSE_MS * 2 * Math.random());
    }
    socket.destroy();
  });
  await Promise.all(clients);
  return times.sort((left, right) => left - right)[Math.floor(times.length * 0.99)] ?? Number.NaN;
}

function timeOne(socket: Socket): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    let left: number | undefined;
    const receive = (bytes: Buffer) => {
      left ??= lengthOf(bytes.toString("latin1")) ?? Number.NaN;
      left -= bytes.byteLength;
      if (left > 0) return;
      socket.off("data", receive);
      if (left === 0) resolve(performance.now() - began);
      else reject(new Error(`not a whole hit: ${bytes.subarray(0, 200).toString("latin1")}`));
    };
    socket.on("data", receive);
    socket.write(`GET ${PATH} HTTP/1.1\r\nHost: any.example\r\n\r\n`);
  });
}

/** Bytes of the whole response. Undefined if it is not 200. */
function lengthOf(text: string): number | undefined {
  const [, length] = /^HTTP\/1\.1 200 [\s\S]*?^Content-Length: (\d+)\r$/m.exec(text) ?? [];
  return length === undefined ? undefined : text.indexOf("\r\n\r\n") + 4 + Number(length);
}
