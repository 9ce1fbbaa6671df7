import { expect, test } from "vitest";
import type { Release } from "../../../../../src/async/semaphore.ts";
import { createPace, type Pace } from "../../../../../src/operate/migrations/runner/pace.ts";

const NONE = { requestsPerSecond: 0, bytesPerSecond: 0 };
const NEVER = new AbortController().signal;

/** The number of objects that may begin at once. */
async function limitOf(pace: Pace): Promise<number> {
  const begun: Release[] = [];
  const waits = Array.from({ length: 20 }, () => new AbortController());
  const starts = waits.map(({ signal }) => pace.begin(signal).then((release) => begun.push(release)));
  await new Promise(setImmediate);
  for (const wait of waits) wait.abort();
  await Promise.allSettled(starts);
  for (const release of begun) release();
  return begun.length;
}

test("the limit is halved on congestion, once for all objects that are under way, and at least 1", async () => {
  let at = 0;
  const pace = createPace({ concurrency: 16, ...NONE }, () => at);
  pace.congested();
  pace.congested();
  expect(await limitOf(pace)).toBe(8);
  for (let second = 1; second <= 10; second += 1) {
    at = second * 1_000;
    pace.congested();
  }
  expect(await limitOf(pace)).toBe(1);
});

test("the limit grows by one for each round of successes, up to the concurrency", async () => {
  const pace = createPace({ concurrency: 10, ...NONE });
  pace.congested();
  expect(await limitOf(pace)).toBe(5);
  for (let count = 0; count < 6; count += 1) pace.succeeded(0);
  expect(await limitOf(pace)).toBe(6);
  for (let count = 0; count < 100; count += 1) pace.succeeded(0);
  expect(await limitOf(pace)).toBe(10);
});

test("no more objects than the limit begin", async () => {
  const pace = createPace({ concurrency: 2, ...NONE });
  const first = await pace.begin(NEVER);
  await pace.begin(NEVER);
  let isThird = false;
  const third = pace.begin(NEVER).then(() => {
    isThird = true;
  });
  await new Promise(setImmediate);
  expect(isThird).toBe(false);
  first();
  await third;
});

test.each([
  ["requests", { requestsPerSecond: 20, bytesPerSecond: 0 }, 0],
  ["bytes", { requestsPerSecond: 0, bytesPerSecond: 20_000 }, 1_000],
])("the rate of %s is an average", async (_what, limits, bytes) => {
  const pace = createPace({ concurrency: 50, ...limits });
  const began = performance.now();
  for (let count = 0; count < 11; count += 1) {
    (await pace.begin(NEVER))();
    pace.succeeded(bytes);
  }
  // Ten intervals of 50 ms.
  expect(performance.now() - began).toBeGreaterThanOrEqual(450);
});

test("a wait beyond the longest timer does not end at once", async () => {
  const pace = createPace({ concurrency: 1, requestsPerSecond: 0, bytesPerSecond: 1 });
  pace.succeeded(2 ** 22);
  await expect(pace.begin(AbortSignal.timeout(50))).rejects.toBeDefined();
});

test("a pause that the other side asked for delays the next object, and can be aborted", async () => {
  const pace = createPace({ concurrency: 1, ...NONE });
  pace.congested(400);
  const began = performance.now();
  (await pace.begin(NEVER))();
  expect(performance.now() - began).toBeGreaterThanOrEqual(350);
  pace.congested(60_000);
  await expect(pace.begin(AbortSignal.timeout(20))).rejects.toBeDefined();
  // It has given its place back.
  (await pace.begin(NEVER, false))();
});
