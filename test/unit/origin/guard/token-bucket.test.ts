import { describe, expect, test } from "vitest";
import { createTokenBucket } from "../../../../src/origin/guard/budget.ts";

describe("createTokenBucket()", () => {
  test("allows a second's worth at once, then one each interval", () => {
    const bucket = createTokenBucket(4, 0);
    for (let taken = 0; taken < 4; taken += 1) {
      expect(bucket.readyInMs(0)).toBe(0);
      bucket.take(0);
    }
    expect(bucket.readyInMs(0)).toBe(250);
    expect(bucket.readyInMs(100)).toBeCloseTo(150);
    expect(bucket.readyInMs(250)).toBe(0);
  });

  test("saves up at most a second's worth", () => {
    const bucket = createTokenBucket(2, 0);
    for (const _ of "ab") bucket.take(60_000);
    expect(bucket.readyInMs(60_000)).toBe(500);
  });

  test("allows one every ten seconds at a tenth a second", () => {
    const bucket = createTokenBucket(0.1, 0);
    bucket.take(0);
    expect(bucket.readyInMs(0)).toBeCloseTo(10_000);
  });

  test("keeps the rate over a long time with uneven steps", () => {
    const bucket = createTokenBucket(7, 0);
    let taken = 0;
    for (let now = 0; now < 100_000; now += 3) {
      if (bucket.readyInMs(now) > 0) continue;
      bucket.take(now);
      taken += 1;
    }
    expect(taken).toBeGreaterThanOrEqual(700);
    expect(taken).toBeLessThanOrEqual(708);
  });
});
