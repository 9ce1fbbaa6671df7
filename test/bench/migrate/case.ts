// Types of the migration bench, and what its cases share: a fresh target for every run, and programs that run in turns.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { get, pathOf } from "../../helpers/get.ts";
import {
  checkMigrated,
  type Expected,
  type MigrationJob,
  type MigrationRun,
  runMigration,
} from "../../helpers/migration-runs.ts";
import { type Installation, install } from "../../helpers/program.ts";
import { APPID, KEYS } from "../../helpers/settings.ts";
import { keysIn } from "../../helpers/stored-keys.ts";
import type { Verdict } from "../case.ts";
import { median } from "../load.ts";

/** The input of every case. */
export interface Bench {
  /** An empty folder of its own. */
  readonly folder: string;
  /** 1: as recorded. */
  readonly scale: number;
  readonly rounds: number;
  readonly kills: number;
  readonly seed: number;
  /** Transfers at once, of the case with a peer that has the same number. */
  readonly atOnce: number;
  /** For node, of the migrations alone. */
  readonly nodeFlags: readonly string[];
}

/** One program that did the same work as others, in turns with them. */
export interface Speed {
  readonly program: string;
  /** Objects a second of each round. */
  readonly perSecond: readonly number[];
  /** Undefined if it was not measured. */
  readonly peakBytes?: number;
}

export interface Outcome {
  readonly title: string;
  readonly speeds: readonly Speed[];
  readonly verdicts: readonly Verdict[];
  /** A sentence each: what was checked. */
  readonly facts: readonly string[];
}

const BUCKET = `${APPID}/photos`;
const SAMPLED = 200;

/** A settings file with an empty data folder, and a job with a config. */
export interface Target {
  readonly job: MigrationJob;
  /** Objects in the store, of a run that was killed. */
  stored(): number;
  /** As checkMigrated(); it also gets some objects from a server with these settings. */
  check(objects: Iterable<readonly [string, Uint8Array]>, failures?: Expected["failures"]): Promise<number>;
  remove(): Promise<void>;
}

export async function newTarget(
  { folder, nodeFlags }: Pick<Bench, "folder" | "nodeFlags">,
  config: Readonly<Record<string, string | number>>,
): Promise<Target> {
  const projects = [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains: [{ host: "*" }] }] }];
  const installation = await install({ projects });
  const dir = join(installation.folder, "job");
  const file = join(installation.folder, "migrate.yaml");
  await mkdir(folder, { recursive: true });
  await writeFile(file, JSON.stringify(config));
  const args = ["--config", file, "--job", dir, "--settings", installation.file, "--allow-private"];
  return {
    job: { args, dir, nodeFlags },
    stored: () => (existsSync(join(installation.data, "catalogue.db")) ? keysIn(installation.data, BUCKET).length : 0),
    async check(objects, failures) {
      const sample: (readonly [string, Uint8Array])[] = [];
      const equal = checkMigrated({
        ...{ data: installation.data, bucketId: BUCKET, dir },
        objects: sampled(objects, sample),
        ...(failures && { failures }),
      });
      await checkServed(installation, sample);
      return equal;
    },
    remove: () => installation.remove(),
  };
}

/** Passes the objects on and keeps some: the first ones, and later ones ever more rarely. */
function* sampled(
  objects: Iterable<readonly [string, Uint8Array]>,
  sample: (readonly [string, Uint8Array])[],
): Iterable<readonly [string, Uint8Array]> {
  let [count, step] = [0, 1];
  for (const object of objects) {
    if (count % step === 0 && sample.length < SAMPLED) sample.push(object);
    count += 1;
    if (count === 10 * step) step *= 2;
    yield object;
  }
}

async function checkServed(
  installation: Installation,
  sample: readonly (readonly [string, Uint8Array])[],
): Promise<void> {
  const program = await installation.start();
  try {
    for (const [fileid, bytes] of sample) {
      const { status, body } = await get({ port: program.downloadPort, path: pathOf(fileid) });
      if (status !== 200 || !body.equals(bytes)) throw new Error(`The server answers ${status} for ${fileid}`);
    }
  } finally {
    await program.stop();
  }
}

/** One run of ours into a fresh target, checked whole. */
export async function migrated(
  bench: Bench,
  config: Readonly<Record<string, string | number>>,
  source: { objects(): Iterable<readonly [string, Uint8Array]>; readonly failures?: Expected["failures"] },
): Promise<MigrationRun> {
  const target = await newTarget(bench, config);
  try {
    await settled();
    const run = await runMigration(target.job);
    const wanted = (source.failures?.size ?? 0) === 0 ? 0 : 1;
    if (run.code !== wanted) throw new Error(`The migration ended with ${run.code}:\n${run.output}`);
    await target.check(source.objects(), source.failures);
    return run;
  } finally {
    await target.remove();
  }
}

/** Writes what others have left in memory, so that the next program does not pay for it. */
export async function settled(): Promise<void> {
  await timed("sync", []);
}

/** Seconds. Throws unless the program ends with one of `codes`. */
export async function timed(command: string, args: readonly string[], codes: readonly number[] = [0]): Promise<number> {
  const began = performance.now();
  // rclone refuses to start with a bundle of certificates for AWS.
  const env = { ...process.env, AWS_CA_BUNDLE: undefined };
  const child = spawn(command, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2_000);
  });
  await once(child, "close");
  if (!codes.includes(child.exitCode ?? -1)) throw new Error(`${command} ended with ${child.exitCode}: ${said}`);
  return (performance.now() - began) / 1_000;
}

/** One round of one program: seconds that it took, and its peak memory if it was measured. */
export type Round = () => Promise<{ readonly seconds: number; readonly peakBytes?: number }>;

/** Runs all programs in turns; each round begins with the next one of them. */
export async function inTurns(
  rounds: number,
  objects: number,
  programs: Readonly<Record<string, Round>>,
): Promise<Speed[]> {
  const list = Object.entries(programs).map(([program, round]) => ({
    program,
    round,
    perSecond: [] as number[],
    peak: 0,
  }));
  for (let turn = 0; turn < rounds; turn += 1) {
    for (const at of list.keys()) {
      const each = list[(at + turn) % list.length]!;
      const { seconds, peakBytes = 0 } = await each.round();
      process.stderr.write(`  round ${turn + 1}: ${each.program}: ${(objects / seconds).toFixed(0)} objects/s\n`);
      each.perSecond.push(objects / seconds);
      each.peak = Math.max(each.peak, peakBytes);
    }
  }
  return list.map(({ program, perSecond, peak }) => ({ program, perSecond, ...(peak > 0 && { peakBytes: peak }) }));
}

/** The median over the rounds of our rate divided by the other's in the same round. `must`: at least. */
export function faster(what: string, ours: Speed, other: Speed, must?: number): Verdict {
  const ratios = ours.perSecond.map((rate, round) => rate / (other.perSecond[round] ?? Number.NaN));
  return {
    what: `${what}: objects a second ÷ ${other.program}'s`,
    value: median(ratios),
    unit: "×",
    target: must === undefined ? undefined : { must, aim: must, isLeast: true },
  };
}

export async function removeAll(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}
