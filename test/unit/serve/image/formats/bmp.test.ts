import { expect, test } from "vitest";
import { readBmp, writeBmp } from "../../../../../src/serve/image/formats/bmp.ts";

interface Parts {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly compression?: number;
  /** Bytes of the image header, after the file header. */
  readonly headBytes?: number;
  /** Bytes after the header: masks, palette. */
  readonly between?: Buffer;
  readonly pixels: Buffer;
}

function bmp({
  width,
  height,
  bits,
  compression = 0,
  headBytes = 40,
  between = Buffer.alloc(0),
  pixels,
}: Parts): Buffer {
  const head = Buffer.alloc(54);
  head.write("BM", 0, "latin1");
  head.writeUInt32LE(54 + between.length + pixels.length, 2);
  head.writeUInt32LE(54 + between.length, 10);
  head.writeUInt32LE(headBytes, 14);
  head.writeInt32LE(width, 18);
  head.writeInt32LE(height, 22);
  head.writeUInt16LE(1, 26);
  head.writeUInt16LE(bits, 28);
  head.writeUInt32LE(compression, 30);
  return Buffer.concat([head, between, pixels]);
}

/** A palette of blue, green, red, unused a colour: black, red, green, blue, then black. */
function palette(size: number): Buffer {
  const entries = Buffer.alloc(size * 4);
  entries.set([0, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0].slice(0, size * 4));
  return entries;
}

const masks = (...values: number[]) => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
};

const K = [0, 0, 0];
const R = [255, 0, 0];
const G = [0, 255, 0];
const B = [0, 0, 255];

test.each([
  // The lower row comes first.
  [
    "1 bit",
    bmp({ width: 2, height: 2, bits: 1, between: palette(2), pixels: Buffer.from([0x40, 0, 0, 0, 0x80, 0, 0, 0]) }),
    [R, K, K, R],
  ],
  [
    "4 bits",
    bmp({ width: 2, height: 2, bits: 4, between: palette(16), pixels: Buffer.from([0x12, 0, 0, 0, 0x30, 0, 0, 0]) }),
    [B, K, R, G],
  ],
  ["8 bits", bmp({ width: 2, height: 1, bits: 8, between: palette(256), pixels: Buffer.from([3, 1, 0, 0]) }), [B, R]],
  [
    "24 bits, top down",
    bmp({ width: 1, height: -2, bits: 24, pixels: Buffer.from([0, 0, 255, 0, 255, 0, 0, 0]) }),
    [R, B],
  ],
  ["32 bits", bmp({ width: 1, height: 1, bits: 32, pixels: Buffer.from([255, 0, 0, 7]) }), [B]],
])("readBmp() reads %s", (_what, bytes, expected) => {
  expect([...readBmp(bytes).data]).toEqual(expected.flat());
});

test("readBmp() reads an alpha mask", () => {
  const bytes = bmp({
    width: 1,
    height: 1,
    bits: 32,
    compression: 6,
    between: masks(0xff0000, 0xff00, 0xff, 0xff000000),
    pixels: Buffer.from([3, 2, 1, 128]),
  });
  expect([...readBmp(bytes).data]).toEqual([1, 2, 3, 128]);
});

const ARGB = [0xff0000, 0xff00, 0xff, 0xff000000];
const [V4, V5] = [108, 124];
const withAlpha = (headBytes: number, pixels: readonly number[]) => {
  const between = Buffer.concat([masks(...ARGB), Buffer.alloc(headBytes - 56)]);
  return bmp({ width: 1, height: 2, bits: 32, compression: 3, headBytes, between, pixels: Buffer.from(pixels) });
};

test.each([
  ["V4", withAlpha(V4, [3, 2, 1, 0, 6, 5, 4, 0]), [4, 5, 6, 1, 2, 3]],
  ["V5", withAlpha(V5, [3, 2, 1, 0, 6, 5, 4, 0]), [4, 5, 6, 1, 2, 3]],
])("readBmp() treats an image as opaque if all alpha is 0: %s", (_what, bytes, expected) => {
  const { channels, data } = readBmp(bytes);
  expect([channels, ...data]).toEqual([3, ...expected]);
});

test.each([
  ["in the first row", withAlpha(V4, [3, 2, 1, 9, 6, 5, 4, 0]), [4, 5, 6, 0, 1, 2, 3, 9]],
  ["in the last row", withAlpha(V5, [3, 2, 1, 0, 6, 5, 4, 1]), [4, 5, 6, 1, 1, 2, 3, 0]],
])("readBmp() keeps alpha that is used anywhere: %s", (_what, bytes, expected) => {
  const { channels, data } = readBmp(bytes);
  expect([channels, ...data]).toEqual([4, ...expected]);
});

test.each([
  ["a head that is cut short", Buffer.from("BM")],
  ["pixels that are cut short", bmp({ width: 9, height: 9, bits: 24, pixels: Buffer.alloc(9) })],
  ["RLE8", bmp({ width: 2, height: 1, bits: 8, compression: 1, between: palette(256), pixels: Buffer.alloc(9) })],
  ["RLE4", bmp({ width: 2, height: 1, bits: 4, compression: 2, between: palette(16), pixels: Buffer.alloc(9) })],
  ["an embedded JPEG", bmp({ width: 9, height: 9, bits: 24, compression: 4, pixels: Buffer.alloc(300) })],
  ["16 bits", bmp({ width: 2, height: 1, bits: 16, pixels: Buffer.from([0x00, 0x7c, 0xe0, 0x03]) })],
  [
    "masks in another order",
    bmp({
      width: 1,
      height: 1,
      bits: 32,
      compression: 3,
      between: masks(0xff, 0xff00, 0xff0000),
      pixels: Buffer.alloc(9),
    }),
  ],
  ["a header of OS/2", bmp({ width: 1, height: 1, bits: 24, headBytes: 12, pixels: Buffer.alloc(9) })],
  ["7 bits", bmp({ width: 1, height: 1, bits: 7, pixels: Buffer.alloc(9) })],
  ["a negative width", bmp({ width: -1, height: 1, bits: 24, pixels: Buffer.alloc(9) })],
])("readBmp() refuses %s", (_what, bytes) => {
  expect(() => readBmp(bytes)).toThrow(expect.objectContaining({ code: "image_not_processable" }));
});

test("writeBmp() writes a BMP that readBmp() reads", () => {
  const pixels = {
    data: Buffer.from([...R, ...G, ...B, ...K, 1, 2, 3, 4, 5, 6]),
    width: 3,
    height: 2,
    channels: 3,
    frames: 1,
  } as const;
  expect(readBmp(writeBmp(pixels))).toEqual(pixels);
});
