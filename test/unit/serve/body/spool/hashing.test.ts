import { crc32 as portableCrc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32 } from "../../../../../src/serve/body/spool/hashing.ts";

const bytesOf = (values: Uint8Array) => Buffer.from(values);

test("crc32() equals zlib's for every length, offset and preceding sum", () => {
  const bytes = fc.uint8Array({ maxLength: 70_000, size: "max" }).map(bytesOf);
  fc.assert(
    fc.property(bytes, fc.nat(64), fc.integer({ min: 0, max: 0xffffffff }), (whole, from, sum) => {
      const part = whole.subarray(from);
      expect(crc32(part)).toBe(portableCrc32(part));
      // For zero bytes zlib ignores the sum.
      if (part.length > 0) expect(crc32(part, sum)).toBe(portableCrc32(part, sum));
    }),
    { numRuns: 200 },
  );
});

test("crc32() of two parts in sequence is that of the whole", () => {
  const whole = Buffer.from(Array.from({ length: 10_000 }, (_, index) => (index * 7) % 251));
  for (const at of [1, 63, 4_096, 9_999]) {
    expect(crc32(whole.subarray(at), crc32(whole.subarray(0, at)))).toBe(portableCrc32(whole));
  }
});

test("crc32() reads memory shared between threads", () => {
  const shared = Buffer.from(new SharedArrayBuffer(1_000)).fill(5);
  expect(crc32(shared)).toBe(portableCrc32(shared));
});
