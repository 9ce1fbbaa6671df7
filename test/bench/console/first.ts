// The first visit of a browser that has nothing of the console: time until its controls answer, and the compressed
// bytes that it loads.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Browser, CDPSession } from "playwright-core";
import type { Verdict } from "../case.ts";
import { median } from "../load.ts";
import { type Bench, type Outcome, startFilled, urlTo, type Visit, visit, watched } from "./case.ts";

const VISITS = 10;
const CONSOLE = fileURLToPath(new URL("../../../dist/console/", import.meta.url));
const PARTS = /\.(?:js|css)$/;

/** A phone: bytes a second of 10 Mbit/s, milliseconds of latency, a slower CPU. */
const PHONE = { bytesPerSecond: 1_250_000, latencyMs: 40, timesSlower: 4 };

interface FirstVisit extends Visit {
  /** Bytes of all answers but those of the API, as they were sent, with their heads. */
  readonly bytes: number;
}

export async function first(bench: Bench, browser: Browser): Promise<Outcome> {
  const server = await startFilled(bench);
  try {
    const visits = async (isPhone: boolean) => {
      const list: FirstVisit[] = [];
      while (list.length < VISITS) list.push(await newVisit(browser, urlTo(server, "/"), isPhone));
      return list;
    };
    const plain = await visits(false);
    const phone = await visits(true);
    const times = (what: string, list: readonly FirstVisit[], pick: (visit: FirstVisit) => number) => ({
      what: `${what}, median of ${VISITS}`,
      value: median(list.map(pick)),
      unit: "ms" as const,
    });
    const interactive = ({ answersAt }: FirstVisit) => answersAt;
    const verdicts: Verdict[] = [
      { ...times("overview: its controls answer", plain, interactive), target: { must: 1_000, aim: 500 } },
      { ...times("overview: it shows its data", plain, ({ shownAt }) => shownAt), target: undefined },
      { ...times("overview on a slow phone: its controls answer", phone, interactive), target: undefined },
      bytes("overview: bytes that it loads, as sent", median(plain.map((visit) => visit.bytes))),
      bytes("the whole console: bytes of all scripts and styles, gzip", wholeConsole()),
    ];
    const slowest = Math.max(...plain.map(interactive));
    return {
      verdicts,
      facts: [
        `The slowest of the ${VISITS} visits had controls that answer after ${slowest.toFixed(0)} ms.`,
        `The phone has ${PHONE.bytesPerSecond / 125_000} Mbit/s with ${PHONE.latencyMs} ms of latency, and a CPU ` +
          `${PHONE.timesSlower} times slower.`,
      ],
    };
  } finally {
    await server.stop();
  }
}

function bytes(what: string, value: number): Verdict {
  return { what, value, unit: "bytes", target: { must: 150_000, aim: 100_000 } };
}

async function newVisit(browser: Browser, url: string, isPhone: boolean): Promise<FirstVisit> {
  const context = await browser.newContext({ locale: "en" });
  try {
    const page = await watched(context);
    const session = await context.newCDPSession(page);
    await session.send("Network.enable");
    const loaded = countBytes(session);
    if (isPhone) await slowDown(session);
    return { ...(await visit(page, url)), bytes: loaded() };
  } finally {
    await context.close();
  }
}

function countBytes(session: CDPSession): () => number {
  const urls = new Map<string, string>();
  let sum = 0;
  session.on("Network.requestWillBeSent", ({ requestId, request }) => urls.set(requestId, request.url));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (/^http/.test(urls.get(requestId) ?? "") && !urls.get(requestId)?.includes("/api/")) sum += encodedDataLength;
  });
  return () => sum;
}

async function slowDown(session: CDPSession): Promise<void> {
  const { bytesPerSecond, latencyMs, timesSlower } = PHONE;
  await session.send("Network.emulateNetworkConditions", {
    ...{ offline: false, latency: latencyMs, downloadThroughput: bytesPerSecond, uploadThroughput: bytesPerSecond },
  });
  await session.send("Emulation.setCPUThrottlingRate", { rate: timesSlower });
}

function wholeConsole(): number {
  const parts = readdirSync(CONSOLE).filter((name) => PARTS.test(name));
  return parts.reduce((sum, name) => sum + gzipSync(readFileSync(CONSOLE + name)).length, 0);
}
