import { expect, test } from "vitest";
import { parseDuration, parseSize } from "../../../../src/settings/schema/quantities.ts";
import { faultsOf, MINIMAL, parse } from "../parse.ts";

test.each([
  ["64MB", 64_000_000],
  ["64MiB", 67_108_864],
  ["1KB", 1000],
  ["1KiB", 1024],
  ["2GB", 2_000_000_000],
  ["1GiB", 1_073_741_824],
  ["512B", 512],
  ["512", 512],
  ["0", 0],
  ["64mb", undefined],
  ["64 MB", undefined],
  ["1.5GB", undefined],
  ["-1", undefined],
  ["64M", undefined],
  ["", undefined],
  ["9999999999GiB", undefined],
])("parseSize(%j) is %j bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each([
  ["500ms", 500],
  ["30s", 30_000],
  ["5m", 300_000],
  ["2h", 7_200_000],
  ["7d", 604_800_000],
  ["0s", 0],
  ["30", undefined],
  ["30S", undefined],
  ["1h30m", undefined],
  ["", undefined],
  ["999999999999d", undefined],
])("parseDuration(%j) is %j milliseconds", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test("size() takes a plain whole number as bytes", () => {
  expect(parse(`limits: { objectSize: 4096 }\n${MINIMAL}`).limits.objectSize).toBe(4096);
});

test.each(["objectSize: 1023", "objectSize: 1073741825", "objectSize: 6GB", "objectSize: -1", "renderTime: 99ms"])(
  "bounds refuse %s",
  (line) => {
    expect(faultsOf(`limits: { ${line} }\n${MINIMAL}`)).toMatchObject([
      { path: `limits.${line.split(":")[0]}`, line: 1 },
    ]);
  },
);

test.each(["objectSize: 1KiB", "objectSize: 1GiB", "renderTime: 100ms", "spoolMemory: 0", "freeDisk: 0"])(
  "bounds include %s",
  (line) => {
    expect(faultsOf(`limits: { ${line} }\n${MINIMAL}`)).toEqual([]);
  },
);
