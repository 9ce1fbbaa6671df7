import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createResultBatches } from "../../../../../src/serve/image/workers/result-batches.ts";

const SMALL = 20_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Finishes this many results one after the other, and records those that passed on. */
function renders(total: number) {
  const wentOn: number[] = [];
  let waiting = total - 1;
  const groups = createResultBatches(() => waiting);
  let count = 0;
  return {
    wentOn,
    async done(bytes = SMALL) {
      const number = count;
      count += 1;
      // The next render has the slot before this result joins the batch.
      waiting = Math.max(0, waiting - 1);
      void groups.join(bytes).then(() => wentOn.push(number));
      await vi.advanceTimersByTimeAsync(0);
    },
  };
}

test("join() resolves at once while no render waits", async () => {
  const { wentOn, done } = renders(1);
  await done();
  expect(wentOn).toEqual([0]);
});

test("join() passes on eight results together under load", async () => {
  const { wentOn, done } = renders(30);
  for (let index = 0; index < 7; index += 1) await done();
  expect(wentOn).toEqual([]);
  await done();
  expect(wentOn).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  await done();
  expect(wentOn).toHaveLength(8);
});

test("join() collects no more results than renders wait", async () => {
  const { wentOn, done } = renders(6);
  await done();
  await done();
  expect(wentOn).toEqual([]);
  await done();
  expect(wentOn).toEqual([0, 1, 2]);
  await done();
  await done();
  await done();
  expect(wentOn).toEqual([0, 1, 2, 3, 4, 5]);
});

test("join() delays a result by at most 75 ms", async () => {
  const { wentOn, done } = renders(30);
  await done();
  await vi.advanceTimersByTimeAsync(40);
  await done();
  await vi.advanceTimersByTimeAsync(34);
  expect(wentOn).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(wentOn).toEqual([0, 1]);
  await done();
  await vi.advanceTimersByTimeAsync(74);
  expect(wentOn).toEqual([0, 1]);
  await vi.advanceTimersByTimeAsync(1);
  expect(wentOn).toEqual([0, 1, 2]);
});

test("join() resolves at once for a large result, and flushes the batch", async () => {
  const { wentOn, done } = renders(30);
  await done();
  await done(2 * 1024 * 1024);
  expect(wentOn).toEqual([0, 1]);
});
