import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createFailureLog } from "../../../../src/serve/mirror/failure-log.ts";
import { linesOf } from "../../../helpers/log-lines.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function start() {
  const log = linesOf();
  const failures = createFailureLog(log, { bucket: "b" });
  const fail = (kind: string, times: number) => {
    for (let index = 0; index < times; index += 1) failures.warn(kind, { index }, kind);
  };
  return { log, fail };
}

test("createFailureLog() logs the first failures of each kind in a minute and counts the rest", () => {
  const { log, fail } = start();
  fail("timeout", 100);
  fail("status", 3);
  expect(log.lines.map(({ message }) => message)).toEqual([...Array(3).fill("timeout"), ...Array(3).fill("status")]);
  vi.advanceTimersByTime(60_000);
  expect(log.lines.at(-1)).toMatchObject({ level: "warn", fields: { bucket: "b", minutes: 1, timeout: 97 } });
  expect(log.lines).toHaveLength(7);

  vi.advanceTimersByTime(120_000);
  fail("timeout", 3);
  vi.advanceTimersByTime(600_000);
  expect(log.lines).toHaveLength(10);
});

test("createFailureLog() logs an outage of a day in about fifty lines, one of half an hour in a dozen, and starts again for the next", () => {
  const { log, fail } = start();
  const failFor = (minutes: number) => {
    for (let second = 0; second < minutes * 60; second += 1) {
      fail("store_failed", 20);
      vi.advanceTimersByTime(1_000);
    }
  };
  failFor(30);
  expect(log.lines.length).toBeLessThanOrEqual(12);
  failFor(23.5 * 60);
  expect(log.lines.length).toBeLessThanOrEqual(60);
  vi.advanceTimersByTime(7_200_000);
  const counted = log.lines.reduce(
    (sum, { fields }) => sum + Number((fields as { store_failed?: number }).store_failed ?? 1),
    0,
  );
  expect(counted).toBe(24 * 3_600 * 20);
  const before = log.lines.length;
  fail("store_failed", 3);
  expect(log.lines.length).toBe(before + 3);
});
