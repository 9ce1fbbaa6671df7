// Measures the cost of a hit of the download port while a browser has the overview open, and without it.
import { setTimeout as delay } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { eventually } from "../../helpers/program.ts";
import { type Contender, type HuiyuanContender, startHuiyuan } from "../contenders.ts";
import { byWrk, type Drive, median, verify } from "../load.ts";
import { middleOf } from "../pairs.ts";
import { pictureOf } from "../pictures.ts";
import { cpuMicros, idle } from "../processes.ts";
import { type Bench, NO_ORIGIN, type Outcome, startFilled, urlTo, visit, watched } from "./case.ts";
import { PICTURE, PICTURE_BYTES } from "./fill.ts";

const SECONDS = 2;
const IDLE_MS = 10_000;
const WARM_UP_SECONDS = 3;
const PATH = `/${PICTURE}`;

/** CPU time of the server, µs: while a browser shows its overview, and while it shows that of another server. */
interface Pair {
  readonly without: number;
  readonly open: number;
}

/**
 * The overview is open all the time, so that the browser has the same work: in one half of each pair it is that of the
 * loaded server, in the other half that of an idle one.
 */
export async function live(bench: Bench, browser: Browser): Promise<Outcome> {
  const loaded = await startFilled(bench);
  const idling = await startHuiyuan({ folder: bench.folder, originPort: NO_ORIGIN, name: "idle" });
  const context = await browser.newContext({ locale: "en" });
  try {
    const picture = (await pictureOf(PICTURE_BYTES)).for(PICTURE);
    const isHit = async () => (await verify(loaded, PATH, picture)).includes("detail=memory");
    await eventually(isHit, "a hit from memory");
    const page = await watched(context);
    const drive = byWrk({ kind: "one", path: PATH });
    await drive(loaded, WARM_UP_SECONDS);
    const costWith = async (name: keyof Pair) => {
      await showLive(page, name === "open" ? loaded : idling);
      return cost(loaded, drive);
    };
    const pairs: Pair[] = [];
    while (pairs.length < bench.rounds) pairs.push(await pairOf(pairs.length % 2 === 1, costWith));
    await showLive(page, idling);
    const without = await costAtRest(loaded);
    await showLive(page, loaded);
    const atRest = { without, open: await costAtRest(loaded) };
    return outcomeOf(pairs, atRest);
  } finally {
    await context.close();
    await idling.stop();
    await loaded.stop();
  }
}

async function showLive(page: Page, server: HuiyuanContender): Promise<void> {
  await visit(page, urlTo(server, "/"));
  await page.locator(".either > :not(.absent)", { hasText: "live" }).waitFor();
}

/** A B B A or B A A B, so that a drift of the machine's speed is the same for both. */
async function pairOf(isOpenFirst: boolean, costWith: (name: keyof Pair) => Promise<Cost>): Promise<Pair> {
  const [outer, inner] = isOpenFirst ? (["open", "without"] as const) : (["without", "open"] as const);
  const first = await costWith(outer);
  const middle = [await costWith(inner), await costWith(inner)];
  const perHit = (costs: readonly Cost[]) =>
    costs.reduce((sum, { micros }) => sum + micros, 0) / costs.reduce((sum, { requests }) => sum + requests, 0);
  const outside = perHit([first, await costWith(outer)]);
  return isOpenFirst ? { open: outside, without: perHit(middle) } : { without: outside, open: perHit(middle) };
}

interface Cost {
  readonly micros: number;
  readonly requests: number;
}

/** CPU time of all hits, µs, with the work for the page meanwhile. */
async function cost(server: Contender, drive: Drive): Promise<Cost> {
  await idle(server.pid);
  const before = cpuMicros(server.pid);
  const { requests } = await drive(server, SECONDS);
  return { micros: cpuMicros(server.pid) - before, requests };
}

/** CPU time of a server without requests, µs in a second. */
async function costAtRest({ pid }: Contender): Promise<number> {
  const before = cpuMicros(pid);
  await delay(IDLE_MS);
  return (cpuMicros(pid) - before) / (IDLE_MS / 1_000);
}

function outcomeOf(pairs: readonly Pair[], atRest: Pair): Outcome {
  const ratios = pairs.map(({ without, open }) => open / without);
  const { median: ratio, from, to } = middleOf(ratios);
  const what = "memory hit 20 KB: CPU with the overview open ÷ without";
  const micros = (pick: "without" | "open") => median(pairs.map((pair) => pair[pick])).toFixed(1);
  return {
    verdicts: [
      { what: `${what}, median of ${pairs.length} pairs`, value: ratio, unit: "×", target: undefined },
      { what: `${what}, lower end of the 95 % interval`, value: from, unit: "×", target: { must: 1.02, aim: 1 } },
      { what: `${what}, upper end`, value: to, unit: "×", target: undefined },
    ],
    facts: [
      `CPU time of a hit: ${micros("without")} µs without the overview, ${micros("open")} µs with it open. ` +
        `The ratios: ${ratios.map((each) => each.toFixed(3)).join(", ")}.`,
      `Without downloads, the server takes ${(atRest.without / 1_000).toFixed(1)} ms of CPU time a second, and ` +
        `${(atRest.open / 1_000).toFixed(1)} ms with the overview open.`,
    ],
  };
}
