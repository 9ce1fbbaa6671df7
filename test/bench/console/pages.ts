// Time until each page of the console shows its data, and until each of its calls answers: with a server that has just
// started and whose files are not in memory, and again.
import type { Browser } from "playwright-core";
import type { Verdict } from "../case.ts";
import type { HuiyuanContender } from "../contenders.ts";
import { median } from "../load.ts";
import { table } from "../report.ts";
import { type Bench, dropFromCache, type Outcome, startFilled, urlTo, visit, watched } from "./case.ts";
import { BUCKET, DEEP, DELETED, PICTURE } from "./fill.ts";

const VISITS = 5;
const CALLS = 20;
const MUST = { must: 500, aim: 200 };
/** The browser also compiles the program, and the server's files come from the disk. */
const FIRST_MUST = { must: 1_000, aim: 500 };

const query = (values: Readonly<Record<string, string>>) => new URLSearchParams(values).toString();
const bucketPage = (view: string) => `/buckets/one?${query({ bucket: BUCKET, view })}`;
const images = (values: Readonly<Record<string, string>>) => `/images?${query({ bucket: BUCKET, ...values })}`;
const DAY_MS = 86_400_000;
const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10);

const PAGES: Readonly<Record<string, string>> = {
  overview: "/",
  buckets: "/buckets",
  ...Object.fromEntries(
    ["domains", "access", "processing", "answersTab", "keys", "tryIt"].map((view) => [
      `bucket, ${view}`,
      bucketPage(view),
    ]),
  ),
  "new bucket": "/buckets/new",
  "settings, limits": "/settings?view=limits",
  "images, first page": images({}),
  "images, in the middle": images({ after: "flat/8" }),
  "images, a deep folder": images({ prefix: `deep/${DEEP}/` }),
  "images, after deleted ones": images({ after: "deep0" }),
  "images, a deleted folder": images({ prefix: DELETED.slice(0, DELETED.indexOf("/") + 1) }),
  "images, none": images({ prefix: "no-such-folder/" }),
  "one image": `/images/one?${query({ bucket: BUCKET, key: PICTURE })}`,
  "one image, deleted": `/images/one?${query({ bucket: BUCKET, key: DELETED })}`,
  origins: "/origins",
  migrations: "/migrations",
  "logs, newest": "/logs?view=operations",
  "logs, one operation": "/logs?operation=purge",
  "logs, an operation that never was": "/logs?operation=login",
  "logs, one image": "/logs?fileid=catalogue/0000/picture-0000001",
  "logs, an image that never was": "/logs?fileid=no-such.jpg",
  "logs, one day": `/logs?${query({ from: daysAgo(20), to: daysAgo(19) })}`,
  "logs, nothing on one day": `/logs?${query({ from: daysAgo(20), to: daysAgo(19), fileid: "no-such.jpg" })}`,
  usage: "/logs?view=usage",
  callbacks: "/logs?view=callbacks",
  explain: "/logs?view=explain",
};

/** Calls behind a button, with their bodies. */
const BUTTONS: Readonly<Record<string, object>> = {
  "/api/v1/explain": { url: `http://any.example/${PICTURE}` },
  "/api/v1/sign": { bucket: BUCKET, key: PICTURE },
};

/** Milliseconds, of one page or one call. */
interface Times {
  readonly cold: number;
  readonly warm: readonly number[];
}

export async function pages(bench: Bench, browser: Browser): Promise<Outcome> {
  const shown = new Map<string, Times>();
  const calls = new Map<string, Times>();
  const thumbnails: { readonly cold: number[]; readonly warm: number[] } = { cold: [], warm: [] };
  for (const [name, path] of Object.entries(PAGES)) {
    process.stderr.write(`  ${name}\n`);
    dropFromCache(bench.data);
    const server = await startFilled(bench);
    const context = await browser.newContext({ locale: "en" });
    try {
      const page = await watched(context);
      const first = await visit(page, urlTo(server, path));
      const again: number[] = [];
      while (again.length < VISITS) again.push((await visit(page, urlTo(server, path))).shownAt);
      shown.set(name, { cold: first.shownAt, warm: again });
      for (const { url, ms } of first.calls) {
        const isImage = url.includes("/objects/image?");
        const warm = await answers(url, isImage ? 1 : CALLS);
        if (isImage) {
          thumbnails.cold.push(ms);
          thumbnails.warm.push(...warm);
        } else calls.set(url.slice(url.indexOf("/api/")), { cold: ms, warm });
      }
      if (path === PAGES.explain) await addButtons(calls, server);
    } finally {
      await context.close();
      await server.stop();
    }
  }
  return outcomeOf(shown, calls, thumbnails);
}

async function addButtons(calls: Map<string, Times>, server: HuiyuanContender): Promise<void> {
  for (const [path, body] of Object.entries(BUTTONS)) {
    const [cold = Number.NaN, ...warm] = await answers(urlTo(server, path), CALLS + 1, body);
    calls.set(path, { cold, warm });
  }
}

/** Milliseconds of each call, one after the other. Throws for a refusal. */
async function answers(url: string, count: number, body?: object): Promise<number[]> {
  const init = body && { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const times: number[] = [];
  while (times.length < count) {
    const began = performance.now();
    const answer = await fetch(url, init);
    await answer.arrayBuffer();
    times.push(performance.now() - began);
    if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  }
  return times;
}

function outcomeOf(
  shown: ReadonlyMap<string, Times>,
  calls: ReadonlyMap<string, Times>,
  thumbnails: { readonly cold: readonly number[]; readonly warm: readonly number[] },
): Outcome {
  const slowest = (all: ReadonlyMap<string, Times>, pick: (times: Times) => number) =>
    Math.max(...[...all.values()].map(pick));
  const verdict = (what: string, value: number, target = MUST): Verdict => ({ what, value, unit: "ms", target });
  const cold = ({ cold: first }: Times) => first;
  const middle = ({ warm }: Times) => median(warm);
  const worst = ({ warm }: Times) => Math.max(...warm);
  const ms = (value: number) => value.toFixed(0);
  const rows = (all: ReadonlyMap<string, Times>) =>
    [...all].map(([name, times]) => [name, ms(cold(times)), ms(middle(times)), ms(worst(times))]);
  const head = (first: string, count: number) => [first, "first, ms", `median of ${count}, ms`, "worst, ms"];
  const images = [...thumbnails.cold].sort((left, right) => left - right);
  return {
    verdicts: [
      verdict(`${calls.size} calls: the slowest first answer`, slowest(calls, cold)),
      verdict(`${calls.size} calls: the slowest of ${CALLS} answers each`, slowest(calls, worst)),
      verdict(`${shown.size} pages: the slowest first visit shows its data`, slowest(shown, cold), FIRST_MUST),
      verdict(`${shown.size} pages: the slowest median of ${VISITS} visits`, slowest(shown, middle)),
      // The browser shares the machine, so one visit says little.
      { ...verdict(`${shown.size} pages: the slowest of these visits`, slowest(shown, worst)), target: undefined },
    ],
    facts: [
      table(head("page", VISITS), rows(shown)),
      table(
        head("call", CALLS),
        rows(calls).map(([name = "", ...times]) => [`\`${shortened(name)}\``, ...times]),
      ),
      `${images.length} thumbnails: at the first visit the median was ${ms(median(images))} ms and the slowest ` +
        `${ms(images.at(-1) ?? Number.NaN)} ms, each from its request on; again, ${ms(median(thumbnails.warm))} ms.`,
    ],
  };
}

const MOST_CHARACTERS = 90;

function shortened(call: string): string {
  const text = decodeURIComponent(call.replace("/api/v1", ""));
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS)}…`;
}
