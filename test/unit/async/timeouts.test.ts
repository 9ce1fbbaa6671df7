import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { pause } from "../../../src/async/timeouts.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function startPause(milliseconds: number, hurry: AbortSignal) {
  const state = { isOver: false };
  void pause(milliseconds, hurry).then(() => {
    state.isOver = true;
  });
  return state;
}

test("pause() resolves after its time, and not before", async () => {
  const state = startPause(3_600_000, new AbortController().signal);
  await vi.advanceTimersByTimeAsync(3_599_999);
  expect(state.isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(state.isOver).toBe(true);
});

test("pause() resolves once it is hurried, and leaves no timer", async () => {
  const hurry = new AbortController();
  const state = startPause(3_600_000, hurry.signal);
  hurry.abort();
  await vi.advanceTimersByTimeAsync(0);
  expect([state.isOver, vi.getTimerCount()]).toEqual([true, 0]);
  await pause(3_600_000, hurry.signal);
  expect(vi.getTimerCount()).toBe(0);
});
