// A folder of small files into the store of a settings file, beside rclone and cp; and 1,000,000 of them for memory and
// rate.
import type { ChildProcess } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { doneIn, runMigration } from "../../helpers/migration-runs.ts";
import {
  type Bench,
  faster,
  inTurns,
  migrated,
  newTarget,
  type Outcome,
  type Round,
  removeAll,
  settled,
  timed,
} from "./case.ts";
import { filesIn, writeGifs, writeJpegs } from "./files.ts";

const FILES = 100_000;
const JOBS = 1_000_000;
const MB = 1_000_000;

export const localConfig = (root: string) => ({ "migrate.type": "Local", "local.image_root_path": root });

/** All programs read files that are in the page cache, and end with everything synced. */
export async function local(bench: Bench): Promise<Outcome> {
  const count = Math.round(FILES * bench.scale);
  const root = join(bench.folder, "source");
  await writeJpegs(root, count);
  const ours: Round = () => migrated(bench, localConfig(root), { objects: () => filesIn(root) });
  const copy = (command: string, ...args: readonly string[]): Round => {
    return async () => {
      const target = join(bench.folder, "copies");
      await mkdir(target);
      await settled();
      const seconds = (await timed(command, [...args, target])) + (await timed("sync", ["-f", target]));
      await removeAll(target);
      return { seconds };
    };
  };
  const speeds = await inTurns(bench.rounds, count, {
    "huiyuan migrate": ours,
    "rclone copy, sync": copy("rclone", "copy", root),
    "rclone copy --transfers 64, sync": copy("rclone", "copy", "--transfers", "64", root),
    "cp -r, sync": copy("cp", "-r", root),
  });
  const title = `${count} files`;
  const [first, ...others] = speeds;
  const must = (program: string) => (program.startsWith("rclone") ? 1 : undefined);
  return {
    title,
    speeds,
    verdicts: others.map((other) => faster(title, first!, other, must(other.program))),
    facts: [`All ${count} objects of every run are equal to their files by SHA-256.`],
  };
}

/** The journal of a run is read twice a second. */
export async function million(bench: Bench): Promise<Outcome> {
  const count = Math.round(JOBS * bench.scale);
  const root = join(bench.folder, "source");
  writeGifs(root, count);
  const target = await newTarget(bench, localConfig(root));
  try {
    await settled();
    const samples: { readonly at: number; readonly done: number }[] = [{ at: performance.now(), done: 0 }];
    const run = await runMigration(target.job, async (child) => sample(child, target.job.dir, samples));
    if (run.code !== 0) throw new Error(`The migration ended with ${run.code}:\n${run.output}`);
    samples.push({ at: performance.now(), done: count });
    const equal = await target.check(filesIn(root));
    const tenths = Array.from({ length: 10 }, (_, tenth) => rateBetween(samples, count * (tenth / 10), count / 10));
    const title = `${count} jobs`;
    return {
      title,
      speeds: [{ program: "huiyuan migrate", perSecond: [count / run.seconds], peakBytes: run.peakBytes }],
      verdicts: [
        { what: `${title}: peak RSS`, value: run.peakBytes / MB, unit: "MB", target: { must: 200, aim: 200 } },
        {
          what: `${title}: rate of the last tenth ÷ the first`,
          value: tenths[9]! / tenths[0]!,
          unit: "×",
          target: { must: 0.9, aim: 1, isLeast: true },
        },
      ],
      facts: [
        `All ${equal} objects are equal to their files by SHA-256.`,
        `Objects a second in each tenth: ${tenths.map((rate) => rate.toFixed(0)).join(", ")}.`,
      ],
    };
  } finally {
    await target.remove();
  }
}

async function sample(child: ChildProcess, dir: string, samples: { at: number; done: number }[]): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    await delay(500);
    samples.push({ at: performance.now(), done: doneIn(dir) });
  }
}

/** Objects a second between `from` and `from + count` objects, interpolated. */
function rateBetween(samples: readonly { readonly at: number; readonly done: number }[], from: number, count: number) {
  const timeOf = (done: number) => {
    const after = samples.findIndex((each) => each.done >= done);
    const [before, behind] = [samples[Math.max(0, after - 1)]!, samples[after]!];
    if (behind.done === before.done) return before.at;
    return before.at + ((done - before.done) / (behind.done - before.done)) * (behind.at - before.at);
  };
  return count / ((timeOf(from + count) - timeOf(from)) / 1_000);
}
