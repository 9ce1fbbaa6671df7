import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HuiyuanError } from "../../../../src/core/errors.ts";
import { createReadiness } from "../../../../src/http/admin/readiness.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A store that is full until it has been asked once. */
function fullOnce() {
  let asked = 0;
  const probe = async () => {
    asked += 1;
    if (asked === 1) throw new HuiyuanError("store_full", "as planned");
  };
  const ready = createReadiness({ probe, isDraining: () => false, notes: () => [] });
  return { ready, asked: () => asked };
}

test("createReadiness() asks the store once a second at most", async () => {
  const { ready, asked } = fullOnce();
  for (const _time of [1, 2]) expect((await ready()).notes).toEqual([expect.stringContaining("no room")]);
  expect(asked()).toBe(1);
  vi.advanceTimersByTime(1_000);
  expect(await ready()).toEqual({ isReady: true, notes: [] });
});

test("createReadiness() asks again after a second also when the clock was set back", async () => {
  const { ready } = fullOnce();
  await ready();
  vi.setSystemTime(1_700_000_000_000 - 3_600_000);
  vi.advanceTimersByTime(1_000);
  expect((await ready()).notes).toEqual([]);
});

test("createReadiness() is not ready if the stop begins while the store is being asked", async () => {
  let isDraining = false;
  const probe = async () => {
    isDraining = true;
  };
  const ready = createReadiness({ probe, isDraining: () => isDraining, notes: () => [] });
  expect(await ready()).toEqual({ isReady: false, notes: ["the server is shutting down"] });
});
