import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { readJpegHead } from "../../../../../src/serve/image/formats/jpeg-head.ts";
import { segment } from "../../../../helpers/images.ts";

const DQT = 0xdb;
let photo: Buffer;
beforeAll(async () => {
  photo = await sharp({ create: { width: 60, height: 40, channels: 3, background: "#c83200" } })
    .withExif({ IFD0: { Artist: "Somebody" } })
    .jpeg({ quality: 70 })
    .toBuffer();
});

/** Inserts bytes after the start-of-image marker. */
const withBytes = (...bytes: readonly number[]) =>
  Buffer.concat([photo.subarray(0, 2), Buffer.from(bytes), photo.subarray(2)]);

/** The same values as tables of 16 bits. */
function withWideTables(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (
    let at = bytes.indexOf(Buffer.from([0xff, DQT]));
    at !== -1;
    at = bytes.indexOf(Buffer.from([0xff, DQT]), at + 2)
  ) {
    const length = bytes.readUInt16BE(at + 2);
    const table = bytes.subarray(at + 5, at + 2 + length);
    const wide = Buffer.alloc(5 + table.length * 2);
    wide.set([0xff, DQT, 0, 3 + table.length * 2, 0x10 | (bytes[at + 4] ?? 0)]);
    for (const [index, value] of table.entries()) wide.writeUInt16BE(value, 5 + index * 2);
    parts.push(bytes.subarray(from, at), wide);
    from = at + 2 + length;
  }
  return Buffer.concat([...parts, bytes.subarray(from)]);
}

describe("readJpegHead()", () => {
  test("returns the same wherever the head is in a large file", () => {
    const head = readJpegHead(photo);
    const scan = photo.indexOf("\xff\xda", 0, "latin1");
    // The scan has steps of 64 KiB.
    for (let at = 65_536 - scan - 8; at <= 65_536; at += 1) {
      const padding = Array.from({ length: 2 }, (_, index) =>
        segment(0xfe, Buffer.alloc(index === 0 ? 40_000 : at - 40_010)),
      );
      const bytes = Buffer.concat([photo.subarray(0, 2), ...padding, photo.subarray(2)]);
      expect(readJpegHead(bytes)).toEqual(head);
    }
  });

  test("returns colour and quality", async () => {
    expect(readJpegHead(photo)).toMatchObject({ isGrey: false, quality: 70 });
    const grey = await sharp(photo).toColourspace("b-w").jpeg({ quality: 40 }).toBuffer();
    expect(readJpegHead(grey)).toEqual({ isGrey: true, quality: 40, coefficientBytes: 0 });
  });

  test.each([
    ["4:2:0", { chromaSubsampling: "4:2:0" }, 3],
    ["4:4:4", { chromaSubsampling: "4:4:4" }, 6],
  ])("returns the bytes held of %s while its scans are read", async (_, options, expected) => {
    const [one, several] = await Promise.all(
      [false, true].map((progressive) =>
        sharp(photo)
          .jpeg({ ...options, progressive })
          .toBuffer(),
      ),
    );
    expect([one, several].map((bytes) => readJpegHead(bytes as Buffer)?.coefficientBytes)).toEqual([0, expected]);
    const cmyk = await sharp(photo).toColourspace("cmyk").jpeg({ progressive: true }).toBuffer();
    expect(readJpegHead(cmyk)?.coefficientBytes).toBe(8);
    const grey = await sharp(photo).toColourspace("b-w").jpeg({ progressive: true }).toBuffer();
    expect(readJpegHead(grey)?.coefficientBytes).toBe(2);
    // A baseline JPEG whose first scan has only some of its components.
    const scan = (one as Buffer).indexOf(Buffer.from([0xff, 0xda]));
    expect(readJpegHead(Buffer.from(one as Buffer).fill(1, scan + 4, scan + 5))?.coefficientBytes).toBe(expected);
  });

  test.each([
    ["fill bytes", [0xff, 0xff]],
    ["a marker without a length", [0xff, 0x01, 0xff, 0xd0]],
    ["bytes that are no marker", [0, 0, 0, 0xff, 0]],
  ])("skips %s, as decoders do", (_, bytes) => {
    expect(readJpegHead(withBytes(...bytes))).toEqual(readJpegHead(photo));
  });

  test.each([
    ["stuffed bytes", [0xff, 0x00], 40_000],
    ["restarts", [0xff, 0xd0], 40_000],
    ["markers without a length", [0xff, 0x01], 40_000],
    ["empty segments", [0xff, 0xfe, 0, 2], 10_000],
  ])("gives up after many %s, because the server reads it in one turn", (_, bytes, count) => {
    const few = Array.from({ length: 1_000 }, () => bytes).flat();
    expect(readJpegHead(withBytes(...few))).toEqual(readJpegHead(photo));
    const many = Buffer.concat(Array.from({ length: count }, () => Buffer.from(bytes)));
    expect(readJpegHead(Buffer.concat([photo.subarray(0, 2), many, photo.subarray(2)]))).toBeUndefined();
  });

  test("reads each quality as written, from tables of 8 and 16 bits", async () => {
    const qualities = Array.from({ length: 100 }, (_, index) => index + 1);
    const written = await Promise.all(qualities.map((quality) => sharp(photo).jpeg({ quality }).toBuffer()));
    expect(written.map((bytes) => readJpegHead(bytes)?.quality)).toEqual(qualities);
    // Values clipped at 255 tell nothing; for the others the nearest quality is found.
    const wide = qualities.filter((quality) => quality >= 25);
    expect(wide.map((quality) => readJpegHead(withWideTables(written[quality - 1] as Buffer))?.quality)).toEqual(wide);
  });

  test.each([
    ["nothing but the least value", () => 1, 100],
    ["one value beside the least", (index: number) => (index === 63 ? 2 : 1), 99],
    ["nothing but the largest value", () => 255, 1],
    ["the least value and the largest", (index: number) => (index === 63 ? 255 : 1), 99],
  ])("reads the quality of tables of %s", (_what, valueAt, quality) => {
    const table = Buffer.from(Array.from({ length: 64 }, (_, index) => valueAt(index)));
    const segment = Buffer.concat([Buffer.from([0xff, DQT, 0, 67, 0]), table]);
    const bytes = withBytes(...segment);
    expect(readJpegHead(bytes)?.quality).toBe(quality);
  });

  test.each([0, 2, 3, 5])("returns nothing for a file that ends after %i bytes", (length) => {
    expect(readJpegHead(photo.subarray(0, length))).toBeUndefined();
  });
});
