import fc from "fast-check";
import { expect, test } from "vitest";
import type { AnswerState, TokenScope } from "../../../../../src/serve/http/request/site.ts";
import { createCacheControl, shorterLife } from "../../../../../src/serve/http/response/cache-control.ts";

const DAY = "public, max-age=86400";
const NONE: TokenScope = { kind: "none" };
const privately = (expiresInSeconds: number): TokenScope => ({ kind: "signed", mode: "private", expiresInSeconds });
const shared = (expiresInSeconds: number): TokenScope => ({ kind: "signed", mode: "shared", expiresInSeconds });
const ONE_TIME: TokenScope = { kind: "one-time" };
const REUSABLE: TokenScope = { kind: "reusable-one-time" };

test.each<[bucket: string, scope: TokenScope, state: AnswerState, expected: string]>([
  // Without a token: the bucket's own text; an unproven response lives for a minute at most.
  [DAY, NONE, "stored", DAY],
  ["no-cache", NONE, "stored", "no-cache"],
  [DAY, NONE, "filling", "public, max-age=60"],
  ["public, max-age=5", NONE, "filling", "public, max-age=5"],
  ["public, max-age=86400, s-maxage=604800, immutable", NONE, "filling", "public, max-age=60, s-maxage=60"],
  ["max-age=86400, stale-while-revalidate=60, stale-if-error=60", NONE, "filling", "max-age=60"],
  ["max-age=86400, must-revalidate, no-transform", NONE, "filling", "max-age=60, must-revalidate, no-transform"],
  ["public", NONE, "filling", "public, max-age=60"],
  ["no-store", NONE, "filling", "no-store"],
  ["", NONE, "filling", "max-age=60"],
  // With a token: never longer than the token is valid, and private unless the bucket says otherwise.
  [DAY, privately(600), "stored", "private, max-age=600"],
  [DAY, privately(7_948_800), "stored", "private, max-age=86400"],
  [DAY, privately(1), "stored", "private, max-age=1"],
  [DAY, privately(0), "stored", "private, max-age=0"],
  [DAY, privately(-5), "stored", "private, max-age=0"],
  [DAY, privately(600), "filling", "private, max-age=60"],
  [DAY, privately(10), "filling", "private, max-age=10"],
  ["max-age=86400, s-maxage=99", privately(600), "stored", "private, max-age=600"],
  ["s-maxage=99", privately(600), "stored", "private, max-age=600"],
  ["private, max-age=30", privately(600), "stored", "private, max-age=30"],
  ["public, max-age=31536000, immutable", privately(600), "stored", "private, max-age=600"],
  ["no-cache", privately(600), "stored", "private, no-cache"],
  ["no-store", privately(600), "stored", "private, no-store"],
  [DAY, shared(600), "stored", "public, max-age=600"],
  [DAY, shared(600), "filling", "public, max-age=60"],
  ["public, max-age=60, s-maxage=86400", shared(600), "stored", "public, max-age=60, s-maxage=600"],
  ["private, max-age=86400", shared(600), "stored", "private, max-age=600"],
  // Browsers ignore s-maxage, and a cache without a lifetime assumes one.
  ["s-maxage=86400", shared(600), "stored", "s-maxage=600, max-age=600"],
  ["public, s-maxage=86400", NONE, "filling", "public, s-maxage=60, max-age=60"],
  // Browsers need a lifetime that they read, and a directive about one header does not concern the response.
  ["s-maxage=99", shared(600), "stored", "s-maxage=99, max-age=600"],
  ["s-maxage=99", NONE, "filling", "s-maxage=60, max-age=60"],
  ['no-cache="set-cookie, x-a"', shared(600), "stored", 'no-cache="set-cookie, x-a", max-age=600'],
  ['private="a, max-age=9999", max-age=700', privately(600), "stored", "private, max-age=600"],
  // Other spellings.
  ["Public,Max-Age=86400", privately(600), "stored", "private, max-age=600"],
  ['max-age="86400"', privately(600), "stored", "private, max-age=600"],
  ["max-age = 86400", privately(600), "stored", "private, max-age=600"],
  ['private="x-one, x-two", max-age=86400', privately(600), "stored", "private, max-age=600"],
  ['no-cache="x-one, x-two", max-age=86400', shared(600), "stored", 'no-cache="x-one, x-two", max-age=600'],
  ['no-cache="x-one"', privately(600), "stored", 'private, no-cache="x-one", max-age=600'],
  ["max-age=soon", privately(600), "stored", "private, max-age=600"],
  ["max-age=99999999999999999999", privately(600), "stored", "private, max-age=600"],
  // No cache may reuse the response to a one-time token, or store a damaged image.
  [DAY, REUSABLE, "stored", "private, no-cache"],
  [DAY, REUSABLE, "filling", "private, no-cache"],
  [DAY, ONE_TIME, "stored", "no-store"],
  [DAY, ONE_TIME, "filling", "no-store"],
  [DAY, NONE, "suspect", "no-store"],
  [DAY, privately(600), "suspect", "no-store"],
  [DAY, shared(600), "suspect", "no-store"],
  [DAY, REUSABLE, "suspect", "no-store"],
])("createCacheControl(%j)(%j, %j) is %j", (bucket, scope, state, expected) => {
  expect(createCacheControl(bucket)(scope, state)).toBe(expected);
});

test("createCacheControl() gives no lifetime beyond the token's or, for an unproven image, beyond a minute", () => {
  const directive = fc.constantFrom(
    "public",
    "private",
    "max-age=5",
    "max-age=86400",
    "MAX-AGE=7200",
    's-maxage="3600"',
    "s-maxage=x",
    "max-age",
    "immutable",
    "stale-while-revalidate=900",
    "must-revalidate",
    "",
  );
  const bucket = fc.array(directive, { maxLength: 5 }).map((directives) => directives.join(", "));
  const life = fc.integer({ min: 0, max: 4_000 });
  fc.assert(
    fc.property(bucket, life, fc.constantFrom("private", "shared"), fc.constantFrom("stored", "filling"), (...all) => {
      const [text, expiresInSeconds, mode, state] = all;
      const directives = createCacheControl(text)({ kind: "signed", mode, expiresInSeconds }, state).split(", ");
      const limit = state === "filling" ? Math.min(60, expiresInSeconds) : expiresInSeconds;
      const lives = directives.filter((one) => /^(max-age|s-maxage)/.test(one)).map((one) => Number(one.split("=")[1]));
      expect(lives.length).toBeGreaterThan(0);
      expect(lives.every((seconds) => seconds <= limit)).toBe(true);
      expect(directives.some((one) => /^(immutable|stale-)/.test(one))).toBe(false);
      if (mode === "private") expect(directives[0]).toBe("private");
      if (mode === "private") expect(directives.some((one) => /^(public|s-maxage)/.test(one))).toBe(false);
    }),
    { numRuns: 1_000 },
  );
});

test.each<[bucket: string, scope: TokenScope, state: AnswerState, left: number, expected: string]>([
  // A fresh image: never longer than bucket, token or image allow.
  [DAY, NONE, "stored", 40, "public, max-age=40"],
  [DAY, NONE, "stored", 604_800, DAY],
  [DAY, NONE, "stored", 0, "public, max-age=0"],
  ["public, max-age=60, s-maxage=9, immutable", NONE, "stored", 30, "public, max-age=30, s-maxage=9"],
  ["public, max-age=9, s-maxage=60", NONE, "stored", 30, "public, max-age=9, s-maxage=30"],
  ["no-cache", NONE, "stored", 30, "no-cache"],
  [DAY, NONE, "filling", 100, "public, max-age=60"],
  [DAY, NONE, "filling", 5, "public, max-age=5"],
  [DAY, privately(10), "stored", 40, "private, max-age=10"],
  [DAY, privately(600), "stored", 40, "private, max-age=40"],
  [DAY, shared(600), "stored", 40, "public, max-age=40"],
  // A stale image: no lifetime; every other directive stays.
  [DAY, NONE, "stored", -1, "public, max-age=0"],
  [DAY, NONE, "stored", -86_400, "public, max-age=0"],
  [DAY, NONE, "filling", -10, "public, max-age=0"],
  ["max-age=60, s-maxage=9, must-revalidate", NONE, "stored", -10, "max-age=0, s-maxage=0, must-revalidate"],
  ["max-age=60, stale-while-revalidate=9, stale-if-error=9", NONE, "stored", -10, "max-age=0"],
  ["s-maxage=9", NONE, "stored", -10, "s-maxage=0, max-age=0"],
  ["no-cache", NONE, "stored", -10, "no-cache"],
  ["no-store", NONE, "stored", -10, "no-store"],
  ["public", NONE, "stored", -10, "public, max-age=0"],
  ["", NONE, "stored", -10, "max-age=0"],
  [DAY, privately(600), "stored", -10, "private, max-age=0"],
  [DAY, shared(600), "stored", -10, "public, max-age=0"],
  [DAY, REUSABLE, "stored", -10, "private, no-cache"],
  [DAY, ONE_TIME, "stored", 40, "no-store"],
  [DAY, NONE, "not-storable", 40, "no-store"],
  [DAY, privately(600), "stand-in", 40, "no-store"],
])("%s with %o, %s, and %i s left: %s", (bucket, scope, state, leftSeconds, expected) => {
  expect(createCacheControl(bucket)(scope, state, { leftSeconds })).toBe(expected);
});

test("shorterLife() returns the shorter lifetime, or the only one", () => {
  const long = { leftSeconds: 9 };
  const short = { leftSeconds: -1 };
  expect([shorterLife(long, short), shorterLife(short, long)]).toEqual([short, short]);
  expect([shorterLife(long, undefined), shorterLife(undefined, long)]).toEqual([long, long]);
  expect(shorterLife(undefined, undefined)).toBeUndefined();
});
