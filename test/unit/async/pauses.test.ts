import { expect, test } from "vitest";
import { collect } from "../../../src/async/pauses.ts";

test("collect() lets other work run between items that take long, and keeps their order", async () => {
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const results = await collect([1, 2, 3, 4], (item) => {
    const until = performance.now() + 20;
    while (performance.now() < until);
    return item * turns;
  });
  isOver = true;
  const seen = results.map((result, index) => result / (index + 1));
  expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
});
