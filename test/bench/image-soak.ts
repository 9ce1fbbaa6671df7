// `npm run soak -- images`: runs the built program for minutes with good and hostile images to process. Checks that the
// memory of server and render processes stays flat. image-soak-load.ts makes the load.
import { setMaxListeners } from "node:events";
import { tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { createDice } from "../fault/proxy.ts";
import { get } from "../helpers/get.ts";
import { install, type Program } from "../helpers/program.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";
import { imageMenu } from "./image-orders.ts";
import { runImageLoads, startPictureOrigin } from "./image-soak-load.ts";
import { outputOf, residentBytes, watchMemory } from "./processes.ts";
import { host, table } from "./report.ts";
import {
  isAtRest,
  MAX_KEPT_BLOBS,
  type Sample,
  settled,
  slopePerMinute,
  takeSample,
  usageCounted,
  type Watched,
} from "./sampling.ts";
import { createTally, type Tally } from "./soak-load.ts";

const SAMPLE_MS = 5_000;
/** The fraction of the run in which memory may still rise: caches fill, code is compiled, the heap reaches its size. */
const WARM_UP = 0.4;
const MB = 1_000_000;
/** MB per minute of the server; slower growth is within the heap's normal variation. */
const MAX_SLOPE_MB = 1;
/** Server and render processes together. */
const MAX_PEAK_MB = 600;
/** Render processes are stopped within 30 s after the load. */
const SETTLE_MS = 60_000;

/** A sample of the server, plus the memory of its render processes. */
interface ImageSample extends Sample {
  readonly renderBytes: number;
  readonly processes: number;
}

/** Returns the report as Markdown, and whether every check holds. */
export async function soakImages(minutes: number): Promise<{ readonly text: string; readonly holds: boolean }> {
  const menu = await imageMenu();
  const origin = await startPictureOrigin(menu);
  const mirror = mirrorOf(`http://127.0.0.1:${origin.port}`);
  const installation = await install(oneBucket(mirror, {}, { limits: { memory: "16MB", disk: "64MB" } }));
  let program: Program | undefined;
  try {
    program = await installation.start();
    const watched = { pid: program.pid, adminPort: program.adminPort, data: installation.data };
    // The first requests open long-lived resources, which must not count as growth.
    const dice = createDice(7);
    for (let turn = 0; turn < 5; turn += 1) await get({ port: program.downloadPort, path: menu.good(dice).target });
    await usageCounted(watched);
    const startedAt = performance.now();
    const first = await sampleOf(watched, startedAt);
    const samples = [first];
    const tally = createTally();
    const over = AbortSignal.timeout(minutes * 60_000);
    setMaxListeners(0, over); // every client adds a listener
    const memory = watchMemory(program.pid);
    const loads = runImageLoads({ port: program.downloadPort, menu, tally, signal: over });
    process.stdout.write(`${rowsOf([first])}\n`);
    while (!over.aborted) {
      await delay(SAMPLE_MS);
      samples.push(await sampleOf(watched, startedAt));
      process.stdout.write(`${rowsOf(samples.slice(-1)).split("\n").at(-1)}\n`);
    }
    await loads;
    const peak = memory.end();
    await gone(program.pid);
    await settled(watched, first, startedAt, SETTLE_MS);
    const end = await sampleOf(watched, startedAt);
    const complaints = program.output.split("\n").filter(isComplaint);
    for (const fault of tally.faults) process.stdout.write(`fault: ${fault}\n`);
    for (const line of complaints.slice(0, 20)) process.stdout.write(`log: ${line}\n`);
    return report({ minutes, samples, end, peak, tally, complaints: complaints.length });
  } finally {
    await program?.stop();
    await installation.remove();
    await origin.stop();
  }
}

/** A render time-out is answered with 500 and logged; hostile images cause it on purpose. */
function isComplaint(line: string): boolean {
  return /"level":(50|60)/.test(line) && !line.includes('"code":"render_timeout"');
}

async function sampleOf(watched: Watched, startedAt: number): Promise<ImageSample> {
  const sample = await takeSample(watched, startedAt);
  const { now, processes } = residentBytes(watched.pid);
  return { ...sample, renderBytes: now - sample.rssBytes, processes };
}

/** Resolves once no render process is left, or after SETTLE_MS. */
async function gone(pid: number): Promise<void> {
  const deadline = performance.now() + SETTLE_MS;
  while (residentBytes(pid).processes > 1 && performance.now() < deadline) await delay(500);
}

interface Result {
  readonly minutes: number;
  readonly samples: readonly ImageSample[];
  readonly end: ImageSample;
  readonly peak: { readonly resident: number; readonly shared: number };
  readonly tally: Tally;
  /** Log lines at level error or above. */
  readonly complaints: number;
}

function report({ minutes, samples, end, peak, tally, complaints }: Result) {
  const [start = end] = samples;
  const steady = samples.filter(({ seconds }) => seconds >= minutes * 60 * WARM_UP);
  const rss = slopePerMinute(steady, ({ rssBytes }) => rssBytes) / MB;
  const heap = slopePerMinute(steady, ({ heapBytes }) => heapBytes) / MB;
  const checks: readonly (readonly [string, string, boolean])[] = [
    [
      `memory of the server flat after warm-up (≤ ${MAX_SLOPE_MB} MB a minute)`,
      `RSS ${rss.toFixed(2)}, heap ${heap.toFixed(2)}`,
      rss <= MAX_SLOPE_MB,
    ],
    [
      `all processes together (≤ ${MAX_PEAK_MB} MB)`,
      `${(peak.resident / MB).toFixed(0)} MB; pages that several have counted once: ${(peak.shared / MB).toFixed(0)}`,
      peak.resident <= MAX_PEAK_MB * MB,
    ],
    // The last render process stays warm for ten minutes.
    ["render processes at rest (≤ 1)", `${end.processes - 1}`, end.processes <= 2],
    ["descriptors back", `${start.descriptors} → ${end.descriptors}`, end.descriptors <= start.descriptors],
    [`images kept open to be read again (≤ ${MAX_KEPT_BLOBS})`, `${end.keptBlobs}`, end.keptBlobs <= MAX_KEPT_BLOBS],
    [
      "nothing stuck",
      `fills ${end.fillsRunning}, waiting to be stored ${end.storingDepth}, spool files ${end.spoolFiles}`,
      isAtRest({ ...end, descriptors: 0, sockets: 0 }, start),
    ],
    ["every answer as it must be", `${tally.counts.get("faults") ?? 0} faults`, tally.faults.length === 0],
    ["no error in the log but of renders that took too long", `${complaints} lines`, complaints === 0],
  ];
  const counts = [...tally.counts].filter(([what]) => what !== "faults").sort();
  const twelfth = Math.max(1, Math.ceil(samples.length / 12));
  const fileSystem = outputOf("df", ["--output=fstype", tmpdir()]).trim().split("\n").at(-1) ?? "";
  const text = [
    `\`npm run soak -- images --minutes ${minutes} --write\`, ${new Date().toISOString().slice(0, 10)}, ${host(fileSystem)}.`,
    table(
      ["question", "measured", "holds"],
      checks.map(([what, found, holds]) => [what, found, holds ? "yes" : "**no**"]),
    ),
    rowsOf([...samples.filter((_, index) => index % twelfth === 0), end]),
    table(
      ["what clients got", "times"],
      counts.map(([what, times]) => [what, String(times)]),
    ),
  ].join("\n\n");
  return { text, holds: checks.every(([, , holds]) => holds) };
}

function rowsOf(samples: readonly ImageSample[]): string {
  const head = [
    "s",
    "RSS MB",
    "heap MB",
    "renders MB",
    "processes",
    "descriptors",
    "kept open",
    "catalogue MB",
    "to store",
  ];
  return table(
    head,
    samples.map((sample) => [
      sample.seconds.toFixed(0),
      (sample.rssBytes / MB).toFixed(0),
      (sample.heapBytes / MB).toFixed(0),
      (sample.renderBytes / MB).toFixed(0),
      String(sample.processes),
      String(sample.descriptors),
      String(sample.keptBlobs),
      (sample.catalogueBytes / MB).toFixed(1),
      String(sample.storingDepth),
    ]),
  );
}
