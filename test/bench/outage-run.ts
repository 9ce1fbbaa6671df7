// Simulates an outage of the origin under load, and reports the clients' results. Clients request stored and uncached
// images before, during and after it. `npm run outage` runs it for ten minutes, test/fault for seconds.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { get } from "../helpers/get.ts";
import { noisyJpeg, segment } from "../helpers/images.ts";
import { eventually, install, type Program } from "../helpers/program.ts";
import { response, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { startNginx } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

export interface OutageOptions {
  /** `dead`: a real nginx is killed. `hung`: the origin accepts requests and sends nothing. */
  readonly kind: "dead" | "hung";
  readonly outageMs: number;
  /** The same as in the settings. */
  readonly breaker: { readonly failures: number; readonly within: string; readonly open: string };
  readonly timeouts: object;
}

export interface OutageReport {
  /** Downloads of stored images during the outage, and how many of them were incomplete or wrong. */
  readonly hits: number;
  readonly failedHits: number;
  /** Misses during the outage by status and X-ErrNo. */
  readonly misses: Readonly<Record<string, number>>;
  /** Client latency of misses after the breaker had opened, milliseconds: the median, and the 99th percentile. */
  readonly missMs: { readonly median: number; readonly p99: number };
  /** Milliseconds from the origin's return to the first miss that was served. */
  readonly recoveryMs: number;
  /** The program's log from the beginning of the outage to its end, except the access log (`misses`). */
  readonly log: readonly string[];
  readonly accessLines: number;
}

const STORED = 80;
const HIT_CLIENTS = 8;
const MISS_CLIENTS = 8;
/** Pause between two downloads of one client, because the machine serves other clients too. */
const PACE_MS = 40;

export async function runOutage(options: OutageOptions): Promise<OutageReport> {
  const picture = await noisyJpeg(160, 120);
  const origin = await startOrigin(options.kind, picture);
  const { breaker, timeouts } = options;
  // Half of the images do not fit in memory.
  const more = { server: { accessLog: "misses" }, limits: { memory: "1MiB", hotObjectSize: "100KB" } };
  const installation = await install(oneBucket(mirrorOf(origin.url, { breaker, timeouts }), {}, more));
  let program: Program | undefined;
  try {
    program = await installation.start();
    return await watch({ options, picture, origin, program });
  } finally {
    await program?.stop();
    await origin.close();
    await installation.remove();
  }
}

interface Scene {
  readonly options: OutageOptions;
  readonly picture: Buffer;
  readonly origin: FailingOrigin;
  readonly program: Program;
}

async function watch({ options, picture, origin, program }: Scene): Promise<OutageReport> {
  const { downloadPort: port } = program;
  const isStored = async (path: string) => {
    const { headers } = await get({ port, path });
    return /; hit; detail=(memory|bucket)/.test(String(headers["cache-status"]));
  };
  for (let number = 0; number < STORED; number += 1) {
    const path = `/image-${number}.jpg`;
    await eventually(() => isStored(path), `${path} is stored`);
  }

  const counts = { hits: 0, failedHits: 0 };
  const misses: Record<string, number> = {};
  const openMissMs: number[] = [];
  const over = new AbortController();
  const client = async (work: () => Promise<void>) => {
    while (!over.signal.aborted) {
      await work();
      await delay(PACE_MS);
    }
  };
  const hit = async (number: number) => {
    const path = `/image-${number % STORED}.jpg`;
    const answer = await get({ port, path }).catch(() => undefined);
    counts.hits += 1;
    const isRight = answer?.status === 200 && answer.isWhole && answer.body.equals(withNumber(picture, path));
    if (!isRight) counts.failedHits += 1;
  };
  const miss = async (number: number) => {
    const wasOpen = program.output.includes("an origin keeps failing");
    const startedAt = performance.now();
    const { status, headers } = await get({ port, path: `/missing-${number}.jpg` });
    if (wasOpen) openMissMs.push(performance.now() - startedAt);
    const outcome = `${status} ${headers["x-errno"]}`;
    misses[outcome] = (misses[outcome] ?? 0) + 1;
  };
  const said = program.output.length;
  await origin.fail();
  let number = 0;
  const next = () => number++;
  const clients = [
    ...Array.from({ length: HIT_CLIENTS }, () => client(() => hit(next()))),
    ...Array.from({ length: MISS_CLIENTS }, () => client(() => miss(next()))),
  ];
  await delay(options.outageMs);
  over.abort();
  await Promise.all(clients);

  await origin.heal();
  const healedAt = performance.now();
  await eventually(
    async () => (await get({ port, path: `/image-${STORED + next()}.jpg` })).status === 200,
    "the origin is asked again",
    120_000,
  );
  const recoveryMs = performance.now() - healedAt;
  const lines = program.output.slice(said).split("\n").filter(Boolean);
  return {
    ...counts,
    misses,
    missMs: { median: quantile(openMissMs, 0.5), p99: quantile(openMissMs, 0.99) },
    recoveryMs,
    log: lines.filter((line) => !isAccessLine(line)),
    accessLines: lines.filter(isAccessLine).length,
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
}

function isAccessLine(line: string): boolean {
  return line.includes('"msg":"download"');
}

interface FailingOrigin {
  readonly url: string;
  fail(): Promise<void>;
  heal(): Promise<void>;
  close(): Promise<void>;
}

/** Serves a different picture for each `/image…`; 404 for other paths. */
async function startOrigin(kind: OutageOptions["kind"], picture: Buffer): Promise<FailingOrigin> {
  return kind === "dead" ? startMortal(picture) : startHanging(picture);
}

async function startMortal(picture: Buffer): Promise<FailingOrigin> {
  const root = await mkdtemp(join(tmpdir(), "huiyuan-outage-"));
  const scripted = await startScriptedOrigin(async ({ target }, connection) =>
    connection.send(
      target.startsWith("/image") ? response(withNumber(picture, target)) : response("", { status: "404 Not Found" }),
    ),
  );
  // nginx proxies to the scripted pictures, because so many would need much disk space.
  const nginx = await startNginx({ root, conf: `location / { proxy_pass ${scripted.url}; }` });
  return {
    url: nginx.url,
    fail: () => nginx.stop(),
    heal: () => nginx.start(),
    async close() {
      await nginx.remove();
      await scripted.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function startHanging(picture: Buffer): Promise<FailingOrigin> {
  let isHung = false;
  const origin = await startScriptedOrigin(async ({ target }, connection) => {
    if (isHung) await connection.hang();
    else if (target.startsWith("/image")) await connection.send(response(withNumber(picture, target)));
    else await connection.send(response("", { status: "404 Not Found" }));
  });
  return {
    url: origin.url,
    async fail() {
      isHung = true;
    },
    async heal() {
      isHung = false;
    },
    close: () => origin.close(),
  };
}

/** Adds the path to the picture as a comment, so that no two are equal. */
function withNumber(jpeg: Buffer, path: string): Buffer {
  return Buffer.concat([jpeg.subarray(0, 2), segment(0xfe, Buffer.from(path)), jpeg.subarray(2)]);
}
