import fc from "fast-check";
import { expect, test } from "vitest";
import { areEndless } from "../../../../../src/serve/image/formats/exif.ts";
import { startCpuTimer } from "../../../../helpers/cpu-time.ts";
import { type ExifEntry, exifBlock, loopedExif } from "../../../../helpers/exif-files.ts";

const MOST = 10_000;
const POINTERS = [0x8769, 0x8825, 0xa005];

test("areEndless() is false for EXIF of cameras", () => {
  const values = Array.from({ length: 300 }, (_, index): ExifEntry => [0x9000 + index, 3, 1, 1]);
  expect(areEndless([exifBlock(values)])).toBe(false);
  expect(areEndless([Buffer.concat([Buffer.from("Exif\0\0"), exifBlock([[0x0112, 3, 1, 6]])])])).toBe(false);
  expect(areEndless([])).toBe(false);
});

test("areEndless() is false for one pointer to arbitrary bytes, and for bytes that are not EXIF", () => {
  const broken = Buffer.concat([exifBlock([[0x8825, 4, 1, 26]]), Buffer.alloc(64_000, 0xee)]);
  expect(areEndless([broken])).toBe(false);
  expect(areEndless([Buffer.alloc(0), Buffer.from("II"), Buffer.from("Exif\0\0"), Buffer.alloc(64_000, 0x49)])).toBe(
    false,
  );
});

test.each([1, 5, 100, 5000])("areEndless() is true for a directory of %i entries that points to itself", (entries) => {
  expect(areEndless([loopedExif(entries)])).toBe(true);
});

test("areEndless() is true for two directories that point to each other, and for one visited too often", () => {
  const second = exifBlock([[0x8825, 4, 1, 8]]).subarray(8);
  expect(areEndless([Buffer.concat([exifBlock([[0x8769, 4, 1, 26]]), second])])).toBe(true);
  const often = Array.from({ length: 100 }, (): ExifEntry => [0x8769, 4, 1, 8 + 2 + 100 * 12 + 4]);
  const long = Array.from({ length: 101 }, (): ExifEntry => [0x9000, 3, 1, 1]);
  expect(areEndless([Buffer.concat([exifBlock(often), exifBlock(long).subarray(8)])])).toBe(true);
});

test("areEndless() counts the blocks of a file together", () => {
  const block = exifBlock(Array.from({ length: 1000 }, (): ExifEntry => [0x9000, 3, 1, 1]));
  expect(areEndless(Array(9).fill(block))).toBe(false);
  expect(areEndless(Array(11).fill(block))).toBe(true);
  expect(areEndless(Array(MOST + 1).fill(Buffer.alloc(0)))).toBe(true);
});

test("areEndless() visits no more than its budget, and is true if libexif would visit more", () => {
  const entry = fc.tuple(
    fc.constantFrom(...POINTERS, 0x010f, 0x9000),
    fc.constant(4),
    fc.constant(1),
    fc.integer({ min: 0, max: 700 }),
  );
  const linked = fc
    .tuple(fc.array(entry, { maxLength: 40 }), fc.integer({ min: 0, max: 700 }), fc.uint8Array({ maxLength: 200 }))
    .map(([entries, next, rest]) => Buffer.concat([exifBlock(entries, next), rest]));
  const anything = fc.uint8Array({ maxLength: 600 }).map((rest) => Buffer.concat([Buffer.from("MM\0*"), rest]));
  fc.assert(
    fc.property(fc.oneof(linked, anything), (block) => {
      const cpuMs = startCpuTimer();
      const isEndless = areEndless([block]);
      expect(cpuMs()).toBeLessThan(500);
      if (entriesMet(block) > MOST) expect(isEndless).toBe(true);
    }),
    { numRuns: 500 },
  );
});

/**
 * Number of entries that libexif reads. It skips a pointer to the kind of directory it is in, and limits its depth by
 * entries.
 */
function entriesMet(block: Buffer): number {
  const isLittle = block[0] === 0x49;
  const short = (at: number) => (isLittle ? block.readUInt16LE(at) : block.readUInt16BE(at));
  const long = (at: number) => (isLittle ? block.readUInt32LE(at) : block.readUInt32BE(at));
  let met = 0;
  const read = (kind: number, start: number, cost: number) => {
    if (cost > 170 || start + 2 > block.length || met > MOST) return;
    const count = Math.min(short(start), Math.floor((block.length - start - 2) / 12));
    for (let index = 0; index < count && met <= MOST; index += 1) {
      met += 1;
      const at = start + 2 + index * 12;
      const to = POINTERS.indexOf(short(at));
      if (to === -1 || to === kind || long(at + 8) >= block.length) continue;
      read(to, long(at + 8), cost + Math.ceil(Math.log(count + 0.1) / Math.log(1.1)));
    }
  };
  if (block.length < 8) return 0;
  const first = long(4);
  read(-1, first, 0);
  const link = first + 2 + (first + 2 > block.length ? 0 : short(first)) * 12;
  if (link + 4 <= block.length && long(link) !== 0) read(-1, long(link), 0);
  return met;
}
