// TIFF and ICO are whole once all that their directories point to has arrived, and hostile offsets prove nothing.
import fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { gated, gatedIn, wholeAfter } from "../../../../helpers/gated.ts";
import { noisyJpeg, noisyPixels } from "../../../../helpers/images.ts";
import {
  DIRECTORY_FIRST,
  DIRECTORY_LAST,
  directoryOf,
  LIBTIFF,
  makeTiff,
  type TiffWish,
} from "../../../../helpers/tiff.ts";

const WHOLE_END = {
  framing: "length",
  isFramingWhole: true,
  isHashRight: true,
} as const;
const CLOSED = {
  framing: "close",
  isFramingWhole: false,
  isHashRight: true,
} as const;
const SUSPECT = { kind: "suspect", reason: "structure" };

const picture = sharp(noisyPixels(100, 70, 3), {
  raw: { width: 100, height: 70, channels: 3 },
});

describe("files of libtiff", () => {
  test.each([
    ["strips, not compressed", { compression: "none" }],
    ["strips, deflate", { compression: "deflate", predictor: "horizontal" }],
    ["JPEG inside", { compression: "jpeg", quality: 60 }],
    ["tiles", { compression: "lzw", tile: true, tileWidth: 32, tileHeight: 32 }],
    ["a pyramid of several directories", { tile: true, pyramid: true, tileWidth: 32, tileHeight: 32 }],
    ["BigTIFF", { compression: "none", bigtiff: true }],
    [
      "BigTIFF, a pyramid",
      {
        tile: true,
        pyramid: true,
        bigtiff: true,
        tileWidth: 32,
        tileHeight: 32,
      },
    ],
  ] as const)("isStructureWhole is true at the last byte and not before: %s", async (_, options) => {
    const body = await picture.clone().tiff(options).toBuffer();
    // A strip of odd length may have a pad byte behind it.
    expect(wholeAfter(body)).toBeGreaterThanOrEqual(body.length - 1);
    expect(gatedIn(body, [1000]).verdict(CLOSED)).toEqual({
      kind: "whole",
      image: { format: "tiff", width: 100, height: 70 },
    });
  });

  test("isStructureWhole is true for one with EXIF, a colour profile and 260 tiles", async () => {
    const pixels = noisyPixels(50, 1000, 3);
    const body = await sharp(pixels, {
      raw: { width: 50, height: 1000, channels: 3 },
    })
      .withExif({ IFD0: { Copyright: "no one" } })
      .withIccProfile("p3")
      .tiff({ compression: "lzw", tile: true, tileWidth: 16, tileHeight: 16 })
      .toBuffer();
    expect(wholeAfter(body)).toBeGreaterThanOrEqual(body.length - 1);
  });
});

const wishes: readonly TiffWish[] = [true, false].flatMap((isLittle) =>
  [true, false].flatMap((isBig) =>
    [1, 3].flatMap((strips) =>
      [DIRECTORY_FIRST, DIRECTORY_LAST, LIBTIFF].map((order) => ({
        isLittle,
        isBig,
        strips,
        order,
      })),
    ),
  ),
);

describe("files made by hand", () => {
  test.each(wishes)("isStructureWhole is true at the last byte that is used, and not before: %j", (wish) => {
    const body = makeTiff(wish);
    const unused = wish.strips === 1 && wish.order !== DIRECTORY_LAST ? 2 * (wish.isBig ? 8 : 4) : 0;
    expect(wholeAfter(body)).toBe(wish.order === LIBTIFF ? body.length - unused : body.length);
    expect(gated(body).image).toEqual({
      format: "tiff",
      width: 7,
      height: 9,
    });
  });

  test.each(wishes)("verdict() of one that is cut anywhere is suspect: %j", (wish) => {
    const body = makeTiff(wish);
    const whole = wholeAfter(body) ?? 0;
    for (let cut = 18; cut < whole; cut += 1)
      expect(gated(body.subarray(0, cut)).verdict(WHOLE_END)).toMatchObject(SUSPECT);
  });

  test("isStructureWhole is true with strips far before the directory, and values just before it", () => {
    const body = makeTiff({
      gap: 300_000,
      order: DIRECTORY_LAST,
      strips: 4_000,
    });
    expect(gatedIn(body, [4_096]).isStructureWhole).toBe(true);
  });

  test("verdict() is suspect if values lie out of reach before the directory", () => {
    const body = makeTiff({
      order: ["offsets", "lengths", "strips", "directory"],
      strips: 20_000,
    });
    expect(gated(body).verdict(WHOLE_END)).toMatchObject(SUSPECT);
  });

  test("isStructureWhole waits for sub-directories and for the values of unknown tags", () => {
    const plain = makeTiff();
    const second = makeTiff({ gap: plain.length - 8 + 12 }).subarray(plain.length + 12);
    const at = plain.length + 12 + 15; // behind the strips of the second file
    const withSub = Buffer.concat([makeTiff({ more: [[330, 4, 1, at]] }), second]);
    expect(wholeAfter(withSub)).toBe(withSub.length);
    const withValue = Buffer.concat([makeTiff({ more: [[65_000, 2, 40, plain.length + 12]] }), Buffer.alloc(40)]);
    expect(wholeAfter(withValue)).toBe(withValue.length);
  });
});

describe("hostile files", () => {
  const body = makeTiff();
  const at = directoryOf(body);
  const edited = (offset: number, value: number, source = body) => {
    const copy = Buffer.from(source);
    copy.writeUInt32LE(value, offset);
    return copy;
  };
  const entryAt = (index: number) => at + 2 + index * 12;
  const twice = Buffer.concat([body, Buffer.alloc(65_536)]);

  test.each([
    ["a directory at 4 GiB", edited(4, 0xffff_ffff)],
    ["a directory at 0", edited(4, 0)],
    ["a directory that names itself as the next", makeTiff({ next: at })],
    ["a directory that names itself as its own part", makeTiff({ more: [[330, 4, 1, at]] })],
    ["a directory that is 2^32 directories", makeTiff({ more: [[330, 4, 0xffff_ffff, 8]] })],
    ["an empty directory", Buffer.concat([Buffer.from("II*\0\x08\0\0\0\0\0\0\0\0\0", "latin1"), Buffer.alloc(90)])],
    ["65,535 entries", Buffer.concat([Buffer.from("II*\0\x08\0\0\0\xff\xff", "latin1"), Buffer.alloc(800_000)])],
    ["2^32 - 1 strips", edited(entryAt(2) + 4, 0xffff_ffff, twice)],
    ["2^32 - 1 lengths of 3 strips at 4 GiB", edited(entryAt(3) + 8, 0xffff_ffff, twice)],
    ["fewer lengths than strips", edited(entryAt(3) + 4, 2)],
    ["no strip", edited(entryAt(2) + 4, 0)],
    ["no lengths", edited(entryAt(3), 0x0004_0118)],
    ["a strip at 4 GiB", edited(at + 2 + 4 * 12 + 4, 0xffff_fff0)],
    ["a strip of 4 GiB", edited(at + 2 + 4 * 12 + 4 + 12, 0xffff_fff0)],
    ["a value of 2^32 numbers of 8 bytes", makeTiff({ more: [[65_000, 12, 0xffff_ffff, 8]] })],
    [
      "BigTIFF with 2^64 entries",
      Buffer.concat([Buffer.from("II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0", "latin1"), Buffer.alloc(800, 0xff)]),
    ],
    ["BigTIFF at 2^64", Buffer.concat([Buffer.from("MM\0+\0\x08\0\0", "latin1"), Buffer.alloc(800, 0xff)])],
  ])("verdict() is suspect, soon: %s", (_, file) => {
    const bodies = [file, Buffer.concat([file, Buffer.alloc(200_000)])];
    for (const one of bodies) expect(gatedIn(one, [1, 70_000]).verdict(WHOLE_END)).toMatchObject(SUSPECT);
  });

  test("a loop of directories that all name the same 30,000 strips ends within a bound of steps", () => {
    const count = 5_000;
    const file = Buffer.alloc(8 + count * 30 + 65_000);
    file.write("II*\0\x08\0\0\0", "latin1");
    for (let index = 0; index < count; index += 1) {
      const from = 8 + index * 30;
      file.writeUInt16LE(2, from);
      for (const [entry, tag] of [273, 279].entries()) {
        file.writeUInt16LE(tag, from + 2 + entry * 12);
        file.writeUInt16LE(3, from + 4 + entry * 12);
        file.writeUInt32LE(30_000, from + 6 + entry * 12);
        file.writeUInt32LE(8 + count * 30, from + 10 + entry * 12);
      }
      file.writeUInt32LE(index === count - 1 ? 8 : from + 30, from + 26);
    }
    expect(gated(file).verdict(WHOLE_END)).toMatchObject(SUSPECT);
  });

  test("isStructureWhole of a file with changed bytes never depends on the chunks", () => {
    const files = wishes.map(makeTiff);
    const changes = fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 2, 8, 0x7f, 0x80, 0xff)), { maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...files), changes, (file, edits) => {
        const copy = Buffer.from(file);
        for (const [offset, byte] of edits) copy[4 + (offset % (copy.length - 4))] = byte;
        const verdict = gated(copy).verdict(WHOLE_END);
        expect(gatedIn(copy, [1, 7, 100]).verdict(WHOLE_END)).toEqual(verdict);
      }),
      { numRuns: 1_000 },
    );
  });

  test("push() holds 64 KiB of a file that never ends, and reads chunks of one byte in linear time", () => {
    const gate = gated(edited(4, 0xffff_ffff));
    const chunk = Buffer.alloc(1 << 20, 0x41);
    const before = process.memoryUsage().arrayBuffers;
    for (let mebibyte = 0; mebibyte < 64; mebibyte += 1) gate.push(chunk);
    for (let byte = 0; byte < 1 << 20; byte += 1) gate.push(chunk.subarray(0, 1));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 19);
    expect(gate.isStructureWhole).toBe(false);
  });
});

describe("ico", () => {
  /** Each image: its bytes, and their offset behind the directory. */
  const icon = (images: readonly (readonly [bytes: number, offset: number])[], dataBytes: number) => {
    const entries = images.map(([bytes, offset]) => {
      const entry = Buffer.from([16, 16, 0, 0, 1, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
      entry.writeUInt32LE(bytes, 8);
      entry.writeUInt32LE(6 + images.length * 16 + offset, 12);
      return entry;
    });
    const head = Buffer.from([0, 0, 1, 0, images.length % 256, images.length >> 8]);
    return Buffer.concat([head, ...entries, Buffer.alloc(dataBytes, 7)]);
  };

  test("isStructureWhole is true at the end of the farthest image, in any order, also with overlaps", () => {
    for (const images of [
      [[40, 0]],
      [
        [20, 20],
        [20, 0],
      ],
      [
        [40, 0],
        [40, 0],
      ],
      [
        [30, 0],
        [35, 5],
      ],
    ] as const) {
      const body = icon(images, 40);
      expect(wholeAfter(body)).toBe(body.length);
      expect(gated(body, "behind").verdict(CLOSED).kind).toBe("whole");
      expect(gated(body.subarray(0, -1)).verdict(WHOLE_END)).toMatchObject(SUSPECT);
    }
  });

  test.each([
    [
      "an image behind the body",
      icon(
        [
          [40, 0],
          [1, 40],
        ],
        40,
      ),
    ],
    [
      "an image of 4 GiB",
      icon(
        [
          [40, 0],
          [0xffff_ffff, 0],
        ],
        40,
      ),
    ],
    [
      "an image of no bytes",
      icon(
        [
          [40, 0],
          [0, 0],
        ],
        40,
      ),
    ],
    [
      "an image inside the directory",
      icon(
        [
          [40, 0],
          [4, -8],
        ],
        40,
      ),
    ],
    ["65,535 images that are not there", icon(Array(65_535).fill([1, 0]), 0).subarray(0, 600)],
  ])("verdict() is suspect: %s", (_, body) => {
    expect(gatedIn(body, [1, 60]).verdict(WHOLE_END)).toMatchObject(SUSPECT);
  });
});

test("a JPEG behind the magic of TIFF is no whole TIFF", async () => {
  const body = Buffer.concat([Buffer.from("II*\0\x08\0\0\0", "latin1"), await noisyJpeg(60, 40)]);
  expect(gated(body).verdict(WHOLE_END)).toMatchObject(SUSPECT);
});
