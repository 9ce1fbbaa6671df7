// The memory tier: its bounds, who goes first, and what may not come back.
import { describe, expect, test } from "vitest";
import { lendRoom } from "../../../../src/body/head-room.ts";
import { toKey } from "../../../../src/core/object.ts";
import { type CachedObject, createMemoryCache, type MemoryCache } from "../../../../src/mirror/stored/memory-cache.ts";
import { infoOf, randomBytes, wholeBody } from "../../../helpers/whole-body.ts";

// What an entry is counted for beside its bytes, the room for a head included.
const OVERHEAD = 5_120;

const NOTHING = Buffer.alloc(0);

function objectOf(key: string, size: number): CachedObject {
  const body = randomBytes(size);
  return { info: infoOf(key, wholeBody(body)), body, epoch: 0 };
}

function keep(hot: MemoryCache, key: string, size: number): CachedObject {
  const object = objectOf(key, size);
  hot.set("a/b", object, hot.generation);
  return object;
}

const kept = (hot: MemoryCache, ...keys: string[]) => keys.filter((key) => hot.get("a/b", toKey(key)) !== undefined);

test("get() gives the object, with room for a head before its bytes, of its bucket alone", () => {
  const hot = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  const object = keep(hot, "x", 100);
  const found = hot.get("a/b", toKey("x"));
  expect([found?.info === object.info, found?.body.equals(object.body)]).toEqual([true, true]);
  expect(lendRoom(found?.body ?? NOTHING, "head")?.equals(Buffer.concat([Buffer.from("head"), object.body]))).toBe(
    true,
  );
  expect(hot.get("a/c", toKey("x"))).toBeUndefined();
  expect(hot.usage()).toEqual({ objects: 1, bytes: 100 + OVERHEAD });
});

test("wasUsed() tells once of each time in which get() has found an object", () => {
  const hot = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  const [used, asked] = [toKey("used"), toKey("asked")];
  keep(hot, used, 100);
  expect(hot.wasUsed("a/b", used)).toBe(false);
  hot.get("a/b", used);
  hot.get("a/b", used);
  hot.get("a/b", asked);
  expect([hot.wasUsed("a/b", used), hot.wasUsed("a/b", used)]).toEqual([true, false]);
  expect([hot.wasUsed("a/b", asked), hot.wasUsed("a/c", used)]).toEqual([false, false]);
});

test("set() keeps an object of the largest size and none above it", () => {
  const hot = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  keep(hot, "largest", 1_000);
  keep(hot, "larger", 1_001);
  expect(kept(hot, "largest", "larger")).toEqual(["largest"]);
});

test("set() beyond the bound evicts what was used longest ago", () => {
  const hot = createMemoryCache({ maxBytes: 2 * (100 + OVERHEAD), maxObjectBytes: 1_000 });
  keep(hot, "a", 100);
  keep(hot, "b", 100);
  hot.get("a/b", toKey("a"));
  keep(hot, "c", 100);
  expect(kept(hot, "a", "b", "c")).toEqual(["a", "c"]);
});

test("a memory of 0 bytes keeps nothing", () => {
  const hot = createMemoryCache({ maxBytes: 0, maxObjectBytes: 1_000 });
  keep(hot, "a", 1);
  expect(hot.usage().objects).toBe(0);
});

test("set() refuses what was read before any drop", () => {
  const hot = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  keep(hot, "a", 10);
  const { generation } = hot;
  hot.drop("a/b", toKey("a"));
  hot.set("a/b", objectOf("a", 10), generation);
  expect(kept(hot, "a")).toEqual([]);
  hot.set("a/b", objectOf("a", 10), hot.generation);
  expect(kept(hot, "a")).toEqual(["a"]);
});

test("resize() to fewer bytes keeps the most recent", () => {
  const hot = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  for (const key of ["a", "b", "c"]) keep(hot, key, 100);
  hot.get("a/b", toKey("a"));
  hot.resize({ maxBytes: 2 * (100 + OVERHEAD), maxObjectBytes: 1_000 });
  expect(kept(hot, "a", "b", "c")).toEqual(["a", "c"]);
  expect(hot.usage().bytes).toBe(2 * (100 + OVERHEAD));
});

test("resize() of the object bound alone evicts what is now too large", () => {
  const hot = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  keep(hot, "small", 100);
  keep(hot, "large", 900);
  hot.resize({ maxBytes: 1_000_000, maxObjectBytes: 500 });
  expect([hot.maxObjectBytes, kept(hot, "small", "large")]).toEqual([500, ["small"]]);
});

test("resize() keeps all where the bounds grow", () => {
  const hot = createMemoryCache({ maxBytes: 12_000, maxObjectBytes: 1_000 });
  for (const key of ["a", "b"]) keep(hot, key, 100);
  hot.resize({ maxBytes: 1_000_000, maxObjectBytes: 5_000 });
  keep(hot, "c", 4_000);
  expect(kept(hot, "a", "b", "c")).toEqual(["a", "b", "c"]);
});

test("note() holds for ten seconds, until a drop, and for its bucket alone", () => {
  let now = 0;
  const hot = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 }, () => now);
  const [a, b] = [toKey("a"), toKey("b")];
  const note = objectOf("a", 10);
  hot.note("a/b", a, note, hot.generation);
  hot.note("a/b", b, "absent", hot.generation);
  expect([hot.noted("a/b", a), hot.noted("a/b", b), hot.noted("a/c", a)]).toEqual([note, "absent", undefined]);
  hot.drop("a/b", a);
  expect([hot.noted("a/b", a), hot.noted("a/b", b)]).toEqual([undefined, "absent"]);
  now = 9_999;
  expect(hot.noted("a/b", b)).toBe("absent");
  now = 10_000;
  expect(hot.noted("a/b", b)).toBeUndefined();
});

test("note() of what was read before a drop is refused, and clears what was noted", () => {
  const hot = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  const key = toKey("a");
  const before = hot.generation;
  hot.note("a/b", key, "absent", before);
  hot.drop("a/b", toKey("other"));
  hot.note("a/b", key, objectOf("a", 10), before);
  expect(hot.noted("a/b", key)).toBeUndefined();
});

describe("wants()", () => {
  const read = (hot: MemoryCache, ...keys: string[]) => keys.map((key) => hot.wants("a/b", objectOf(key, 100).info));

  test("what is read the second time, of its bucket alone", () => {
    const hot = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
    expect(read(hot, "a", "b", "a", "a")).toEqual([false, false, true, false]);
    expect(hot.wants("a/c", objectOf("b", 100).info)).toBe(false);
    expect(read(hot, "b")).toEqual([true]);
  });

  test("once memory is full, only what comes again before as much was read as memory holds", () => {
    const hot = createMemoryCache({ maxBytes: 2 * (100 + OVERHEAD), maxObjectBytes: 1_000 });
    expect(read(hot, "a", "b", "c", "a")).toEqual([false, false, false, true]);
    keep(hot, "a", 100);
    keep(hot, "b", 100);
    expect(read(hot, "d", "e", "f", "d")).toEqual([false, false, false, false]);
    expect(read(hot, "f")).toEqual([true]);
  });
});
