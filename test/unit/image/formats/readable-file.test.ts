import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { readExif } from "../../../../src/image/formats/exif.ts";
import { readableFile } from "../../../../src/image/formats/readable-file.ts";
import {
  type ExifFormat,
  exifBlock,
  filesWithExif,
  jpegWithExif,
  loopedExif,
  pixelsOf,
} from "../../../helpers/exif-files.ts";

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
    const { bytes } = readableFile(looped[format], format);
    expect(looped[format].equals(before)).toBe(true);
    const { exif, width } = await sharp(bytes, { failOn: "warning" }).metadata();
    expect([exif, width]).toEqual([undefined, 64]);
    expect((await pixelsOf(bytes)).equals(await pixelsOf(turned[format]))).toBe(true);
  });

  test("returns a file with other EXIF unchanged", async () => {
    const { bytes } = readableFile(turned[format], format);
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
    expect((await sharp(readableFile(jpegWithExif(plain, ...blocks), "jpeg").bytes).metadata()).exif).toBeUndefined();
});

describe("readableFile() removes EXIF of an AVIF that cannot be located", () => {
  /**
   * Offset of the second `iloc` item, the EXIF: id, file, offset, number of extents, then offset and length of each.
   */
  const itemAt = (avif: Buffer) => avif.indexOf("iloc", 0, "latin1") + 12 + ITEM_BYTES;
  const ITEM_BYTES = 18;
  const changes: Readonly<Record<string, (avif: Buffer) => void>> = {
    "in no piece": (avif) => avif.writeUInt16BE(0, itemAt(avif) + 8),
    "in several pieces": (avif) => avif.writeUInt16BE(2, itemAt(avif) + 8),
    "of no item": (avif) => avif.writeUInt16BE(9, itemAt(avif)),
    "said twice": (avif) => avif.writeUInt16BE(2, itemAt(avif) - ITEM_BYTES),
    "with sizes that there are not": (avif) => avif.writeUInt8(0x54, avif.indexOf("iloc", 0, "latin1") + 8),
    "without a place": (avif) => avif.write("free", avif.indexOf("iloc", 0, "latin1"), "latin1"),
  };
  test.each(Object.keys(changes))("%s", (name) => {
    const avif = Buffer.from(turned.avif);
    changes[name]?.(avif);
    const { bytes } = readableFile(avif, "avif");
    expect(bytes.subarray(0, bytes.indexOf("mdat")).includes("Exif")).toBe(false);
  });

  test("in letters of another case", () => {
    const avif = Buffer.from(looped.avif);
    const at = avif.indexOf("Exif", 0, "latin1");
    avif.write("eXIF", at, "latin1");
    expect(readableFile(avif, "avif").bytes.toString("latin1", at, at + 4)).toBe("noNe");
  });
});

test("readableFile() returns a file that is cut anywhere in its head", () => {
  for (const format of FORMATS)
    for (let end = 12; end < 400; end += 1) {
      const cut = looped[format].subarray(0, end);
      expect(readableFile(cut, format).bytes.length).toBe(end);
    }
});
