import { describe, expect, test } from "vitest";
import type { DeclaredLife } from "../../../../../src/core/object.ts";
import {
  computeLife,
  confirmedLife,
  createLives,
  type Freshness,
  type FreshnessRules,
  freshnessOf,
  isFreshAt,
  mayBeStored,
  remainingLife,
} from "../../../../../src/serve/mirror/freshness/freshness.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const S = 1_000;
/** The second of every answer in these tests. */
const AT = Date.parse("2026-01-01T00:00:00Z");
const TTL: FreshnessRules = { mode: "ttl", ttlMs: 100 * S, staleIfErrorMs: 1_000 * S };
const ORIGIN: FreshnessRules = { mode: "origin", ttlMs: 100 * S, staleIfErrorMs: 1_000 * S };
const BODY = wholeBody(Buffer.from("one"));

/** Seconds from the answer to the end of each period. */
function seconds(life: DeclaredLife, rules = ORIGIN): number[] {
  const { generatedAt, freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil } = computeLife(
    { at: AT, life },
    rules,
  );
  return [generatedAt, freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil].map((at) => (at - AT) / S);
}

const cc = (cacheControl: string): DeclaredLife => ({ cacheControl });

describe("computeLife()", () => {
  test.each<[string, DeclaredLife]>([
    ["nothing", {}],
    ["a lifetime", cc("max-age=5")],
    ["no-store", cc("no-store")],
  ])("uses the clock alone in mode ttl, if the origin says %s", (_what, life) => {
    expect(seconds(life, TTL)).toEqual([0, 100, 1_100, 1_100]);
  });

  const table: readonly [life: DeclaredLife, born: number, fresh: number, stale: number, help: number][] = [
    // No information: the settings decide.
    [{}, 0, 100, 1_100, 1_100],
    [cc("public"), 0, 100, 1_100, 1_100],
    [cc("immutable"), 0, 100, 1_100, 1_100],
    // max-age, whatever its case, before Expires
    [cc("max-age=60"), 0, 60, 1_060, 1_060],
    [cc("Public, MAX-AGE=60"), 0, 60, 1_060, 1_060],
    [cc('max-age="60"'), 0, 60, 1_060, 1_060],
    [cc("max-age=0"), 0, 0, 1_000, 1_000],
    [cc("max-age=soon"), 0, 0, 1_000, 1_000],
    [cc("max-age=-9"), 0, 0, 1_000, 1_000],
    [{ cacheControl: "max-age=60", expires: "Thu, 01 Jan 2026 01:00:00 GMT" }, 0, 60, 1_060, 1_060],
    [cc("max-age=99999999999999999999"), 0, 2_147_483_648, 2_147_484_648, 2_147_484_648],
    // Expires counts from Date, and from the answer without one
    [{ expires: "Thu, 01 Jan 2026 00:00:30 GMT" }, 0, 30, 1_030, 1_030],
    [{ expires: "Thu, 01 Jan 2026 00:00:30 GMT", date: "Thu, 01 Jan 2026 00:00:10 GMT" }, 0, 20, 1_020, 1_020],
    [{ expires: "Thu, 01 Jan 2026 00:00:30 GMT", date: "soon" }, 0, 30, 1_030, 1_030],
    [{ expires: "0" }, 0, 0, 1_000, 1_000],
    // Age has already passed
    [{ cacheControl: "max-age=60", age: "50" }, -50, 10, 1_010, 1_010],
    [{ cacheControl: "max-age=60", age: "90" }, -90, -30, 970, 970],
    [{ cacheControl: "max-age=60", age: "old" }, 0, 60, 1_060, 1_060],
    // The windows of RFC 5861, each beginning where freshness ends
    [cc("max-age=60, stale-while-revalidate=5"), 0, 60, 65, 1_060],
    [cc("max-age=60, stale-while-revalidate=0"), 0, 60, 60, 1_060],
    [cc("max-age=60, stale-if-error=7"), 0, 60, 1_060, 1_060],
    [cc("max-age=60, stale-while-revalidate=5, stale-if-error=7"), 0, 60, 65, 67],
    [cc("max-age=60, stale-while-revalidate=9, stale-if-error=7"), 0, 60, 69, 69],
    // For shared caches
    [cc("max-age=60, s-maxage=20"), 0, 20, 20, 20],
    [cc("s-maxage=20, stale-while-revalidate=5"), 0, 20, 25, 25],
    // Directives that forbid stale answers
    [cc("max-age=60, must-revalidate"), 0, 60, 60, 60],
    [cc("max-age=60, Proxy-Revalidate"), 0, 60, 60, 60],
    [cc("max-age=60, must-revalidate, stale-if-error=7"), 0, 60, 60, 60],
    [cc("no-cache"), 0, 0, 0, 0],
    [cc("no-cache, max-age=60"), 0, 0, 0, 0],
    [cc("No-Store"), 0, 0, 0, 0],
    [cc("private, max-age=60"), 0, 0, 0, 0],
    // With a list of fields they apply to those fields only
    [cc('no-cache="set-cookie, x", max-age=60'), 0, 60, 1_060, 1_060],
    [cc('private="set-cookie", max-age=60'), 0, 60, 1_060, 1_060],
  ];
  test.each(table)("reads %j in mode origin", (life, ...ends) => {
    expect(seconds(life)).toEqual(ends);
  });

  test("treats a hostile header as one without information", () => {
    for (const text of ["__proto__=1", "=,=,=", "constructor, toString=5", "max-age".repeat(30)]) {
      expect(seconds(cc(text)), text).toEqual([0, 100, 1_100, 1_100]);
    }
  });
});

test("freshnessOf() moves through all states, and revalidates a purged object first", () => {
  const life = { generatedAt: 0, freshUntil: 10, staleWhileRevalidateUntil: 20, staleIfErrorUntil: 30 };
  const table: readonly [now: number, standing: Freshness, ifPurged: Freshness][] = [
    [0, "fresh", "revalidate-first"],
    [9, "fresh", "revalidate-first"],
    [10, "stale", "revalidate-first"],
    [19, "stale", "revalidate-first"],
    [20, "revalidate-first", "revalidate-first"],
    [29, "revalidate-first", "revalidate-first"],
    [30, "must-revalidate", "must-revalidate"],
  ];
  for (const [now, standing, ifPurged] of table) {
    expect([freshnessOf(life, now, false), freshnessOf(life, now, true)], `at ${now}`).toEqual([standing, ifPurged]);
  }
});

test("a life from a clock that was ahead is revalidated first, and none of it is left", () => {
  const life = {
    generatedAt: 1_000_000,
    freshUntil: 2_000_000,
    staleWhileRevalidateUntil: 3_000_000,
    staleIfErrorUntil: 4_000_000,
  };
  for (const [now, isTold] of [
    [940_000, true],
    [939_999, false],
  ] as const) {
    const { leftSeconds } = remainingLife(life, now, false);
    expect([isFreshAt(life, now), freshnessOf(life, now, false), leftSeconds]).toEqual(
      isTold ? [true, "fresh", 1_060] : [false, "revalidate-first", 0],
    );
  }
});

test("mayBeStored() is false for no-store and private alone, in mode origin alone", () => {
  const kept = [
    "",
    "public",
    "no-cache",
    "max-age=0, must-revalidate",
    'private="x-user"',
    "x-no-store",
    "foo=no-store",
  ];
  for (const text of kept) expect(mayBeStored(cc(text), ORIGIN), text).toBe(true);
  for (const text of ["no-store", "NO-STORE", "private", "max-age=9, Private", "public, no-store"]) {
    expect(
      [ORIGIN, TTL, undefined].map((rules) => mayBeStored(cc(text), rules)),
      text,
    ).toEqual([false, true, true]);
  }
  expect(mayBeStored({}, ORIGIN)).toBe(true);
});

test("confirmedLife() keeps headers that a 304 does not repeat, except Date and Age", () => {
  const stored = { cacheControl: "max-age=60", expires: "then", date: "then", age: "7" };
  expect(confirmedLife(stored, {})).toEqual({ cacheControl: "max-age=60", expires: "then" });
  expect(confirmedLife(stored, { cacheControl: "no-cache", date: "now" })).toEqual({
    cacheControl: "no-cache",
    expires: "then",
    date: "now",
  });
});

test("remainingLife() rounds down, is below 0 from the end of the life on, and is 0 for a purged object", () => {
  const life = { generatedAt: 1_000, freshUntil: 61_000, staleWhileRevalidateUntil: 61_000, staleIfErrorUntil: 61_000 };
  const left = (now: number, isPurged = false) => remainingLife(life, now, isPurged).leftSeconds;
  expect([0, 1_000, 1_001, 2_000, 59_999].map((now) => left(now))).toEqual([61, 60, 59, 59, 1]);
  expect([60_000, 60_001, 60_999].map((now) => left(now))).toEqual([1, 0, 0]);
  expect([61_000, 61_001, 62_000, 62_001].map((now) => left(now))).toEqual([-1, -1, -1, -2]);
  expect([1_000, 61_000].map((now) => left(now, true))).toEqual([0, -1]);
});

describe("createLives()", () => {
  test("has no life for an object that no mirror fetched", () => {
    const lifeOf = createLives(TTL);
    expect(lifeOf(infoOf("a", BODY, "upload"))).toBeUndefined();
    expect(lifeOf(infoOf("a", BODY, "migration"))).toBeUndefined();
  });

  test("counts from the fetch if no confirmation is recorded, as in older catalogues", () => {
    const info = infoOf("a", BODY);
    const old = { ...info, provenance: { ...info.provenance, fetchedAt: 5_000, validated: undefined } };
    expect(createLives(TTL)(old)).toMatchObject({ generatedAt: 5_000, freshUntil: 105_000 });
    expect(createLives(ORIGIN)(info)).toMatchObject({ generatedAt: -4_000, freshUntil: 56_000 });
  });
});
