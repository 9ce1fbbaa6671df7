import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { readExif } from "../../../../../src/serve/image/formats/exif.ts";
import { readableFile } from "../../../../../src/serve/image/formats/readable-file.ts";
import {
  type ExifFormat,
  exifBlock,
  filesWithExif,
  jpegWithExif,
  loopedExif,
  pixelsOf,
} from "../../../../helpers/exif-files.ts";

const FORMATS: readonly ExifFormat[] = ["jpeg", "png", "webp", "avif"];
const TURNED = exifBlock([[0x0112, 3, 1, 6]]);

let looped: Readonly<Record<ExifFormat, Buffer>>;
let turned: Readonly<Record<ExifFormat, Buffer>>;
beforeAll(async () => {
  looped = await filesWithExif(loopedExif());
  turned = await filesWithExif(TURNED);
});

describe.each(FORMATS)("readableFile() of %s", (format) => {
  test("removes endless EXIF from a copy, and nothing else", async () => {
    const before = Buffer.from(looped[format]);
    const bytes = readableFile(looped[format], format);
    expect(looped[format].equals(before)).toBe(true);
    const { exif, width } = await sharp(bytes, { failOn: "warning" }).metadata();
    expect([exif, width]).toEqual([undefined, 64]);
    expect((await pixelsOf(bytes)).equals(await pixelsOf(turned[format]))).toBe(true);
  });

  test.skipIf(format === "avif")("returns a file with other EXIF unchanged", async () => {
    const bytes = readableFile(turned[format], format);
    expect(bytes).toBe(turned[format]);
    // The decoder reads the block that the helper makes.
    expect(readExif((await sharp(bytes).metadata()).exif!)).toMatchObject({ Orientation: { val: "6" } });
  });
});

test("readableFile() removes all EXIF of a JPEG if one of its blocks is endless, wherever that is", async () => {
  const plain = await sharp({ create: { width: 16, height: 16, channels: 3, background: "#808080" } })
    .jpeg()
    .toBuffer();
  for (const blocks of [
    [TURNED, loopedExif()],
    [loopedExif(), TURNED],
  ])
    expect((await sharp(readableFile(jpegWithExif(plain, ...blocks), "jpeg")).metadata()).exif).toBeUndefined();
});

test.each(["Exif", "eXIF"])("readableFile() removes any EXIF of an AVIF, announced as %s", (name) => {
  const avif = Buffer.from(turned.avif);
  const at = avif.indexOf("Exif", 0, "latin1");
  avif.write(name, at, "latin1");
  expect(readableFile(avif, "avif").toString("latin1", at, at + 4)).toBe("noNe");
});

test("readableFile() returns a file that is cut anywhere in its head", () => {
  for (const format of FORMATS)
    for (let end = 12; end < 400; end += 1) {
      const cut = looped[format].subarray(0, end);
      expect(readableFile(cut, format).length).toBe(end);
    }
});
