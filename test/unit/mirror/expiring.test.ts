// What is true for a while.
import { expect, test } from "vitest";
import { createExpiring } from "../../../src/mirror/expiring.ts";

test("get() gives the value until its time is over, and not at that millisecond", () => {
  const memory = createExpiring<string>(10);
  memory.set("a", "known", { now: 1_000, ttlMs: 500 });
  expect([memory.get("a", 1_000), memory.get("a", 1_499), memory.get("a", 1_500)]).toEqual([
    "known",
    "known",
    undefined,
  ]);
  // Forgotten for good, also for a clock that goes back.
  expect(memory.get("a", 1_000)).toBeUndefined();
});

test.each([0, -1])("set() with a life of %i ms remembers nothing", (ttlMs) => {
  const memory = createExpiring<string>(10);
  memory.set("a", "known", { now: 1_000, ttlMs });
  expect(memory.get("a", 999)).toBeUndefined();
});

test("set() beyond the bound forgets what was set longest ago, and a renewed entry is young", () => {
  const memory = createExpiring<number>(2);
  const until = { now: 0, ttlMs: 100 };
  memory.set("a", 1, until);
  memory.set("b", 2, until);
  memory.set("a", 3, until);
  memory.set("c", 4, until);
  expect(["a", "b", "c"].map((key) => memory.get(key, 0))).toEqual([3, undefined, 4]);
});

test("set() forgets the oldest that have expired, so that a flood of keys leaves nothing behind", () => {
  const memory = createExpiring<number>(1_000);
  for (let at = 0; at < 100; at += 1) memory.set(`old-${at}`, at, { now: 0, ttlMs: 100 });
  for (let at = 0; at < 50; at += 1) memory.set(`new-${at}`, at, { now: 200, ttlMs: 100 });
  // A clock that goes back tells what is still there.
  expect(
    Array.from({ length: 100 }, (_, at) => memory.get(`old-${at}`, 50)).filter((value) => value !== undefined),
  ).toEqual([]);
  expect(memory.get("new-0", 250)).toBe(0);
});
