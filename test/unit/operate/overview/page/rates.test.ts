// The rates of the console's live figures.
import { expect, test } from "vitest";
import type { LiveFigures } from "../../../../../src/operate/overview/contract.ts";
import {
  allRequests,
  hitRatioAt,
  hitRatioOf,
  latencyAt,
  rateAt,
} from "../../../../../src/operate/overview/page/rates.ts";

function figuresAt(second: number, hits: number, misses = 0, failures = 0): LiveFigures {
  const each = (outcome: string, tier: string, count: number) => ({ outcome, tier, count });
  return {
    at: new Date(second * 1_000).toISOString(),
    requests: [each("hit", "memory", hits), each("miss", "origin", misses), each("error", "none", failures)],
    ...{ bytes: 0, savedBytes: 0, errors: [], origins: [] },
    running: { fills: 0, renders: 0, waitingRenders: 0, uploads: 0, waitingWrites: 0 },
    memory: { residentBytes: 0, heapBytes: 0, cacheBytes: 0, cacheObjects: 0 },
  };
}

test("a rate is the increase per second", () => {
  const list = [figuresAt(10, 100), figuresAt(11, 104), figuresAt(13, 110)];
  expect(list.map((_, index) => rateAt(allRequests, list, index))).toEqual([null, 4, 3]);
  expect(rateAt(allRequests, list, 2, 10)).toBe(10 / 3);
  expect(rateAt(allRequests, [], -1)).toBeNull();
});

test("a restart of the server and a gap have no rate", () => {
  const list = [figuresAt(10, 100), figuresAt(11, 3), figuresAt(17, 9), figuresAt(17, 9)];
  expect(list.map((_, index) => rateAt(allRequests, list, index))).toEqual([null, null, null, null]);
});

test("the hit ratio counts hits and misses, and is unknown if nothing was asked", () => {
  const list = [figuresAt(10, 100, 50, 7), figuresAt(11, 103, 51, 90), figuresAt(30, 103, 51, 90)];
  expect(list.map((_, index) => hitRatioAt(list, index))).toEqual([null, 0.75, null]);
  expect(hitRatioOf(figuresAt(1, 3, 1, 5))).toBe(0.75);
  expect(hitRatioOf(figuresAt(1, 0, 0, 5))).toBeNull();
});

test("an origin's latency has a gap after missing events, and while nothing was asked", () => {
  const latency = { p50: 5, p90: 7, p99: 8, max: 9 };
  const origin = { name: "o", state: "closed", running: 0, waiting: 0, pausedMs: 0 } as const;
  const at = (second: number, isAsked = true): LiveFigures => ({
    ...figuresAt(second, 0),
    origins: [{ ...origin, ...(isAsked && { latency }) }],
  });
  const list = [at(10), at(11), at(40), at(41), at(42, false)];
  const shown = list.map((_, index) => latencyAt(list, index, "o")?.p50);
  expect(shown).toEqual([5, 5, undefined, 5, undefined]);
  expect(latencyAt(list, 1, "other")).toBeUndefined();
});
