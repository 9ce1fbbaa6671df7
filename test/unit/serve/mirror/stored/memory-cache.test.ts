// The memory cache: its bounds, the order of eviction, and what may not return after a change.
import { describe, expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import { lendRoom } from "../../../../../src/serve/body/head-room.ts";
import {
  type CachedObject,
  createMemoryCache,
  type MemoryCache,
} from "../../../../../src/serve/mirror/stored/memory-cache.ts";
import { infoOf, randomBytes, wholeBody } from "../../../../helpers/whole-body.ts";

// The size that is counted for an entry beside its body, with the room for a head.
const OVERHEAD = 5_120;

const NOTHING = Buffer.alloc(0);

function objectOf(key: string, size: number): CachedObject {
  const body = randomBytes(size);
  return { info: infoOf(key, wholeBody(body)), body, epoch: 0 };
}

function keep(memoryCache: MemoryCache, key: string, size: number): CachedObject {
  const object = objectOf(key, size);
  memoryCache.set("a/b", object, memoryCache.cacheRevision());
  return object;
}

const kept = (memoryCache: MemoryCache, ...keys: string[]) =>
  keys.filter((key) => memoryCache.get("a/b", toKey(key)) !== undefined);

test("get() returns the object of its bucket alone, with room for a head before its bytes", () => {
  const memoryCache = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  const object = keep(memoryCache, "x", 100);
  const found = memoryCache.get("a/b", toKey("x"));
  expect([found?.info === object.info, found?.body.equals(object.body)]).toEqual([true, true]);
  expect(lendRoom(found?.body ?? NOTHING, "head")?.equals(Buffer.concat([Buffer.from("head"), object.body]))).toBe(
    true,
  );
  expect(memoryCache.get("a/c", toKey("x"))).toBeUndefined();
  expect(memoryCache.usage()).toEqual({ objects: 1, bytes: 100 + OVERHEAD });
});

test("set() copies a body that is part of a larger buffer, so that it keeps no memory that is not counted", () => {
  const memoryCache = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 10_000 });
  for (const [key, around] of [
    ["x", 1_025],
    ["y", 0],
  ] as const) {
    const body = Buffer.from(new ArrayBuffer(3_000 + around), 0, 3_000).fill(1);
    memoryCache.set("a/b", { info: infoOf(key, wholeBody(body)), body, epoch: 0 }, memoryCache.cacheRevision());
    body.fill(2);
  }
  // The bytes tell whether the cache has the buffer itself.
  expect(["x", "y"].map((key) => memoryCache.get("a/b", toKey(key))?.body[0])).toEqual([1, 2]);
});

test("wasUsed() is true once after get() has found the object", () => {
  const memoryCache = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  const [used, asked] = [toKey("used"), toKey("asked")];
  keep(memoryCache, used, 100);
  expect(memoryCache.wasUsed("a/b", used)).toBe(false);
  memoryCache.get("a/b", used);
  memoryCache.get("a/b", used);
  memoryCache.get("a/b", asked);
  expect([memoryCache.wasUsed("a/b", used), memoryCache.wasUsed("a/b", used)]).toEqual([true, false]);
  expect([memoryCache.wasUsed("a/b", asked), memoryCache.wasUsed("a/c", used)]).toEqual([false, false]);
});

test("set() keeps an object of the largest size and none above it", () => {
  const memoryCache = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  keep(memoryCache, "largest", 1_000);
  keep(memoryCache, "larger", 1_001);
  expect(kept(memoryCache, "largest", "larger")).toEqual(["largest"]);
});

test("set() beyond the bound evicts the least recently used object", () => {
  const memoryCache = createMemoryCache({ maxBytes: 2 * (100 + OVERHEAD), maxObjectBytes: 1_000 });
  keep(memoryCache, "a", 100);
  keep(memoryCache, "b", 100);
  memoryCache.get("a/b", toKey("a"));
  keep(memoryCache, "c", 100);
  expect(kept(memoryCache, "a", "b", "c")).toEqual(["a", "c"]);
});

test("set() keeps nothing in a cache of 0 bytes", () => {
  const memoryCache = createMemoryCache({ maxBytes: 0, maxObjectBytes: 1_000 });
  keep(memoryCache, "a", 1);
  expect(memoryCache.usage().objects).toBe(0);
});

test("set() refuses an object that was read before any drop", () => {
  const memoryCache = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  keep(memoryCache, "a", 10);
  const cacheRevision = memoryCache.cacheRevision();
  memoryCache.drop("a/b", toKey("a"));
  memoryCache.set("a/b", objectOf("a", 10), cacheRevision);
  expect(kept(memoryCache, "a")).toEqual([]);
  memoryCache.set("a/b", objectOf("a", 10), memoryCache.cacheRevision());
  expect(kept(memoryCache, "a")).toEqual(["a"]);
});

test("resize() to fewer bytes keeps the most recently used objects", () => {
  const memoryCache = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  for (const key of ["a", "b", "c"]) keep(memoryCache, key, 100);
  memoryCache.get("a/b", toKey("a"));
  memoryCache.resize({ maxBytes: 2 * (100 + OVERHEAD), maxObjectBytes: 1_000 });
  expect(kept(memoryCache, "a", "b", "c")).toEqual(["a", "c"]);
  expect(memoryCache.usage().bytes).toBe(2 * (100 + OVERHEAD));
});

test("resize() of the object bound alone evicts objects that are now too large", () => {
  const memoryCache = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  keep(memoryCache, "small", 100);
  keep(memoryCache, "large", 900);
  memoryCache.resize({ maxBytes: 1_000_000, maxObjectBytes: 500 });
  expect([memoryCache.maxObjectBytes, kept(memoryCache, "small", "large")]).toEqual([500, ["small"]]);
});

test("resize() keeps all objects if the bounds grow", () => {
  const memoryCache = createMemoryCache({ maxBytes: 12_000, maxObjectBytes: 1_000 });
  for (const key of ["a", "b"]) keep(memoryCache, key, 100);
  memoryCache.resize({ maxBytes: 1_000_000, maxObjectBytes: 5_000 });
  keep(memoryCache, "c", 4_000);
  expect(kept(memoryCache, "a", "b", "c")).toEqual(["a", "b", "c"]);
});

test("note() holds for ten seconds, until a drop, and for its bucket alone", () => {
  let now = 0;
  const memoryCache = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 }, () => now);
  const [a, b] = [toKey("a"), toKey("b")];
  const note = objectOf("a", 10);
  memoryCache.cacheLookup("a/b", a, note, memoryCache.cacheRevision());
  memoryCache.cacheLookup("a/b", b, "absent", memoryCache.cacheRevision());
  expect([
    memoryCache.cachedLookup("a/b", a),
    memoryCache.cachedLookup("a/b", b),
    memoryCache.cachedLookup("a/c", a),
  ]).toEqual([note, "absent", undefined]);
  memoryCache.drop("a/b", a);
  expect([memoryCache.cachedLookup("a/b", a), memoryCache.cachedLookup("a/b", b)]).toEqual([undefined, "absent"]);
  now = 9_999;
  expect(memoryCache.cachedLookup("a/b", b)).toBe("absent");
  now = 10_000;
  expect(memoryCache.cachedLookup("a/b", b)).toBeUndefined();
});

test("note() of a look-up before a drop is refused, and clears the note", () => {
  const memoryCache = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
  const key = toKey("a");
  const before = memoryCache.cacheRevision();
  memoryCache.cacheLookup("a/b", key, "absent", before);
  memoryCache.drop("a/b", toKey("other"));
  memoryCache.cacheLookup("a/b", key, objectOf("a", 10), before);
  expect(memoryCache.cachedLookup("a/b", key)).toBeUndefined();
});

describe("admits()", () => {
  const read = (memoryCache: MemoryCache, ...keys: string[]) =>
    keys.map((key) => memoryCache.admits("a/b", objectOf(key, 100).info));

  test("is true for the second read of an object of the same bucket", () => {
    const memoryCache = createMemoryCache({ maxBytes: 1_000_000, maxObjectBytes: 1_000 });
    expect(read(memoryCache, "a", "b", "a", "a")).toEqual([false, false, true, false]);
    expect(memoryCache.admits("a/c", objectOf("b", 100).info)).toBe(false);
    expect(read(memoryCache, "b")).toEqual([true]);
  });

  test("is true in a full cache only if fewer bytes than it holds were read in between", () => {
    const memoryCache = createMemoryCache({ maxBytes: 2 * (100 + OVERHEAD), maxObjectBytes: 1_000 });
    expect(read(memoryCache, "a", "b", "c", "a")).toEqual([false, false, false, true]);
    keep(memoryCache, "a", 100);
    keep(memoryCache, "b", 100);
    expect(read(memoryCache, "d", "e", "f", "d")).toEqual([false, false, false, false]);
    expect(read(memoryCache, "f")).toEqual([true]);
  });

  test("admitsNew() is true while there is room; a full cache keeps its objects, and a new one from its second read", () => {
    const memoryCache = createMemoryCache({ maxBytes: 2 * (100 + OVERHEAD), maxObjectBytes: 1_000 });
    const isNewAdmitted = (key: string) => memoryCache.admitsNew("a/b", objectOf(key, 100).info);
    expect(isNewAdmitted("a")).toBe(true);
    keep(memoryCache, "a", 100);
    keep(memoryCache, "b", 100);
    expect([isNewAdmitted("c"), isNewAdmitted("d")]).toEqual([false, false]);
    expect(read(memoryCache, "d")).toEqual([true]);
  });
});
