import { describe, expect, test } from "vitest";
import { createTokenBucket } from "../../../../src/origin/guard/budget.ts";

describe("createTokenBucket()", () => {
  test("allows a second's worth at once, then one each interval", () => {
    const bucket = createTokenBucket(4, 0);
    for (let taken = 0; taken < 4; taken += 1) {
      expect(bucket.readyInMs(0, 0)).toBe(0);
      bucket.take(0);
    }
    expect(bucket.readyInMs(0, 0)).toBe(250);
    expect(bucket.readyInMs(100, 0)).toBeCloseTo(150);
    expect(bucket.readyInMs(250, 0)).toBe(0);
  });

  test("saves up at most a second's worth", () => {
    const bucket = createTokenBucket(2, 0);
    for (const _ of "ab") bucket.take(60_000);
    expect(bucket.readyInMs(60_000, 0)).toBe(500);
  });

  test("allows one every ten seconds at a tenth a second", () => {
    const bucket = createTokenBucket(0.1, 0);
    bucket.take(0);
    expect(bucket.readyInMs(0, 0)).toBeCloseTo(10_000);
  });

  test.each([
    [10, 5, 4, 0],
    [10, 5, 5, 100],
    [10, 5, 9, 500],
    // A `spare` above the bucket's size counts as its size.
    [1, 5, 0, 0],
    [1, 5, 1, 1_000],
  ])("at %d a second with a spare of %d is ready after %d taken in %d ms", (perSecond, spare, taken, expected) => {
    const bucket = createTokenBucket(perSecond, 0);
    for (let index = 0; index < taken; index += 1) bucket.take(0);
    expect(bucket.readyInMs(0, spare)).toBeCloseTo(expected);
  });

  test("keeps the rate over a long time with uneven steps", () => {
    const bucket = createTokenBucket(7, 0);
    let taken = 0;
    for (let now = 0; now < 100_000; now += 3) {
      if (bucket.readyInMs(now, 0) > 0) continue;
      bucket.take(now);
      taken += 1;
    }
    expect(taken).toBeGreaterThanOrEqual(700);
    expect(taken).toBeLessThanOrEqual(708);
  });
});
