// The pace of a migration that the console shows.
import { expect, test } from "vitest";
import { addSample, paceOf, type Sample } from "../../../../../src/operate/migrations/page/pace.ts";

const sample = (second: number, done: number, bytes = done * 1_000): Sample => ({ at: second * 1_000, done, bytes });
const samplesOf = (...all: readonly Sample[]) => all.reduce<readonly Sample[]>(addSample, []);

test("paceOf() is the increase over the window, and the time left at that pace", () => {
  const pace = paceOf(samplesOf(sample(0, 0), sample(2, 50), sample(4, 100)), 200);
  expect(pace).toEqual({ perSecond: 25, bytesPerSecond: 25_000, secondsLeft: 8 });
});

test("paceOf() forgets what is older than the window", () => {
  expect(paceOf(samplesOf(sample(0, 0), sample(30, 900), sample(40, 910)), 10)?.perSecond).toBe(1);
});

test("paceOf() knows nothing of one sample, and no end if nothing moves", () => {
  expect(paceOf(samplesOf(sample(0, 5)), 10)).toBeUndefined();
  expect(paceOf(samplesOf(sample(0, 5), sample(2, 5)), 10)).toEqual({
    ...{ perSecond: 0, bytesPerSecond: 0, secondsLeft: undefined },
  });
});

test("addSample() starts again when counters go back", () => {
  expect(samplesOf(sample(0, 50), sample(2, 80), sample(4, 70))).toEqual([sample(4, 70)]);
});
