// Migrations that are killed at random moments and started again until they are done.

import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createDice } from "../../fault/proxy.ts";
import { countersIn, type Expected, repeatedIn, runKilled } from "../../helpers/migration-runs.ts";
import type { Verdict } from "../case.ts";
import { type Bench, newTarget, type Outcome } from "./case.ts";
import { filesIn, writeJpegs } from "./files.ts";
import { localConfig } from "./local.ts";
import { startQiniu, startS3 } from "./stores.ts";
import { startSite, urlConfig } from "./urls.ts";

const FILES = 100_000;
/** A server may write a line of its log after its answer. */
const LOG_MS = 200;

interface Killed {
  readonly title: string;
  readonly count: number;
  readonly config: Readonly<Record<string, string | number>>;
  objects(): Iterable<readonly [string, Uint8Array]>;
  readonly failures?: Expected["failures"];
  /** Undefined: the source does not say. */
  fetched?(): Promise<readonly string[]>;
}

/** The state at one kill. */
interface Kill {
  readonly successful: ReadonlySet<string>;
  /** Requests that the source has got so far. */
  readonly requests: number;
  /** Objects that were requested, and are not successful. */
  readonly inFlight: number;
  /** Objects that the target has, and the journal does not. */
  readonly unnoted: number;
}

async function killed(bench: Bench, source: Killed): Promise<Outcome> {
  const { title, count, config, failures, fetched } = source;
  const target = await newTarget(bench, config);
  try {
    const kills: Kill[] = [];
    const run = await runKilled(target.job, {
      total: count,
      kills: bench.kills,
      dice: createDice(bench.seed),
      async onKill(successful) {
        await delay(LOG_MS);
        const names = (await fetched?.()) ?? [];
        const inFlight = new Set(names.filter((name) => !successful.has(name))).size;
        const unnoted = target.stored() - successful.size;
        kills.push({ successful, requests: names.length, inFlight, unnoted });
        process.stderr.write(`  kill ${kills.length}: ${successful.size} are done, ${unnoted} more are stored\n`);
      },
    });
    const wanted = (failures?.size ?? 0) === 0 ? 0 : 1;
    if (run.code !== wanted) throw new Error(`The last run ended with ${run.code}:\n${run.output}`);
    const sum = (pick: (kill: Kill) => number) => kills.reduce((total, kill) => total + pick(kill), 0);
    const { same } = countersIn(target.job.dir);
    const rows = [
      row(
        title,
        "copied again, at most those stored but not yet in the journal",
        same,
        sum((kill) => kill.unnoted),
      ),
    ];
    if (fetched !== undefined) {
      const { twice, afterSuccess } = repeatedIn(await fetched(), kills);
      rows.push(
        row(
          title,
          "fetched again, at most those in flight",
          twice,
          sum((kill) => kill.inFlight),
        ),
      );
      rows.push(row(title, "fetched again although the journal had them", afterSuccess, 0));
    }
    const equal = await target.check(source.objects(), failures);
    const facts = [
      `${bench.kills} times kill -9, seed ${bench.seed}; done at the kills: ${kills.map((kill) => kill.successful.size).join(", ")}.`,
      `All ${equal} objects are equal by SHA-256, and each is counted once.`,
    ];
    return { title, speeds: [], verdicts: rows, facts };
  } finally {
    await target.remove();
  }
}

function row(title: string, what: string, value: number, most: number): Verdict {
  return { what: `${title}: ${what}`, value, unit: "objects", target: { must: most, aim: most } };
}

export async function killedLocal(bench: Bench): Promise<Outcome> {
  const count = Math.round(FILES * bench.scale);
  const root = join(bench.folder, "source");
  await writeJpegs(root, count);
  const title = `${count} files, killed`;
  return killed(bench, { title, count, config: localConfig(root), objects: () => filesIn(root) });
}

export async function killedUrls(bench: Bench): Promise<Outcome> {
  const site = await startSite(bench);
  try {
    return await killed(bench, {
      ...site,
      title: `${site.count} URLs, killed`,
      config: urlConfig(site.list, bench.atOnce),
    });
  } finally {
    await site.stop();
  }
}

export async function killedS3(bench: Bench): Promise<Outcome> {
  const store = await startS3(bench);
  try {
    return await killed(bench, { ...store, title: `${store.count} objects of Ceph RGW, killed` });
  } finally {
    await store.stop();
  }
}

export async function killedQiniu(bench: Bench): Promise<Outcome> {
  const store = await startQiniu(bench);
  try {
    return await killed(bench, { ...store, title: `${store.count} objects of a Qiniu stand-in, killed` });
  } finally {
    await store.stop();
  }
}
