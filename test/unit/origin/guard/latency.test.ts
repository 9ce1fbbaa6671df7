// The latency of the latest responses of an origin.
import { expect, test } from "vitest";
import { createLatency, summaryOf } from "../../../../src/origin/guard/latency.ts";

test("recent() has the responses of the last while, at most 256", () => {
  let now = 0;
  const latency = createLatency("o", () => now);
  expect(latency.recent(1_000)).toEqual([]);
  latency.record(5);
  now = 1_000;
  latency.record(7);
  expect(latency.recent(1_000)).toEqual([5, 7]);
  now = 1_001;
  expect(latency.recent(1_000)).toEqual([7]);
  for (let count = 0; count < 300; count += 1) latency.record(count);
  expect(latency.recent(1_000).toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 256 }, (_, index) => 44 + index),
  );
});

test.each([
  [[], undefined],
  [[4], { count: 1, p50Ms: 4, p90Ms: 4, p99Ms: 4 }],
  [Array.from({ length: 100 }, (_, index) => 100 - index), { count: 100, p50Ms: 50, p90Ms: 90, p99Ms: 99 }],
])("summaryOf(%j) is %j", (values, summary) => {
  expect(summaryOf(values)).toEqual(summary);
});
