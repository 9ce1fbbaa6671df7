// `npm run soak`: runs the built program for minutes under every kind of load that a public mirror meets. Checks that
// memory, descriptors, sockets and the spool folder stay flat. soak-load.ts makes the load.

import { setMaxListeners } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { get } from "../helpers/get.ts";
import { install, type Program } from "../helpers/program.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";
import { startOrigin } from "./contenders.ts";
import { soakImages } from "./image-soak.ts";
import { outputOf } from "./processes.ts";
import { host, table, withFigures } from "./report.ts";
import {
  isAtRest,
  MAX_KEPT_BLOBS,
  type Sample,
  settled,
  slopePerMinute,
  takeSample,
  usageCounted,
} from "./sampling.ts";
import {
  createTally,
  drawPictures,
  LARGE_IN_BUCKET,
  LARGE_IN_MEMORY,
  runLoads,
  SCALE,
  SIZES,
  SLOW_HOST,
  type Tally,
} from "./soak-load.ts";

const PAGE = fileURLToPath(new URL("../../docs/internals/performance-record.md", import.meta.url));
const SAMPLE_MS = 5_000;
/** The fraction of the run in which memory may still rise: caches fill, code is compiled, the heap reaches its size. */
const WARM_UP = 0.4;
/** MB per minute; slower growth is within the heap's normal variation. */
const MAX_SLOPE_MB = 1;
/** SQLite caches at most this much of the catalogue in memory, so growth up to it is bounded. */
const MAX_PAGES = 16_000_000;
const MB = 1_000_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "10" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const minutes = Number(values.minutes);

const [what = ""] = positionals;

if (values.help || !(minutes > 0) || !["", "images"].includes(what)) {
  process.stdout.write(`npm run soak -- [images] [--minutes N] [--write]

images        good and hostile images to be processed, in place of everything that a mirror meets
--minutes N   how long the load lasts, default 10; about two more minutes until all is at rest
--write       puts the figures into docs/internals/performance-record.md
`);
  process.exitCode = values.help ? 0 : 2;
} else if (what === "images") await processImages();
else await soak();

async function processImages(): Promise<void> {
  const { text, holds } = await soakImages(minutes);
  process.stdout.write(`\n${text}\n`);
  if (!holds) process.exitCode = 1;
  if (values.write) await write(text, "image-soak");
}

async function write(text: string, part: string): Promise<void> {
  await writeFile(PAGE, withFigures(await readFile(PAGE, "utf8"), `\n${text}\n`, part));
}

async function soak(): Promise<void> {
  const pictures = await drawPictures();
  const origin = await startOrigin();
  const installation = await install(settings(origin.port));
  let program: Program | undefined;
  try {
    // The origin draws a size's picture at the first request, which takes longer than a fetch's time-out.
    for (const bytes of SIZES) await get({ port: origin.port, path: `/${bytes}/first.jpg`, deadlineMs: 120_000 });
    program = await installation.start();
    const watched = { pid: program.pid, adminPort: program.adminPort, data: installation.data };
    const { downloadPort: port } = program;
    // The first requests open long-lived resources, which must not count as growth: the origin's connection, the
    // catalogue's readers, a blob.
    for (const bytes of [LARGE_IN_MEMORY, LARGE_IN_BUCKET]) await bringIn(port, `/${bytes}/large.jpg`);
    await usageCounted(watched);

    const startedAt = performance.now();
    const start = await takeSample(watched, startedAt);
    const samples = [start];
    const tally = createTally();
    const over = AbortSignal.timeout(minutes * 60_000);
    // Every client adds a listener.
    setMaxListeners(0, over);
    const loads = runLoads({ port, pictures, tally, signal: over });
    process.stdout.write(`${rowsOf([start])}\n`);
    while (!over.aborted) {
      await delay(SAMPLE_MS);
      samples.push(await takeSample(watched, startedAt));
      process.stdout.write(`${rowsOf(samples.slice(-1)).split("\n").at(-1)}\n`);
    }
    await loads;
    // Fills whose clients have left still run to their end.
    const end = await settled(watched, start, startedAt, (SCALE.slowFillSeconds + 60) * 1_000);
    const text = report({ samples, end, tally, complaints: program.output.match(/"level":(50|60)/g)?.length ?? 0 });
    process.stdout.write(`\n${text}\n`);
    for (const fault of tally.faults) process.stdout.write(`fault: ${fault}\n`);
    if (values.write) await write(text, "soak");
  } finally {
    await program?.stop();
    await installation.remove();
    await origin.stop();
  }
}

/** Resolves once the picture has been stored and read from the bucket. */
async function bringIn(port: number, path: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const { status, headers } = await get({ port, path });
    if (status !== 200) throw new Error(`Cannot soak: ${path} was answered ${status}`);
    if (String(headers["cache-status"]).includes("detail=bucket")) return;
    await delay(50);
    if (String(headers["cache-status"]).includes("detail=memory")) return;
  }
  throw new Error(`Cannot soak: ${path} was never stored`);
}

/** Slow fills have their own mirror, so that only the program's limit on fills is shared. */
function settings(originPort: number): object {
  const url = `http://127.0.0.1:${originPort}`;
  const mirror = (connections: number) =>
    mirrorOf(url, {
      origins: [{ type: "site", url, allowPrivate: true, connections }],
      timeouts: { total: "300s" },
    });
  const domains = [
    { host: "*", mirror: mirror(64) },
    { host: SLOW_HOST, mirror: mirror(2 * SCALE.slowFills) },
  ];
  return {
    limits: { memory: "48MB", hotObjectSize: "8MB", fills: 3 * SCALE.slowFills },
    projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains }] }],
  };
}

interface Result {
  readonly samples: readonly Sample[];
  readonly end: Sample;
  readonly tally: Tally;
  /** Log lines at level error or above. */
  readonly complaints: number;
}

function report({ samples, end, tally, complaints }: Result): string {
  const [start = end] = samples;
  const steady = samples.filter(({ seconds }) => seconds >= minutes * 60 * WARM_UP);
  const rss = slopePerMinute(steady, ({ rssBytes }) => rssBytes) / MB;
  const pages = slopePerMinute(steady, ({ catalogueBytes }) => Math.min(catalogueBytes, MAX_PAGES)) / MB;
  const heap = slopePerMinute(steady, ({ heapBytes }) => heapBytes) / MB;
  const verdict = (holds: boolean) => (holds ? "yes" : "**no**");
  const checks: readonly (readonly [string, string, boolean])[] = [
    [
      `memory flat after warm-up (≤ ${MAX_SLOPE_MB} MB a minute beyond the catalogue's pages)`,
      `RSS ${rss.toFixed(2)}, of it the catalogue ${pages.toFixed(2)}; heap ${heap.toFixed(2)}`,
      rss - pages <= MAX_SLOPE_MB,
    ],
    ["descriptors back", `${start.descriptors} → ${end.descriptors}`, end.descriptors <= start.descriptors],
    [`images kept open to be read again (≤ ${MAX_KEPT_BLOBS})`, `${end.keptBlobs}`, end.keptBlobs <= MAX_KEPT_BLOBS],
    ["sockets back", `${start.sockets} → ${end.sockets}`, end.sockets <= start.sockets],
    [
      "nothing stuck",
      `fills ${end.fillsRunning}, waiting to be stored ${end.storingDepth}, spool files ${end.spoolFiles}`,
      isAtRest({ ...end, descriptors: 0, sockets: 0 }, start),
    ],
    ["every answer as it must be", `${tally.counts.get("faults") ?? 0} faults`, tally.faults.length === 0],
    ["no error in the log", `${complaints} lines`, complaints === 0],
  ];
  if (checks.some(([, , holds]) => !holds)) process.exitCode = 1;
  const counts = [...tally.counts].filter(([what]) => what !== "faults").sort();
  const twelfth = Math.max(1, Math.ceil(samples.length / 12));
  const fileSystem = outputOf("df", ["--output=fstype", tmpdir()]).trim().split("\n").at(-1) ?? "";
  return [
    `\`npm run soak -- --minutes ${minutes} --write\`, ${new Date().toISOString().slice(0, 10)}, ${host(fileSystem)}.`,
    table(
      ["question", "measured", "holds"],
      checks.map(([what, found, holds]) => [what, found, verdict(holds)]),
    ),
    rowsOf([...samples.filter((_, index) => index % twelfth === 0), end]),
    table(
      ["what clients did", "times"],
      counts.map(([what, times]) => [what, String(times)]),
    ),
  ].join("\n\n");
}

function rowsOf(samples: readonly Sample[]): string {
  const head = [
    "s",
    "RSS MB",
    "heap MB",
    "descriptors",
    "kept open",
    "sockets",
    "threads",
    "spool files",
    "catalogue MB",
    "to store",
    "fills",
  ];
  return table(
    head,
    samples.map((sample) => [
      sample.seconds.toFixed(0),
      (sample.rssBytes / MB).toFixed(0),
      (sample.heapBytes / MB).toFixed(0),
      String(sample.descriptors),
      String(sample.keptBlobs),
      String(sample.sockets),
      String(sample.threads),
      String(sample.spoolFiles),
      (sample.catalogueBytes / MB).toFixed(1),
      String(sample.storingDepth),
      String(sample.fillsRunning),
    ]),
  );
}
