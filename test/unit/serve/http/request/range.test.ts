import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRange } from "../../../../../src/serve/http/request/range.ts";
import { anyText } from "../../../../helpers/texts.ts";

const UNSATISFIABLE = { kind: "unsatisfiable" };
const ranges = (...pairs: readonly (readonly [number, number])[]) => ({
  kind: "ranges",
  ranges: pairs.map(([start, end]) => ({ start, end })),
});

test.each([
  ["bytes=0-499", ranges([0, 499])],
  ["bytes=500-999", ranges([500, 999])],
  ["bytes=-500", ranges([9_500, 9_999])],
  ["bytes=9500-", ranges([9_500, 9_999])],
  ["bytes=0-0", ranges([0, 0])],
  ["bytes=9999-9999", ranges([9_999, 9_999])],
  ["bytes=-1", ranges([9_999, 9_999])],
  ["bytes=0-", ranges([0, 9_999])],
  ["bytes=0-99999", ranges([0, 9_999])],
  ["bytes=-99999", ranges([0, 9_999])],
  ["bytes=0-999999999999999999999999", ranges([0, 9_999])],
  ["bytes=-999999999999999999999999", ranges([0, 9_999])],
  ["bytes=007-008", ranges([7, 8])],
  ["BYTES=0-1", ranges([0, 1])],
  ["  bytes=0-1  ", ranges([0, 1])],
  ["bytes=0-0,-1", ranges([0, 0], [9_999, 9_999])],
  ["bytes=500-600,601-999", ranges([500, 600], [601, 999])],
  ["bytes=20-29, 0-9", ranges([20, 29], [0, 9])],
  ["bytes=,0-1,,\t4-5 ,", ranges([0, 1], [4, 5])],
  ["bytes=0-1,10000-", ranges([0, 1])],
  ["bytes=10000-10001,-0,7-9", ranges([7, 9])],
])("parseRange(%j, 10000) is satisfied", (header, expected) => {
  expect(parseRange(header, 10_000)).toEqual(expected);
});

test.each([
  "bytes=10000-",
  "bytes=10000-10001",
  "bytes=-0",
  "bytes=99999999999999999999-",
  "bytes=10000-,20000-20001,-0",
])("parseRange(%j, 10000) is unsatisfiable", (header) => {
  expect(parseRange(header, 10_000)).toEqual(UNSATISFIABLE);
});

test.each([
  ["another unit", "items=0-1"],
  ["no unit", "0-1"],
  ["no set", "bytes="],
  ["an empty set", "bytes= , ,"],
  ["an empty header", ""],
  ["no dash", "bytes=1"],
  ["a lone dash", "bytes=-"],
  ["backwards", "bytes=2-1"],
  ["backwards among good ones", "bytes=0-1,9-8"],
  ["three numbers", "bytes=0-1-2"],
  ["a negative number", "bytes=--1"],
  ["a sign", "bytes=+1-2"],
  ["hex", "bytes=0x1-0x2"],
  ["a fraction", "bytes=0.5-1"],
  ["an exponent", "bytes=1e1-"],
  ["blanks inside", "bytes=0 - 1"],
  ["digits of another script", "bytes=٠-١"],
  ["blanks around the equals sign", "bytes = 0-1"],
  ["two headers joined", "bytes=0-1, bytes=4-5"],
  ["the same twice", "bytes=0-9,0-9"],
  ["an overlap", "bytes=0-9,5-14"],
  ["an overlap out of order", "bytes=5-14,0-9"],
  ["one inside another", "bytes=0-99,10-19"],
  ["everything in parts", "bytes=0-4999,5000-"],
  ["17 ranges", `bytes=${Array.from({ length: 17 }, (_, index) => `${index * 10}-${index * 10}`).join(",")}`],
  ["a long set", `bytes=0-1${",".repeat(600)}`],
])("parseRange() returns undefined, so the whole body is sent, for %s", (_name, header) => {
  expect(parseRange(header, 10_000)).toBeUndefined();
});

test("parseRange() accepts 16 ranges", () => {
  const specs = Array.from({ length: 16 }, (_, index) => `${index * 10}-${index * 10}`);
  expect(parseRange(`bytes=${specs.join(",")}`, 10_000)).toMatchObject({ kind: "ranges", ranges: { length: 16 } });
});

test("parseRange() satisfies no range of an empty body", () => {
  for (const header of ["bytes=0-", "bytes=0-0", "bytes=-5"]) expect(parseRange(header, 0)).toEqual(UNSATISFIABLE);
});

/** The bytes that one spec means, one by one, straight from the words of RFC 9110 §14.1.2. */
function askedFor(first: number | undefined, last: number | undefined, size: number): readonly number[] {
  const positions = Array.from({ length: size }, (_, index) => index);
  if (first === undefined) return positions.filter((position) => position >= size - (last ?? 0));
  return positions.filter((position) => position >= first && (last === undefined || position <= last));
}

test("parseRange() of a single spec selects the bytes that the RFC defines", () => {
  const number = fc.option(fc.nat({ max: 30 }), { nil: undefined });
  fc.assert(
    fc.property(number, number, fc.integer({ min: 1, max: 25 }), (first, last, size) => {
      fc.pre(first !== undefined || last !== undefined);
      fc.pre(first === undefined || last === undefined || first <= last);
      const bytes = askedFor(first, last, size);
      const expected = bytes.length === 0 ? UNSATISFIABLE : ranges([bytes[0] ?? 0, bytes.at(-1) ?? 0]);
      expect(parseRange(`bytes=${first ?? ""}-${last ?? ""}`, size)).toEqual(expected);
    }),
    { numRuns: 1_000 },
  );
});

test("parseRange() returns ranges within the size that never overlap, or undefined, for any text", () => {
  const spec = fc
    .tuple(fc.option(fc.nat({ max: 120 })), fc.option(fc.nat({ max: 120 })))
    .map(([first, last]) => `${first ?? ""}-${last ?? ""}`);
  const set = fc.array(spec, { maxLength: 20 }).map((specs) => `bytes=${specs.join(",")}`);
  const junk = fc.array(fc.constantFrom("bytes=", "0", "9", "-", ",", " ", "\t", "x")).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.oneof(set, junk, anyText()), fc.nat({ max: 100 }), (header, size) => {
      const result = parseRange(header, size);
      if (result === undefined || result.kind === "unsatisfiable") return;
      expect(result.ranges.length).toBeGreaterThan(0);
      const seen = new Set<number>();
      for (const { start, end } of result.ranges) {
        expect(start).toBeLessThanOrEqual(end);
        for (let position = start; position <= end; position += 1) {
          expect(position >= 0 && position < size && !seen.has(position)).toBe(true);
          seen.add(position);
        }
      }
    }),
    { numRuns: 3_000 },
  );
});
