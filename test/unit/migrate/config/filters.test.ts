import { expect, test } from "vitest";
import { createFilters, type FilterOptions } from "../../../../src/migrate/config/filters.ts";

const NONE: FilterOptions = {
  ignoreIf: undefined,
  ignoreUnless: undefined,
  errorIgnoreIf: undefined,
  subPattern: undefined,
  subReplace: undefined,
};

function filters(options: Partial<FilterOptions>) {
  const faults: string[] = [];
  return { ...createFilters({ ...NONE, ...options }, faults), faults };
}

const TEMPLATE = { ignoreIf: ".*.DS_Store", ignoreUnless: "(?i).*\\.(?:jpg|jpeg|gif|bmp|png|webp|tiff)$" };

test.each([
  ["2015/a.jpg", "2015/a.jpg"],
  ["A.JPEG", "A.JPEG"],
  ["a.txt", undefined],
  ["folder/.DS_Store", undefined],
  // Both match: it is left out.
  ["x.DS_Store/a.jpg", undefined],
  ["", undefined],
])("rename(%j) with the template's filters is %j", (fileid, expected) => {
  expect(filters(TEMPLATE).rename(fileid)).toBe(expected);
});

test.each([
  ["b", "abc", "abc"],
  ["a", "abc", undefined],
  ["ab", "abc", undefined],
])("the expression %j matches from the start, not to the end", (ignoreIf, fileid, expected) => {
  expect(filters({ ignoreIf }).rename(fileid)).toBe(expected);
});

test.each([
  ["^old/", "new/", "old/a/old/b.jpg", "new/a/old/b.jpg"],
  ["(\\d+)-(\\d+)", "\\2_\\1", "1-2/3-4", "2_1/4_3"],
  ["(a)", "\\g<1>0", "a", "a0"],
  ["a", "$1$&", "a", "$1$&"],
  ["a", "\\\\", "a", "\\"],
  ["x", undefined, "axb", "ab"],
])("sub.pattern %j with %j makes of %j %j", (subPattern, subReplace, fileid, expected) => {
  const { rename, faults } = filters({ subPattern, subReplace });
  expect(faults).toEqual([]);
  expect(rename(fileid)).toBe(expected);
});

test("isFinal() matches the log of a failed job from its start", () => {
  const { isFinal } = filters({ errorIgnoreIf: ".*code: -1886.*" });
  expect(isFinal("message: 图片fileid已经存在, code: -1886, httpcode: 400")).toBe(true);
  expect(isFinal("message: x, code: -97, httpcode: 400")).toBe(false);
  expect(filters({}).isFinal("anything")).toBe(false);
});

test.each([
  [{ ignoreIf: "a(?=b)" }, /fileid\.ignore\.if .*lookaround, `\(\?=`/],
  [{ ignoreUnless: "(?<!a)b" }, /fileid\.ignore\.unless .*lookaround, `\(\?<!`/],
  [{ errorIgnoreIf: "(a" }, /error\.ignore\.if .*missing closing/],
  [{ subPattern: "(a)\\1" }, /sub\.pattern .*escape/],
  [{ subPattern: "(a)", subReplace: "\\2" }, /sub\.replace names a group/],
  [{ subReplace: "x" }, /sub\.replace needs sub\.pattern/],
])("createFilters(%j) is a fault by name", (options, expected) => {
  const { faults } = filters(options);
  expect(faults.length).toBe(1);
  expect(faults[0]).toMatch(expected);
});

test("no expression hangs", () => {
  const { rename } = filters({ ignoreIf: "(a+)+$", subPattern: "(x*)*y" });
  const began = performance.now();
  rename(`${"a".repeat(50_000)}!${"x".repeat(50_000)}`);
  expect(performance.now() - began).toBeLessThan(5_000);
});
