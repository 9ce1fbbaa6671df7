import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createFailureLog } from "../../../src/mirror/failure-log.ts";
import { linesOf } from "../../helpers/log-lines.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("createFailureLog() tells the first of each kind and counts the rest, each minute anew", () => {
  const log = linesOf();
  const failures = createFailureLog(log, { bucket: "b" });
  const fail = (kind: string, times: number) => {
    for (let index = 0; index < times; index += 1) failures.warn(kind, { index }, kind);
  };
  fail("timeout", 100);
  fail("status", 3);
  expect(log.lines.map(({ message }) => message)).toEqual([...Array(3).fill("timeout"), ...Array(3).fill("status")]);
  vi.advanceTimersByTime(60_000);
  expect(log.lines.at(-1)).toMatchObject({ level: "warn", fields: { bucket: "b", timeout: 97 } });
  expect(log.lines).toHaveLength(7);

  fail("timeout", 3);
  vi.advanceTimersByTime(600_000);
  expect(log.lines).toHaveLength(10);
});
