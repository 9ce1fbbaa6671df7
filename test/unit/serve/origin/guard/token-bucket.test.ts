import { describe, expect, test } from "vitest";
import { createTokenBucket } from "../../../../../src/serve/origin/guard/budget.ts";

describe("createTokenBucket()", () => {
  test("allows a second's worth at once, then one each interval", () => {
    const { take } = createTokenBucket(4, 0);
    for (let taken = 0; taken < 4; taken += 1) expect(take(0, 0)).toBe(0);
    expect(take(0, 0)).toBeUndefined();
    expect(take(0, 250)).toBe(250);
    expect(take(100, 1_000)).toBeCloseTo(400);
    expect(take(750, 0)).toBe(0);
  });

  test("saves up at most a second's worth", () => {
    const { take } = createTokenBucket(2, 0);
    for (const _ of "ab") take(60_000, 0);
    expect(take(60_000, 1_000)).toBe(500);
  });

  test("allows one every ten seconds at a tenth a second", () => {
    const { take } = createTokenBucket(0.1, 0);
    take(0, 0);
    expect(take(0, 20_000)).toBeCloseTo(10_000);
  });

  test("keeps the rate over a long time with uneven steps", () => {
    const { take } = createTokenBucket(7, 0);
    let taken = 0;
    for (let now = 0; now < 100_000; now += 3) if (take(now, 0) !== undefined) taken += 1;
    expect(taken).toBeGreaterThanOrEqual(700);
    expect(taken).toBeLessThanOrEqual(708);
  });
});
