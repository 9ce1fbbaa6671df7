// When a damaged image may be stored after all.
import { expect, test } from "vitest";
import { createSuspects } from "../../../../../src/serve/mirror/fills.ts";

const HOUR = 3_600_000;
const WEEK = 7 * 24 * HOUR;

/** The result for each sighting: [key, hash, time]. */
function verdicts(...seen: readonly (readonly [string, string, number])[]): boolean[] {
  const mayBeStored = createSuspects();
  return seen.map(([key, sha256, at]) => mayBeStored(key, sha256, at));
}

test.each([
  [
    "the same bytes an hour apart",
    [
      ["a", "x", 0],
      ["a", "x", HOUR],
    ],
    [false, true],
  ],
  [
    "the same bytes within the hour",
    [
      ["a", "x", 0],
      ["a", "x", HOUR - 1],
    ],
    [false, false],
  ],
  [
    "a sighting within the hour does not begin it again",
    [
      ["a", "x", 0],
      ["a", "x", 1],
      ["a", "x", HOUR],
    ],
    [false, false, true],
  ],
  [
    "other bytes begin the hour again",
    [
      ["a", "x", 0],
      ["a", "y", 1],
      ["a", "x", HOUR],
      ["a", "x", 2 * HOUR],
    ],
    [false, false, false, true],
  ],
  [
    "another key is another image",
    [
      ["a", "x", 0],
      ["b", "x", HOUR],
    ],
    [false, false],
  ],
  [
    "after a week it is forgotten",
    [
      ["a", "x", 0],
      ["a", "x", WEEK],
    ],
    [false, false],
  ],
] as const)("createSuspects(): %s", (_name, seen, expected) => {
  expect(verdicts(...seen)).toEqual(expected);
});
