// Migrations that are killed at random moments and started again until they are done.

import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createDice } from "../../fault/proxy.ts";
import { type Expected, repeatedIn, runKilled } from "../../helpers/migration-runs.ts";
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

async function killed(bench: Bench, source: Killed): Promise<Outcome> {
  const { title, count, config, failures, fetched } = source;
  const target = await newTarget(bench, config);
  try {
    const kills: { readonly successful: ReadonlySet<string>; readonly requests: number; readonly inFlight: number }[] =
      [];
    const run = await runKilled(target.job, {
      total: count,
      kills: bench.kills,
      dice: createDice(bench.seed),
      async onKill(successful) {
        await delay(LOG_MS);
        const names = (await fetched?.()) ?? [];
        const inFlight = new Set(names.filter((name) => !successful.has(name))).size;
        kills.push({ successful, requests: names.length, inFlight });
        process.stderr.write(`  kill ${kills.length}: ${successful.size} are done, ${inFlight} were in flight\n`);
      },
    });
    const equal = await target.check(source.objects(), failures);
    const facts = [
      `${bench.kills} times kill -9, seed ${bench.seed}. All ${equal} objects are equal by SHA-256, and each is counted once.`,
      `${run.report?.same ?? 0} objects of the last run were at the target already.`,
    ];
    if (fetched === undefined) return { title, speeds: [], verdicts: [], facts };
    const { twice, afterSuccess } = repeatedIn(await fetched(), kills);
    const inFlight = kills.reduce((sum, each) => sum + each.inFlight, 0);
    return { title, speeds: [], verdicts: repeats(title, { twice, afterSuccess, inFlight }), facts };
  } finally {
    await target.remove();
  }
}

function repeats(title: string, found: { twice: number; afterSuccess: number; inFlight: number }): Verdict[] {
  const row = (what: string, value: number, most: number): Verdict => {
    return { what: `${title}: ${what}`, value, unit: "requests", target: { must: most, aim: most } };
  };
  return [
    row("fetched again, at most those in flight at the kills", found.twice, found.inFlight),
    row("fetched again although the journal had them", found.afterSuccess, 0),
  ];
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
    return await killed(bench, { ...site, title: `${site.count} URLs, killed`, config: urlConfig(site.list) });
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
