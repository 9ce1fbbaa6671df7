import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRange } from "../../../../../src/serve/http/request/range.ts";
import { anyText } from "../../../../helpers/texts.ts";

const UNSATISFIABLE = "unsatisfiable";
const range = (start: number, end: number) => ({ start, end });

test.each([
  ["bytes=0-499", range(0, 499)],
  ["bytes=500-999", range(500, 999)],
  ["bytes=-500", range(9_500, 9_999)],
  ["bytes=9500-", range(9_500, 9_999)],
  ["bytes=0-0", range(0, 0)],
  ["bytes=9999-9999", range(9_999, 9_999)],
  ["bytes=-1", range(9_999, 9_999)],
  ["bytes=0-", range(0, 9_999)],
  ["bytes=0-99999", range(0, 9_999)],
  ["bytes=-99999", range(0, 9_999)],
  ["bytes=0-999999999999999999999999", range(0, 9_999)],
  ["bytes=-999999999999999999999999", range(0, 9_999)],
  ["bytes=007-008", range(7, 8)],
  ["BYTES=0-1", range(0, 1)],
  ["  bytes=0-1  ", range(0, 1)],
])("parseRange(%j, 10000) is satisfied", (header, expected) => {
  expect(parseRange(header, 10_000)).toEqual(expected);
});

test.each(["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=99999999999999999999-"])(
  "parseRange(%j, 10000) is unsatisfiable",
  (header) => {
    expect(parseRange(header, 10_000)).toEqual(UNSATISFIABLE);
  },
);

test.each([
  ["another unit", "items=0-1"],
  ["no unit", "0-1"],
  ["no set", "bytes="],
  ["an empty set", "bytes= , ,"],
  ["an empty header", ""],
  ["no dash", "bytes=1"],
  ["a lone dash", "bytes=-"],
  ["backwards", "bytes=2-1"],
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
  ["several ranges", "bytes=0-0,-1"],
  ["several ranges with empty ones", "bytes=,0-1,,\t4-5 ,"],
  ["an overlap", "bytes=0-9,5-14"],
  ["a thousand ranges", `bytes=${"0-1,".repeat(1_000)}2-3`],
])("parseRange() returns undefined, so the whole body is sent, for %s", (_name, header) => {
  expect(parseRange(header, 10_000)).toBeUndefined();
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
      const expected = bytes.length === 0 ? UNSATISFIABLE : range(bytes[0] ?? 0, bytes.at(-1) ?? 0);
      expect(parseRange(`bytes=${first ?? ""}-${last ?? ""}`, size)).toEqual(expected);
    }),
    { numRuns: 1_000 },
  );
});

test("parseRange() returns a range within the size, or none, for any text", () => {
  const part = fc.constantFrom("bytes=", "0", "9", "-", ",", " ", "\t", "x");
  const junk = fc.array(part).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.oneof(junk, anyText()), fc.nat({ max: 100 }), (header, size) => {
      const result = parseRange(header, size);
      if (result === undefined || result === UNSATISFIABLE) return;
      const { start, end } = result;
      expect(start >= 0 && start <= end && end < size).toBe(true);
    }),
    { numRuns: 3_000 },
  );
});
