import { afterEach, expect, test } from "vitest";
import { ago, bytes, duration, milliseconds, percent } from "../../../../../src/operate/console/text/format.ts";
import { language } from "../../../../../src/operate/console/text/text.ts";

afterEach(() => {
  language.value = "en";
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_000, "1 kB"],
  [12_345, "12.3 kB"],
  [999_400, "999 kB"],
  [999_600, "1 MB"],
  [1.5e15, "1,500 TB"],
])("bytes(%d) is %s", (value, expected) => {
  expect(bytes(value)).toBe(expected);
});

test.each([
  [0, "0 s"],
  [59.6, "1 min"],
  [61, "1 min 1 s"],
  [3_600, "1 h"],
  [86_400 + 59, "1 d"],
  [90_000, "1 d 1 h"],
])("duration(%d) is %s: two units at most, and neither is 0", (seconds, expected) => {
  expect(duration(seconds)).toBe(expected);
});

test.each([
  [0, "0 ms"],
  [0.44, "0.4 ms"],
  [250.4, "250 ms"],
  [1_240, "1.2 s"],
  [61_000, "1 min 1 s"],
])("milliseconds(%d) is %s", (value, expected) => {
  expect(milliseconds(value)).toBe(expected);
});

test("percent() does not round a share below 1 to 100 %", () => {
  expect([0, 0.5, 0.9996, 1].map(percent)).toEqual(["0%", "50%", "99.96%", "100%"]);
});

test("ago() names the largest whole unit, in the language of the reader", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  const before = (seconds: number) => new Date(now - seconds * 1_000).toISOString();
  expect([0, 59, 61, 7_300, 90_000].map((seconds) => ago(before(seconds), now))).toEqual([
    "now",
    "59 seconds ago",
    "1 minute ago",
    "2 hours ago",
    "yesterday",
  ]);
  language.value = "zh";
  expect(ago(before(61), now)).toBe("1分钟前");
});
