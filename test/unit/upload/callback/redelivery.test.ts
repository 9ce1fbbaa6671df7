import { expect, test } from "vitest";
import { nextAttempt } from "../../../../src/upload/callback/redelivery.ts";

test("nextAttempt() follows after 10 s, 1 min, 10 min, 1 h, then every hour, for 24 h", () => {
  const seconds: number[] = [];
  let at = 0;
  for (let attempts = 1; ; attempts += 1) {
    const dueAt = nextAttempt({ since: 0, attempts }, at);
    if (dueAt === undefined) break;
    seconds.push((dueAt - at) / 1_000);
    at = dueAt;
  }
  expect(seconds.slice(0, 5)).toEqual([10, 60, 600, 3_600, 3_600]);
  expect(new Set(seconds.slice(3))).toEqual(new Set([3_600]));
  expect(at).toBeLessThanOrEqual(86_400_000);
  expect(at).toBeGreaterThan(86_400_000 - 3_600_000);
});
