// Samples a running program's resources from outside: memory, descriptors, sockets, threads, spool folder, and metrics.
// Computes slopes over samples. It starts no program and makes no load.
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { get } from "../helpers/get.ts";
import { eventually } from "../helpers/program.ts";

export interface Sample {
  /** Seconds since the load began. */
  readonly seconds: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Open descriptors, including sockets, without `keptBlobs`. */
  readonly descriptors: number;
  /** Image and pack files that the bucket keeps open for further reads, a cache bounded by MAX_KEPT_BLOBS. */
  readonly keptBlobs: number;
  readonly sockets: number;
  readonly threads: number;
  readonly spoolFiles: number;
  /** Size of the catalogue and its log on disk. */
  readonly catalogueBytes: number;
  readonly storingDepth: number;
  readonly fillsRunning: number;
}

/** The bound on open files of images and packs (packs/blob-reader.ts), plus files being read and the current pack. */
export const MAX_KEPT_BLOBS = 4_096 + 512;

/** A program that is sampled. */
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
  // Small images share packs, which stay open like the files of large ones.
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

/** Targets of all open descriptors of a process, in /proc's notation: a path, `socket:[…]`, `pipe:[…]`. */
function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`);
    } catch {
      return []; // closed in the meantime
    }
  });
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Slope in bytes per minute, by least squares over the samples; NaN for fewer than two. */
export function slopePerMinute(samples: readonly Sample[], pick: (sample: Sample) => number): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const middle = mean(samples.map(({ seconds }) => seconds));
  const level = mean(samples.map(pick));
  const rise = samples.reduce((sum, sample) => sum + (sample.seconds - middle) * (pick(sample) - level), 0);
  const run = samples.reduce((sum, { seconds }) => sum + (seconds - middle) ** 2, 0);
  return (60 * rise) / run;
}

/** True if the sample holds no more than `start`, and no request is in progress. */
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

/** Waits for the thread and the files of the usage counters, which open some seconds after the first download. */
export async function usageCounted({ data }: Watched): Promise<void> {
  await eventually(() => existsSync(join(data, "usage.db-wal")), "usage is counted");
}

/** Samples until the program is at rest, for at most `withinMs`; resolves with the last sample in either case. */
export async function settled(watched: Watched, start: Sample, startedAt: number, withinMs: number): Promise<Sample> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const sample = await takeSample(watched, startedAt);
    if (isAtRest(sample, start) || performance.now() > deadline) return sample;
    await delay(250);
  }
}
