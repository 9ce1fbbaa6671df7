import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { startPeriodicTasks } from "../../../../../src/serve/bucket/fs/periodic-tasks.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

test("startPeriodicTasks() runs each task when it is due, none at the start, and continues after a failure", async () => {
  const runs: string[] = [];
  const stop = startPeriodicTasks(1_000, { log: SILENT_LOG }, [
    {
      action: "fail",
      everyMs: 0,
      run: async () => {
        runs.push(`fail ${Date.now()}`);
        throw new Error("as planned");
      },
    },
    { action: "work", everyMs: 2_500, run: async () => runs.push(`work ${Date.now()}`) },
  ]);
  expect(runs).toEqual([]);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(runs).toEqual(["fail 1000", "fail 2000", "fail 3000", "work 3000", "fail 4000"]);
  await stop();
  await vi.advanceTimersByTimeAsync(4_000);
  expect(runs).toHaveLength(5);
});
