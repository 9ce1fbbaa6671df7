import fc from "fast-check";
import { expect, test } from "vitest";
import { parseHttpDate } from "../../../src/core/http-date.ts";

const SECONDS = Date.UTC(1994, 10, 6, 8, 49, 37) / 1_000;
const NOW = Date.UTC(2026, 0, 1);

test.each([
  ["Sun, 06 Nov 1994 08:49:37 GMT", SECONDS],
  ["Sunday, 06-Nov-94 08:49:37 GMT", SECONDS],
  ["Sun Nov  6 08:49:37 1994", SECONDS],
  ["Wed Nov 16 08:49:37 1994", SECONDS + 10 * 86_400],
  ["  Sun, 06 Nov 1994 08:49:37 GMT ", SECONDS],
  ["Mon, 06 Nov 1994 08:49:37 GMT", SECONDS],
  ["Thu, 29 Feb 2024 00:00:00 GMT", Date.UTC(2024, 1, 29) / 1_000],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["Wednesday, 01-Jan-76 00:00:00 GMT", Date.UTC(2076, 0, 1) / 1_000],
  ["Saturday, 01-Jan-77 00:00:00 GMT", Date.UTC(1977, 0, 1) / 1_000],
  ["Saturday, 01-Jan-00 00:00:00 GMT", Date.UTC(2000, 0, 1) / 1_000],
])("parseHttpDate(%j) is %d", (text, seconds) => {
  expect(parseHttpDate(text, NOW)).toBe(seconds);
});

test.each([
  "",
  "0",
  "now",
  "784111777",
  "1994-11-06T08:49:37Z",
  "06 Nov 1994 08:49:37 GMT",
  "Sun, 6 Nov 1994 08:49:37 GMT",
  "Sun, 06 Nov 1994 08:49:37",
  "Sun, 06 Nov 1994 08:49:37 UTC",
  "Sun, 06 Nov 1994 08:49:37 +0000",
  "Sun, 06 Nov 1994 8:49:37 GMT",
  "Sun, 06 Nov 94 08:49:37 GMT",
  "Sun, 31 Feb 1994 08:49:37 GMT",
  "Wed, 29 Feb 2023 08:49:37 GMT",
  "Sun, 00 Nov 1994 08:49:37 GMT",
  "Sun, 06 Nox 1994 08:49:37 GMT",
  "Sun, 06 nov 1994 08:49:37 GMT",
  "Sun, 06 Nov 1994 24:00:00 GMT",
  "Sun, 06 Nov 1994 08:60:37 GMT",
  "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
  "Sun, 06 Nov 1994 08:49:37 GMT; length=10",
  "Sun, 06-Nov-94 08:49:37 GMT",
])("parseHttpDate(%j) is undefined", (text) => {
  expect(parseHttpDate(text, NOW)).toBeUndefined();
});

test("parseHttpDate() parses every date that toUTCString() formats", () => {
  const min = Date.UTC(1900, 0, 1) / 1_000;
  const max = Date.UTC(9_999, 11, 31) / 1_000;
  fc.assert(
    fc.property(fc.integer({ min, max }), (seconds) => {
      expect(parseHttpDate(new Date(seconds * 1_000).toUTCString(), NOW)).toBe(seconds);
    }),
  );
});
