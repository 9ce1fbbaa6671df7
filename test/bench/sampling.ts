// What a running program holds, read from outside: memory, descriptors, sockets, threads, its spool folder, and what its
// metrics say. And the arithmetic over a row of such samples. It starts and loads nothing.
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { get } from "../helpers/get.ts";
import { eventually } from "../helpers/program.ts";

export interface Sample {
  /** Since the load began. */
  readonly seconds: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Open descriptors, sockets included; without `keptBlobs`. */
  readonly descriptors: number;
  /** Files of images and packs that the bucket keeps open to read them again: caches with a bound, MAX_KEPT_BLOBS. */
  readonly keptBlobs: number;
  readonly sockets: number;
  readonly threads: number;
  readonly spoolFiles: number;
  /** The catalogue with its log, on disk. */
  readonly catalogueBytes: number;
  readonly storingDepth: number;
  readonly fillsRunning: number;
}

/** Files of images and packs, as src/bucket/fs/packs/blob-reader.ts has it, plus those being read, and the pack that is written to. */
export const MAX_KEPT_BLOBS = 4_096 + 512;

/** A program under watch. */
export interface Watched {
  readonly pid: number;
  readonly adminPort: number;
  /** Its data folder. */
  readonly data: string;
}

/** `startedAt`: milliseconds of `performance.now()`. */
export async function takeSample({ pid, adminPort, data }: Watched, startedAt: number): Promise<Sample> {
  const metrics = (await get({ port: adminPort, path: "/metrics", host: "localhost" })).body.toString();
  const metric = (name: string) => Number(new RegExp(`^huiyuan_${name} (\\S+)$`, "m").exec(metrics)?.[1] ?? Number.NaN);
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? Number.NaN);
  const open = descriptorsOf(pid);
  // Small images lie together in packs, which stay open like the files of large ones.
  const folders = [join(data, "blobs"), join(data, "packs")];
  const keptBlobs = open.filter((target) => folders.some((folder) => target.startsWith(folder))).length;
  return {
    seconds: (performance.now() - startedAt) / 1_000,
    rssBytes: 1_024 * field("VmRSS"),
    heapBytes: metric("heap_used_bytes"),
    descriptors: open.length - keptBlobs,
    keptBlobs,
    sockets: open.filter((target) => target.startsWith("socket:")).length,
    threads: field("Threads"),
    spoolFiles: readdirSync(join(data, "spool")).length,
    catalogueBytes: sizeOf(join(data, "catalogue.db")) + sizeOf(join(data, "catalogue.db-wal")),
    storingDepth: metric("storing_depth"),
    fillsRunning: metric("fills_running"),
  };
}

/** What every open descriptor of a process stands for, as /proc spells it: a path, `socket:[…]`, `pipe:[…]`. */
function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`);
    } catch {
      return []; // closed meanwhile
    }
  });
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Bytes a minute, by least squares over the samples; NaN for fewer than two. */
export function slopePerMinute(samples: readonly Sample[], pick: (sample: Sample) => number): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const middle = mean(samples.map(({ seconds }) => seconds));
  const level = mean(samples.map(pick));
  const rise = samples.reduce((sum, sample) => sum + (sample.seconds - middle) * (pick(sample) - level), 0);
  const run = samples.reduce((sum, { seconds }) => sum + (seconds - middle) ** 2, 0);
  return (60 * rise) / run;
}

/** True when the sample holds no more than `start` did, and nothing is under way. */
export function isAtRest(sample: Sample, start: Sample): boolean {
  return (
    sample.descriptors <= start.descriptors &&
    sample.keptBlobs <= MAX_KEPT_BLOBS &&
    sample.sockets <= start.sockets &&
    sample.spoolFiles === 0 &&
    sample.storingDepth === 0 &&
    sample.fillsRunning === 0
  );
}

/** Waits for the thread and the files of the usage counters, which are opened some seconds after the first download. */
export async function usageCounted({ data }: Watched): Promise<void> {
  await eventually(() => existsSync(join(data, "usage.db-wal")), "usage is counted");
}

/** Samples until the program is at rest, at most `withinMs`; resolves with the last sample, whatever it says. */
export async function settled(watched: Watched, start: Sample, startedAt: number, withinMs: number): Promise<Sample> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const sample = await takeSample(watched, startedAt);
    if (isAtRest(sample, start) || performance.now() > deadline) return sample;
    await delay(250);
  }
}
