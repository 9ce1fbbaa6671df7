// The comparison of this server's clock with the `Date` of S3's responses.
import { expect, test } from "vitest";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { createClock } from "../../../../../src/serve/bucket/s3/clock.ts";

const T = Date.UTC(2026, 0, 1);
const date = (at: number) => new Date(at).toUTCString();

/** The note after a response with this time of S3, whose request was sent at `sentAt` and answered at T. */
function noteOf(theirs: number, sentAt: number): string | undefined {
  const clock = createClock(() => T, SILENT_LOG);
  clock.compare(date(theirs), sentAt);
  return clock.note();
}

test.each([
  ["equal", T, T],
  ["5 s behind", T + 5_000, T],
  ["5.9 s ahead of whole seconds", T - 6_000, T],
  ["unknown, because the response took a minute", T - 60_000, T - 60_000],
])("note() is empty for a clock that is %s", (_what, theirs, sentAt) => {
  expect(noteOf(theirs, sentAt)).toBeUndefined();
});

test.each([
  ["6 s behind", T + 6_000, "6 s"],
  ["an hour ahead", T - 3_601_000, "3600 s"],
])("note() names the difference of a clock that is %s", (_what, theirs, difference) => {
  expect(noteOf(theirs, T)).toContain(`by ${difference}`);
});

test("compare() logs the first difference, and note() ends when the clocks agree", () => {
  const logged: string[] = [];
  const clock = createClock(() => T, { ...SILENT_LOG, warn: (_fields, message) => void logged.push(message) });
  for (const theirs of [T + 60_000, T + 90_000]) clock.compare(date(theirs), T);
  expect(logged).toHaveLength(1);
  clock.compare("no date", T);
  clock.compare(undefined, T);
  expect(clock.note()).toContain("by 90 s");
  clock.compare(date(T), T);
  expect(clock.note()).toBeUndefined();
});
