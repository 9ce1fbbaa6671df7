import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HuiyuanError } from "../../../../src/core/errors.ts";
import { createReadiness } from "../../../../src/operate/admin/readiness.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A store that is full for the first probe only. */
function fullOnce() {
  let asked = 0;
  const probe = async () => {
    asked += 1;
    if (asked === 1) throw new HuiyuanError("store_full", "as planned");
  };
  const ready = createReadiness({ probe, isDraining: () => false, notes: () => [] });
  return { ready, asked: () => asked };
}

test("createReadiness() probes the store at most once a second", async () => {
  const { ready, asked } = fullOnce();
  for (const _time of [1, 2]) expect((await ready()).notes).toEqual([expect.stringContaining("no room")]);
  expect(asked()).toBe(1);
  vi.advanceTimersByTime(1_000);
  expect(await ready()).toEqual({ isReady: true, notes: [] });
});

test("createReadiness() probes again after a second even if the clock was set back", async () => {
  const { ready } = fullOnce();
  await ready();
  vi.setSystemTime(1_700_000_000_000 - 3_600_000);
  vi.advanceTimersByTime(1_000);
  expect((await ready()).notes).toEqual([]);
});

test("createReadiness() is not ready if the stop begins during a probe", async () => {
  let isDraining = false;
  const probe = async () => {
    isDraining = true;
  };
  const ready = createReadiness({ probe, isDraining: () => isDraining, notes: () => [] });
  expect(await ready()).toEqual({ isReady: false, notes: ["the server is shutting down"] });
});

/** A store whose probes end when the test says so. */
function slowStore() {
  const answers: (() => void)[] = [];
  const probe = () => new Promise<void>((resolve) => answers.push(resolve));
  return { ready: createReadiness({ probe, isDraining: () => false, notes: () => [] }), answers };
}

test("createReadiness() starts no probe while one is pending, and is not ready after 2 s without an answer", async () => {
  const { ready, answers } = slowStore();
  const first = ready();
  vi.advanceTimersByTime(1_500);
  const second = ready();
  await vi.advanceTimersByTimeAsync(500);
  const notReady = { isReady: false, notes: [expect.stringContaining("store")] };
  expect(await Promise.all([first, second])).toEqual([notReady, notReady]);
  vi.advanceTimersByTime(60_000);
  // This one does not wait.
  expect(await ready()).toEqual(notReady);
  expect(answers).toHaveLength(1);
});

test("createReadiness() is ready again after a probe that took too long", async () => {
  const { ready, answers } = slowStore();
  void ready();
  await vi.advanceTimersByTimeAsync(5_000);
  answers[0]?.();
  await vi.advanceTimersByTimeAsync(0);
  const again = ready();
  expect(answers).toHaveLength(2);
  answers[1]?.();
  expect(await again).toEqual({ isReady: true, notes: [] });
  expect(vi.getTimerCount()).toBe(0);
});
