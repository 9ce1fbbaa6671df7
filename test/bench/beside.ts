// Measures hits from memory beside new images: the time of 500 hits a second while others request so many images a
// second that are fetched and stored.
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Bench, Outcome, Target } from "./case.ts";
import { among, type HuiyuanContender, startHuiyuan } from "./contenders.ts";
import { median, verify } from "./load.ts";
import { timeOne } from "./misses.ts";
import { pictureOf } from "./pictures.ts";
import { end, firstLine, LOAD_CORE, spawnOn } from "./processes.ts";

const BYTES = 20_000;
const PATH = `/${BYTES}/hit.jpg`;
/** 500 hits a second in all. */
const [CLIENTS, PAUSE_MS] = [10, 20];
const LOADS: readonly (readonly [perSecond: number, target: Target | undefined])[] = [
  [0, undefined],
  [300, undefined],
  [2_000, { must: 15, aim: 8 }],
];

export function hitsBesideMisses({ place, effort }: Bench): Promise<Outcome> {
  const title = "hits beside new images";
  return among([() => startHuiyuan(place)], async ([huiyuan]) => {
    await verify(huiyuan, PATH, (await pictureOf(BYTES)).for(PATH));
    const verdicts: Outcome["verdicts"][number][] = [];
    for (const [rate, target] of LOADS) {
      const rounds: number[] = [];
      for (let round = 0; round <= effort.repeats; round += 1) {
        const p99 = await beside(huiyuan, rate, round === 0 ? effort.warmUpSeconds : effort.seconds);
        if (round > 0) rounds.push(p99);
      }
      const what = `p99 of 500 hits a second beside ${rate} new images a second`;
      verdicts.push({ what, value: median(rounds), unit: "ms", target });
    }
    return { title, figures: [], verdicts };
  });
}

/** Milliseconds. */
async function beside({ port }: HuiyuanContender, rate: number, seconds: number): Promise<number> {
  const file = fileURLToPath(new URL("miss-load.ts", import.meta.url));
  const load =
    rate === 0 ? undefined : spawnOn(LOAD_CORE, process.execPath, ["--import", "tsx", file, `${port}`, `${rate}`]);
  if (load !== undefined) await firstLine(load);
  const until = performance.now() + seconds * 1_000;
  const times: number[] = [];
  const clients = Array.from({ length: CLIENTS }, async (_, index) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await delay((index * PAUSE_MS) / CLIENTS);
    for (let due = performance.now(); due < until; due += PAUSE_MS) {
      times.push((await timeOne(socket, PATH)) / 1_000);
      await delay(Math.max(0, due + PAUSE_MS - performance.now()));
    }
    socket.destroy();
  });
  await Promise.all(clients);
  if (load?.exitCode != null) throw new Error(`the server cannot fetch ${rate} new images a second`);
  if (load !== undefined) await end(load);
  return times.sort((left, right) => left - right)[Math.floor(times.length * 0.99)] ?? Number.NaN;
}
