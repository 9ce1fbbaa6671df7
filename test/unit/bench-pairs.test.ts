import { expect, test } from "vitest";
import { middleOf } from "../bench/pairs.ts";

const upTo = (count: number) => Array.from({ length: count }, (_, index) => count - index);

test.each([
  // The ranks are those of tables for the sign test.
  { count: 5, median: 3, from: 1, to: 5 },
  { count: 6, median: 3.5, from: 1, to: 6 },
  { count: 8, median: 4.5, from: 1, to: 8 },
  { count: 9, median: 5, from: 2, to: 8 },
  { count: 10, median: 5.5, from: 2, to: 9 },
  { count: 16, median: 8.5, from: 4, to: 13 },
  { count: 20, median: 10.5, from: 6, to: 15 },
])("middleOf() of the numbers up to $count is $median, from $from to $to", ({ count, ...middle }) => {
  expect(middleOf(upTo(count))).toEqual(middle);
});
