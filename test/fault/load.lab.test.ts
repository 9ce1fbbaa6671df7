// A short load test: many clients or one bad origin can use only bounded resources, and all are released afterwards.
// Runs the whole built program; `npm run soak` takes minutes.
import { setMaxListeners } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { floodOfHeaders, neverRead, readSlowly } from "../bench/hostile-clients.ts";
import { residentBytes } from "../bench/processes.ts";
import { isAtRest, settled, takeSample, usageCounted, type Watched } from "../bench/sampling.ts";
import { type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg, segment } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const HUNG = "hung.test";
const WELL = "well.test";
const PLACES = 4;
const FIRST_BYTE_MS = 3_000;
/** Tolerance of a deadline on a busy machine. */
const SLACK_MS = 2_000;
const CLIENTS = 200;
const MB = 1_000_000;

let small: Buffer;
/** Larger than the kernels' socket buffers between the program and a client. */
let large: Buffer;
let hung: ScriptedOrigin;
let well: ScriptedOrigin;
let installation: Installation;
let program: Program;
let watched: Watched;

beforeAll(async () => {
  small = await noisyJpeg(320, 240);
  large = padded(small, 16 * MB);
  hung = await startScriptedOrigin((_request, connection) => connection.hang());
  // One connection per request, so that no idle connection looks like a leak.
  well = await startScriptedOrigin(async ({ target }, connection) => {
    await connection.send(response(target.startsWith("/large") ? large : small, { headers: { Connection: "close" } }));
    connection.end();
  });
  const timeouts = { connect: "2s", firstByte: `${FIRST_BYTE_MS}ms`, idle: "5s", total: "20s" };
  // Hundreds of clients and their origin share this process, so healthy requests may be slow.
  const patience = { connect: "20s", firstByte: "30s", idle: "30s", total: "60s" };
  const site = (url: string, connections: number) => ({ type: "site", url, allowPrivate: true, connections });
  const domains = [
    { host: HUNG, mirror: { timeouts, origins: [site(hung.url, PLACES)] } },
    { host: WELL, mirror: { timeouts: patience, origins: [site(well.url, CLIENTS)] } },
  ];
  installation = await install({
    // Slightly more than the hung origin's own limit; it must not use all of them.
    limits: { fills: PLACES + CLIENTS, hotObjectSize: "2MB", memory: "16MB" },
    projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains }] }],
  });
  program = await installation.start();
  watched = { pid: program.pid, adminPort: program.adminPort, data: installation.data };
  // These open long-lived resources: catalogue readers, threads, the first blob.
  for (const path of ["/small.jpg", "/large.jpg"]) await bringIn(path);
  await usageCounted(watched);
});

afterAll(async () => {
  await program.stop();
  await Promise.all([hung.close(), well.close()]);
  await installation.remove();
});

const ask = (host: string, path: string, more: { readonly leaveAfter?: number } = {}) =>
  get({ port: program.downloadPort, host, path, ...more });

async function bringIn(path: string): Promise<void> {
  await eventually(async () => {
    const { headers } = await ask(WELL, path);
    return /; detail=(memory|bucket)/.test(String(headers["cache-status"]));
  }, `${path} is stored`);
}

/** The picture with comments, up to about `bytes`. */
function padded(jpeg: Buffer, bytes: number): Buffer {
  const comment = segment(0xfe, Buffer.alloc(65_000, 0x20));
  const comments = Array<Buffer>(Math.floor((bytes - jpeg.length) / comment.length)).fill(comment);
  return Buffer.concat([jpeg.subarray(0, 2), ...comments, jpeg.subarray(2)]);
}

async function timed(work: Promise<GetResult>): Promise<GetResult & { readonly ms: number }> {
  const startedAt = performance.now();
  return { ...(await work), ms: performance.now() - startedAt };
}

/** Peak resident memory of the program during `work`, minus its size before. */
async function growthWhile(work: Promise<unknown>): Promise<number> {
  const before = residentBytes(program.pid).now;
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, residentBytes(program.pid).now);
  }, 50);
  await work.finally(() => clearInterval(timer));
  return most - before;
}

/** Waits until the program is at rest with no more descriptors than at `start`; reports any that are left. */
async function expectBackTo(start: Awaited<ReturnType<typeof takeSample>>): Promise<void> {
  const end = await settled(watched, start, performance.now(), 15_000);
  expect(isAtRest(end, start), JSON.stringify({ start, end })).toBe(true);
}

test("a hung origin uses only its own slots, and requests that wait for one get Retry-After", async () => {
  const waiting = Array.from({ length: 50 }, (_, index) => timed(ask(HUNG, `/hung-${index}.jpg`)));
  await hung.received(PLACES);
  const others = await Promise.all(Array.from({ length: 20 }, (_, index) => timed(ask(WELL, `/other-${index}.jpg`))));
  expect(others.map(({ status, body }) => [status, body.equals(small)])).toEqual(Array(20).fill([200, true]));
  expect(Math.max(...others.map(({ ms }) => ms))).toBeLessThan(FIRST_BYTE_MS);
  expect(hung.requests).toHaveLength(PLACES);

  const answers = await Promise.all(waiting);
  expect(new Set(answers.map(({ headers }) => headers["x-errno"]))).toEqual(new Set(["-902"]));
  const refused = answers.filter(({ status }) => status === 503);
  // A few requests may have got a slot that became free just before their deadline.
  expect(refused.length).toBeGreaterThanOrEqual(50 - 2 * PLACES);
  for (const { headers, ms } of refused) {
    expect(Number(headers["retry-after"])).toBeGreaterThan(0);
    expect(ms).toBeLessThan(FIRST_BYTE_MS + SLACK_MS);
  }
  const tried = answers.filter(({ status }) => status !== 503);
  expect(new Set(tried.map(({ status }) => status))).toEqual(new Set([424]));
  expect(tried.length).toBe(hung.requests.length);
});

test(`${CLIENTS} slow readers use bounded memory, and leave nothing open after they disconnect`, async () => {
  const start = await takeSample(watched, 0);
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  const pace = { bytes: 65_536, pauseMs: 500 };
  let begun = 0;
  const hasBegun = () => {
    begun += 1;
  };
  const where = { port: program.downloadPort, path: "/large.jpg", host: WELL, begun: hasBegun };
  const growth = growthWhile(eventually(() => begun === CLIENTS, "all are being answered"));
  const clients = Array.from({ length: CLIENTS }, () => readSlowly(where, pace, over.signal));
  // Each client needs one piece of 256 KiB in transit and one being read, plus uncollected garbage. Buffering the whole
  // body for each client would need eight times this bound.
  expect(await growth).toBeLessThan((CLIENTS * large.length) / 8);
  over.abort();
  const seen = await Promise.all(clients);
  expect(seen.filter(({ isWhole }) => isWhole)).toEqual([]);
  expect(new Set(seen.map(({ status }) => status))).toEqual(new Set([200]));
  await expectBackTo(start);
});

test(`${2 * CLIENTS} clients that send fifty requests and never read delay no other client, and use little memory`, async () => {
  const paths = Array.from({ length: 50 }, (_, index) => `/beside-${index}.jpg`);
  for (const path of paths) await bringIn(path);
  const start = await takeSample(watched, 0);
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  const where = { port: program.downloadPort, path: "/large.jpg", host: WELL, times: 50 };
  let clients: Promise<void>[] = [];
  const others: (GetResult & { readonly ms: number })[] = [];
  const growth = growthWhile(
    (async () => {
      clients = Array.from({ length: 2 * CLIENTS }, () => neverRead(where, over.signal));
      for (const path of paths) others.push(await timed(ask(WELL, path)));
    })(),
  );
  // A block for each client, 32 MiB for all, and uncollected garbage. With pieces of 256 KiB and with all requests
  // parsed at once, it was over 200 MB.
  expect(await growth).toBeLessThan(120 * MB);
  expect(others.map(({ status, body }) => [status, body.equals(small)])).toEqual(Array(50).fill([200, true]));
  // Queued behind the other clients' pieces, each request would take seconds.
  const [median = 0] = others
    .map(({ ms }) => ms)
    .sort((a, b) => a - b)
    .slice(25);
  expect(median).toBeLessThan(250);
  over.abort();
  await Promise.all(clients);
  await expectBackTo(start);
});

test(`${CLIENTS} clients that disconnect early leave nothing open, and their fills are stored`, async () => {
  const start = await takeSample(watched, 0);
  const paths = Array.from({ length: CLIENTS }, (_, index) => `/left-${index}.jpg`);
  await Promise.all(
    paths.flatMap((path) => [ask(WELL, path, { leaveAfter: 1 }), ask(WELL, "/large.jpg", { leaveAfter: 1 })]),
  );
  await expectBackTo(start);
  const asked = well.requests.length;
  const again = await Promise.all(paths.map((path) => ask(WELL, path)));
  expect(again.filter(({ status, body }) => status !== 200 || !body.equals(small))).toEqual([]);
  expect(well.requests).toHaveLength(asked);
});

test("floods of headers get 431 and do not increase memory", async () => {
  const start = await takeSample(watched, 0);
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  const statuses: number[] = [];
  const flood = async () => {
    for (let round = 0; round < 10; round += 1) {
      const sizes = Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? 400 : 2_000));
      statuses.push(...(await Promise.all(sizes.map((size) => floodOfHeaders(program.downloadPort, size, signal)))));
    }
  };
  // A request head is refused after 16 KiB; further bytes that were read become garbage at once.
  expect(await growthWhile(flood())).toBeLessThan(64 * MB);
  expect(statuses).toHaveLength(500);
  expect(new Set(statuses)).toEqual(new Set([431]));
  await expectBackTo(start);
});
