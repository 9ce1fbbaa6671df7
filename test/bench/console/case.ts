// Types of the console's bench, and what its cases share: the server with the filled bucket, and visits of a browser.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { PATIENCE_MS, within } from "../../helpers/program.ts";
import type { Verdict } from "../case.ts";
import { type HuiyuanContender, startHuiyuan } from "../contenders.ts";

/** The input of every case. */
export interface Bench {
  /** The servers keep their own files in it. */
  readonly folder: string;
  /** The filled data folder. */
  readonly data: string;
  /** Paired rounds. */
  readonly rounds: number;
}

export interface Outcome {
  readonly verdicts: readonly Verdict[];
  /** Markdown: tables, and a sentence each. */
  readonly facts: readonly string[];
}

/** No case requests an image that the bucket lacks. */
export const NO_ORIGIN = 1_024;

export function startFilled({ folder, data }: Pick<Bench, "folder" | "data">): Promise<HuiyuanContender> {
  return startHuiyuan({ folder, data, originPort: NO_ORIGIN });
}

export function urlTo({ adminPort }: HuiyuanContender, path: string): string {
  return `http://127.0.0.1:${adminPort}${path}`;
}

/** Drops the files of a stopped server from the page cache of the system. */
export function dropFromCache(data: string): void {
  const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const { parentPath, name } of files) {
    const args = [`of=${join(parentPath, name)}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"];
    if (spawnSync("dd", args).status !== 0) throw new Error("Cannot drop files from the page cache: dd failed");
  }
}

// Runs in the page. `shownAt` is when the page has its heading and nothing loads any more, and `answersAt` when a click
// on a control has taken effect; both in milliseconds since the start of the navigation.
const WATCH = `(() => {
  const seen = (window.benchSeen = { shownAt: undefined, answersAt: undefined });
  const look = () => {
    const main = document.querySelector("main");
    const isShown = main?.querySelector("h1") && !main.querySelector(".loading");
    seen.shownAt = isShown ? (seen.shownAt ?? performance.now()) : undefined;
    const theme = document.querySelector(".side footer button:nth-of-type(2)");
    if (seen.answersAt === undefined && theme) {
      const before = document.documentElement.dataset.theme;
      theme.click();
      if (document.documentElement.dataset.theme !== before) seen.answersAt = performance.now();
    }
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true });
  setInterval(look, 5);
})()`;

/** Nothing more has begun to load for so long, and every picture that is in sight is drawn. */
const REST_MS = 300;
const SEEN = `(() => {
  const { shownAt, answersAt } = window.benchSeen ?? {};
  const isDrawn = (image) => image.complete || image.getBoundingClientRect().top > innerHeight;
  const isAtRest = performance.now() > shownAt + ${REST_MS} && [...document.images].every(isDrawn);
  const calls = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/api/"));
  const problem = document.querySelector("main .note.bad")?.textContent;
  return { shownAt, answersAt, isAtRest, problem, calls: calls.map(({ name, duration }) => ({ url: name, ms: duration })) };
})()`;

/** Milliseconds since the start of the navigation. */
export interface Visit {
  /** The page shows its data. */
  readonly shownAt: number;
  /** A click on a control has taken effect. */
  readonly answersAt: number;
  /** Calls of the API, and images. */
  readonly calls: readonly { readonly url: string; readonly ms: number }[];
}

type Seen = Partial<Visit> & { readonly isAtRest: boolean; readonly problem?: string };

export async function watched(context: BrowserContext): Promise<Page> {
  await context.addInitScript(WATCH);
  return context.newPage();
}

/** Resolves once the page shows its data. Throws if it shows a problem. */
export function visit(page: Page, url: string): Promise<Visit> {
  const run = async () => {
    await page.goto(url, { waitUntil: "commit" });
    for (;;) {
      const seen = (await page.evaluate(SEEN)) as Seen;
      if (seen.problem !== undefined) throw new Error(`${url} shows a problem: ${seen.problem}`);
      if (seen.isAtRest && seen.answersAt !== undefined) return seen as Visit;
      await page.waitForTimeout(50);
    }
  };
  return within(run(), PATIENCE_MS, () => `${url} does not show its data`);
}
