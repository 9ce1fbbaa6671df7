// What hits of the download port cost while a browser has the overview open, beside what they cost without it.
import type { Browser, Page } from "playwright-core";
import { eventually } from "../../helpers/program.ts";
import { type Contender, type HuiyuanContender, startHuiyuan } from "../contenders.ts";
import { byWrk, type Drive, median, verify } from "../load.ts";
import { middleOf } from "../pairs.ts";
import { pictureOf } from "../pictures.ts";
import { cpuMicros, idle } from "../processes.ts";
import { type Bench, NO_ORIGIN, type Outcome, startFilled, urlTo, visit, watched } from "./case.ts";
import { PICTURE, PICTURE_BYTES } from "./fill.ts";

const SECONDS = 4;
const WARM_UP_SECONDS = 3;
const PATH = `/${PICTURE}`;

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
    const costWith = async (shown: HuiyuanContender) => {
      await showLive(page, shown);
      return cost(loaded, drive);
    };
    await drive(loaded, WARM_UP_SECONDS);
    const pairs: { readonly without: number; readonly open: number }[] = [];
    while (pairs.length < bench.rounds) {
      // Each round begins with the other one.
      const isOpenFirst = pairs.length % 2 === 1;
      const one = await costWith(isOpenFirst ? loaded : idling);
      const other = await costWith(isOpenFirst ? idling : loaded);
      pairs.push(isOpenFirst ? { without: other, open: one } : { without: one, open: other });
    }
    return outcomeOf(pairs);
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

/** CPU time of a hit, µs, with the work for the page meanwhile. */
async function cost(server: Contender, drive: Drive): Promise<number> {
  await idle(server.pid);
  const before = cpuMicros(server.pid);
  const { requests } = await drive(server, SECONDS);
  return (cpuMicros(server.pid) - before) / requests;
}

function outcomeOf(pairs: readonly { readonly without: number; readonly open: number }[]): Outcome {
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
    ],
  };
}
