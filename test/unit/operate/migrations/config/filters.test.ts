import { expect, test } from "vitest";
import { createFilters } from "../../../../../src/operate/migrations/config/filters.ts";
import { startCpuTimer } from "../../../../helpers/cpu-time.ts";

type Options = Readonly<Record<string, string | undefined>>;

function filters(options: Options) {
  const faults: string[] = [];
  return { ...createFilters((name) => options[name], faults), faults };
}

const TEMPLATE = {
  "fileid.ignore.if": ".*.DS_Store",
  "fileid.ignore.unless": "(?i).*\\.(?:jpg|jpeg|gif|bmp|png|webp|tiff)$",
};

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
  expect(filters({ "fileid.ignore.if": ignoreIf }).rename(fileid)).toBe(expected);
});

test.each([
  ["^old/", "new/", "old/a/old/b.jpg", "new/a/old/b.jpg"],
  ["(\\d+)-(\\d+)", "\\2_\\1", "1-2/3-4", "2_1/4_3"],
  ["(a)", "\\g<1>0", "a", "a0"],
  ["(a)(b)?", "\\g<0>-\\2-$01", "ac", "a--$01c"],
  ["a", "$1$&", "a", "$1$&"],
  ["a", "\\\\", "a", "\\"],
  ["x", undefined, "axb", "ab"],
])("sub.pattern %j with %j makes of %j %j", (subPattern, subReplace, fileid, expected) => {
  const { rename, faults } = filters({ "sub.pattern": subPattern, "sub.replace": subReplace });
  expect(faults).toEqual([]);
  expect(rename(fileid)).toBe(expected);
});

test("isFinal() matches the log of a failed job from its start", () => {
  const { isFinal } = filters({ "error.ignore.if": ".*code: -1886.*" });
  expect(isFinal("message: 图片fileid已经存在, code: -1886, httpcode: 400")).toBe(true);
  expect(isFinal("message: x, code: -97, httpcode: 400")).toBe(false);
  expect(filters({}).isFinal("anything")).toBe(false);
});

test.each([
  [{ "fileid.ignore.if": "a(?=b)" }, /fileid\.ignore\.if .*no lookarounds.*: .*`\(\?=`/],
  [{ "fileid.ignore.unless": "(?<!a)b" }, /fileid\.ignore\.unless .*no lookarounds.*: .*`\(\?<!a\)b/],
  [{ "error.ignore.if": "(a" }, /error\.ignore\.if .*missing closing/],
  [{ "sub.pattern": "(a)\\1" }, /sub\.pattern .*backreferences.*: .*`\\1`/],
  [{ "sub.pattern": "(?P<n>a)(?P=n)" }, /unsupported Perl syntax: `\(\?P`/],
  [{ "fileid.ignore.if": "a++b" }, /invalid nested repetition operator: `\+\+`/],
  [{ "fileid.ignore.if": "(?>a)b" }, /unsupported Perl syntax: `\(\?>`/],
  [{ "fileid.ignore.if": ".*\\Z" }, /invalid escape sequence: `\\Z`/],
  [{ "fileid.ignore.if": "(?ix) a" }, /unsupported Perl syntax: `\(\?ix/],
  // RE2 would take them, with another meaning.
  [{ "fileid.ignore.if": "a{,2}b" }, /fileid\.ignore\.if .*it has \{,: write \{0,/],
  [{ "fileid.ignore.unless": ".*\\.jpg$(?i)" }, /it has \(\?i\): .*flags at its beginning/],
  [{ "sub.pattern": "(a)", "sub.replace": "\\2" }, /sub\.replace has \\2, .* to 1\.$/],
  [{ "sub.pattern": "(?P<n>a)", "sub.replace": "\\g<n>" }, /sub\.replace has \\g<n>, but only/],
  [{ "sub.pattern": "a", "sub.replace": "\\n" }, /sub\.replace has \\n, but only/],
  [{ "sub.pattern": "a", "sub.replace": "\\0" }, /sub\.replace has \\0, but only/],
  [{ "sub.pattern": "a", "sub.replace": "b\\" }, /sub\.replace has \\, but only/],
  [{ "sub.replace": "x" }, /sub\.replace needs sub\.pattern/],
  [{ "fileid.ignore.execute": "ignore = True" }, /fileid\.ignore\.execute must be empty: .*sub\.pattern/],
])("createFilters(%j) is a fault by name", (options, expected) => {
  const { faults } = filters(options);
  expect(faults.length).toBe(1);
  expect(faults[0]).toMatch(expected);
});

test("no expression hangs", () => {
  const { rename } = filters({ "fileid.ignore.if": "(a+)+$", "sub.pattern": "(x*)*y" });
  const cpuMs = startCpuTimer();
  rename(`${"a".repeat(50_000)}!${"x".repeat(50_000)}`);
  expect(cpuMs()).toBeLessThan(5_000);
});
