import { expect, test } from "vitest";
import { createGlob } from "../../../../src/serve/mirror/rules.ts";
import { startCpuTimer } from "../../../helpers/cpu-time.ts";

test.each([
  ["", "", true],
  ["", "a", false],
  ["*", "", true],
  ["*", "a/b/c.jpg", true],
  ["a*c", "ac", true],
  ["a*c", "a/b/c", true],
  ["a*c", "acb", false],
  ["?", "a", true],
  ["?", "", false],
  ["?", "😀", true],
  ["图*.jpg", "图片.jpg", true],
  ["*.jpg", "a.jpg.png", false],
  ["*.jpg*", "a.jpg.png", true],
  ["2015/*/big/*", "2015/07/big/a.jpg", true],
  ["2015/*/big/*", "2015/big/a.jpg", false],
  ["*a*b", "aab", true],
  ["**", "x", true],
  ["a.c", "abc", false],
  ["[a-z]+", "abc", false],
] as const)("createGlob(%j) says of %j: %s", (pattern, text, fits) => {
  expect(createGlob(pattern)(text)).toBe(fits);
});

test("createGlob() needs a time that only the lengths bound, whatever the pattern", () => {
  const fits = createGlob(`${"*a".repeat(127)}b`);
  const cpuMs = startCpuTimer();
  expect(fits("a".repeat(1_024))).toBe(false);
  expect(cpuMs()).toBeLessThan(500);
});
