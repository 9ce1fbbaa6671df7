import { expect, test } from "vitest";
import { createSample } from "../../../../../src/operate/migrations/verify/sample.ts";

const chosen = (wanted: number, total: number) => {
  const isChosen = createSample(wanted, total);
  return Array.from({ length: total }, isChosen);
};

test.each([
  [0, 10, 0],
  [3, 10, 3],
  [10, 10, 10],
  [1_000, 10, 10],
])("createSample() chooses %i of %i: %i", (wanted, total, count) => {
  expect(chosen(wanted, total).filter(Boolean).length).toBe(count);
});

test("createSample() chooses each object as often as any other", () => {
  const counts = Array.from({ length: 10 }, () => 0);
  for (let run = 0; run < 10_000; run += 1) for (const [at, is] of chosen(3, 10).entries()) counts[at]! += is ? 1 : 0;
  // 3,000 each; the standard deviation is 46.
  for (const count of counts) expect(Math.abs(count - 3_000)).toBeLessThan(300);
});
