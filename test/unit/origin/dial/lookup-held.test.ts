// Tests the warning about system lookups that never end.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { createSystemResolve } from "../../../../src/origin/dial/lookup.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** DNS finds every name at once; the system answers none before `end`. */
function heldLab() {
  const told: object[] = [];
  const running: (() => void)[] = [];
  const resolve = createSystemResolve({
    log: { ...SILENT_LOG, warn: (fields) => void told.push(fields) },
    system: () => new Promise((done) => running.push(() => done(["192.0.2.9"]))),
    direct: async () => ["192.0.2.1"],
  });
  const find = async (name: string) => {
    const found = resolve(name);
    await vi.advanceTimersByTimeAsync(200);
    return found;
  };
  const end = async () => {
    for (const done of running.splice(0)) done();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { told, find, end, held: () => running.length };
}

test("createSystemResolve() warns once about lookups that hang for 30 s, and finds other names directly", async () => {
  const { told, find, held } = heldLab();
  for (let at = 0; at < 8; at += 1) expect(await find(`n${at}.test`)).toEqual(["192.0.2.1"]);
  await vi.advanceTimersByTimeAsync(28_000);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(86_400_000);
  expect(told).toEqual([{ name: "n0.test" }]);
  // Lookups no longer wait for a thread.
  expect([await find("one-more.test"), held()]).toEqual([["192.0.2.1"], 8]);
});

test("createSystemResolve() does not warn if the system answers late, and warns again once it has answered all", async () => {
  const { told, find, end } = heldLab();
  await find("late.test");
  await vi.advanceTimersByTimeAsync(29_000);
  await end();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual([]);
  for (const name of ["one.test", "two.test"]) {
    await find(name);
    await vi.advanceTimersByTimeAsync(31_000);
    await end();
  }
  expect(told).toEqual([{ name: "one.test" }, { name: "two.test" }]);
});
