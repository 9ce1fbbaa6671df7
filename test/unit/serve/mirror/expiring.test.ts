// A bounded map of entries that expire.
import { expect, test } from "vitest";
import { createExpiring } from "../../../../src/serve/mirror/expiring.ts";

test("get() returns the value until its TTL ends, and not at that millisecond", () => {
  const memory = createExpiring<string>(10);
  memory.set("a", "known", { now: 1_000, ttlMs: 500 });
  expect([memory.get("a", 1_000), memory.get("a", 1_499), memory.get("a", 1_500)]).toEqual([
    "known",
    "known",
    undefined,
  ]);
  // The entry stays removed, even if the clock goes back.
  expect(memory.get("a", 1_000)).toBeUndefined();
});

test.each([0, -1])("set() with a TTL of %i ms keeps nothing", (ttlMs) => {
  const memory = createExpiring<string>(10);
  memory.set("a", "known", { now: 1_000, ttlMs });
  expect(memory.get("a", 999)).toBeUndefined();
});

test("set() beyond the bound removes the oldest entry, and renewing an entry makes it the youngest", () => {
  const memory = createExpiring<number>(2);
  const until = { now: 0, ttlMs: 100 };
  memory.set("a", 1, until);
  memory.set("b", 2, until);
  memory.set("a", 3, until);
  memory.set("c", 4, until);
  expect(["a", "b", "c"].map((key) => memory.get(key, 0))).toEqual([3, undefined, 4]);
});

test("set() removes the oldest expired entries, so that a flood of keys leaves none behind", () => {
  const memory = createExpiring<number>(1_000);
  for (let at = 0; at < 100; at += 1) memory.set(`old-${at}`, at, { now: 0, ttlMs: 100 });
  for (let at = 0; at < 50; at += 1) memory.set(`new-${at}`, at, { now: 200, ttlMs: 100 });
  // A clock that goes back shows which entries are still there.
  expect(
    Array.from({ length: 100 }, (_, at) => memory.get(`old-${at}`, 50)).filter((value) => value !== undefined),
  ).toEqual([]);
  expect(memory.get("new-0", 250)).toBe(0);
});
