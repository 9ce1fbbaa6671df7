// Edge cases of each format: a file that decoders accept is whole, a file that they cannot decode is not.
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { gated, wholeAfter } from "../../../../helpers/gated.ts";
import { jpegWithRestarts, noisyAvif, noisyPng, noisyWebp, runLengthBmp, segment } from "../../../../helpers/images.ts";

const WHOLE_END = { framing: "length", isFramingWhole: true, isHashRight: true } as const;
const CLOSED = { framing: "close", isFramingWhole: false, isHashRight: true } as const;

describe("jpeg", () => {
  const jpeg = jpegWithRestarts(2, 2);
  const soi = jpeg.subarray(0, 2);
  const rest = jpeg.subarray(2);
  const withoutEnd = jpeg.subarray(0, -2);
  /** An image of 40×30 pixels, one sample each. */
  const otherFrame = segment(0xc0, Buffer.from([8, 0, 30, 0, 40, 1, 1, 0x11, 0]));

  test.each([
    ["fill bytes before a marker", Buffer.concat([soi, Buffer.from([0xff, 0xff, 0xff]), rest])],
    ["fill bytes before the end", Buffer.concat([withoutEnd, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xd9])])],
    [
      "a fill byte in the data before a stuffed one",
      Buffer.concat([withoutEnd, Buffer.from([0xff, 0xff, 0, 0xff, 0xd9])]),
    ],
    [
      "stray bytes between segments",
      Buffer.concat([soi, segment(0xfe, Buffer.alloc(1)), Buffer.from([0, 0x41, 0]), rest]),
    ],
    ["an end inside a comment", Buffer.concat([soi, segment(0xfe, Buffer.from([0xff, 0xd9, 0xff, 0xda])), rest])],
    ["an empty segment", Buffer.concat([soi, segment(0xfe, Buffer.alloc(0)), rest])],
    ["the longest possible segment", Buffer.concat([soi, segment(0xe2, Buffer.alloc(65_533, 0xff)), rest])],
    ["another frame after the scan", Buffer.concat([withoutEnd, otherFrame, jpeg.subarray(-2)])],
    [
      "a second scan",
      Buffer.concat([
        withoutEnd,
        segment(0xc4, Buffer.alloc(17)),
        jpeg.subarray(jpeg.indexOf("\xff\xda", 0, "latin1")),
      ]),
    ],
  ])("isStructureWhole is true at the last byte: %s", (_, body) => {
    expect(wholeAfter(body)).toBe(body.length);
    expect(gated(body).image).toEqual({ format: "jpeg", width: 16, height: 16 });
  });

  test.each([
    ["no end", withoutEnd],
    ["an end before any scan", Buffer.concat([soi, segment(0xfe, Buffer.from("a")), Buffer.from([0xff, 0xd9])])],
    ["a stuffed FF before D9", Buffer.concat([withoutEnd, Buffer.from([0xff, 0, 0xd9])])],
    ["a segment shorter than its length", Buffer.concat([soi, Buffer.from([0xff, 0xe0, 0, 1]), rest])],
    ["an end inside a truncated segment", Buffer.concat([soi, Buffer.from([0xff, 0xe1, 0xff, 0xff]), rest])],
  ])("verdict() is suspect: %s", (_, body) => {
    expect(gated(body).verdict(WHOLE_END)).toMatchObject({ kind: "suspect", reason: "structure" });
  });
});

describe("png", () => {
  const chunk = (type: string, data: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([length, Buffer.from(type, "latin1"), data, Buffer.alloc(4)]);
  };
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  const header = chunk("IHDR", Buffer.from([0, 0, 0, 9, 0, 0, 0, 7, 8, 2, 0, 0, 0]));
  const data = chunk("IDAT", Buffer.from("IEND IEND IEND"));
  const end = chunk("IEND", Buffer.alloc(0));

  test("isStructureWhole ignores IEND inside a chunk", () => {
    const body = Buffer.concat([signature, header, data, end]);
    expect(wholeAfter(body)).toBe(body.length);
    expect(gated(body).image).toEqual({ format: "png", width: 9, height: 7 });
  });

  test.each([
    ["no end", [signature, header, data]],
    ["no data", [signature, header, end]],
    ["no header", [signature, data, end]],
    ["a chunk longer than 2^31-1", [signature, header, Buffer.from("\x80\0\0\0tEXt", "latin1"), data, end]],
  ])("verdict() is suspect: %s", (_, parts) => {
    expect(gated(...parts).verdict(WHOLE_END)).toMatchObject({ kind: "suspect", reason: "structure" });
  });
});

describe("gif", () => {
  const screen = "GIF89a\x05\0\x04\0\0\0\0";
  const picture = "\x2c\0\0\0\0\x05\0\x04\0\0\x02\x02\x4c\x01\0";

  test.each([
    ["one picture", `${screen}${picture}\x3b`],
    ["the older version", `GIF87a\x05\0\x04\0\0\0\0${picture}\x3b`],
    [
      "tables of colours",
      `GIF89a\x05\0\x04\0\x80\0\0\x3b\x3b\x3b\x3b\x3b\x3b\x2c\0\0\0\0\x05\0\x04\0\x80\x3b\x3b\x3b\x3b\x3b\x3b\x02\x01\x3b\0\x3b`,
    ],
    ["a comment that contains a script", `${screen}\x21\xfe\x10*/=1;alert(1);//\0${picture}\x3b`],
    ["zeros between blocks", `${screen}\0\0${picture}\0\x3b`],
  ])("isStructureWhole is true at the trailer: %s", (_, text) => {
    const body = Buffer.from(text, "latin1");
    expect(wholeAfter(body)).toBe(body.length);
    expect(gated(body).image).toEqual({ format: "gif", width: 5, height: 4 });
  });

  test("head is image for a GIF that is also a script", () => {
    expect(gated("GIF89a/*\x04\0\0\0\0*/=1;alert(document.domain)").head).toBe("image");
  });

  test.each([
    ["no trailer", `${screen}${picture}`],
    ["no picture", `${screen}\x3b`],
    ["no picture, only a comment", `${screen}\x21\xfe\x01a\0\x3b`],
    ["a block of unknown type", `${screen}\x40${picture}\x3b`],
    ["a trailer inside a sub-block", `${screen}\x21\xfe\x09\x3b\x3b`],
  ])("verdict() is suspect: %s", (_, text) => {
    expect(gated(text).verdict(WHOLE_END)).toMatchObject({ kind: "suspect", reason: "structure" });
  });
});

describe("webp", () => {
  const riff = (size: number, ...chunks: string[]) => {
    const head = Buffer.from("RIFF\0\0\0\0WEBP", "latin1");
    head.writeUInt32LE(size, 4);
    return Buffer.concat([head, Buffer.from(chunks.join(""), "latin1")]);
  };
  /** Five bytes of payload, the fewest that contain a size: 3 × 2 pixels. */
  const lossless = "VP8L\x05\0\0\0\x2f\x02\x40\0\0";

  test("isStructureWhole is true at the pad byte of an odd last chunk, not before", () => {
    const body = riff(4 + 14, lossless, "\0");
    expect(wholeAfter(body)).toBe(body.length);
    expect(gated(body).verdict(CLOSED)).toMatchObject({ kind: "whole", image: { width: 3, height: 2 } });
    expect(gated(body.subarray(0, -1)).verdict(CLOSED)).toEqual({ kind: "broken", code: "origin_truncated" });
  });

  test("isStructureWhole waits for later chunks, past the pad of an odd one", () => {
    const body = riff(4 + 14 + 12, lossless, "\0EXIF\x04\0\0\0abcd");
    expect(wholeAfter(body)).toBe(body.length);
  });

  test.each([
    ["VP8L", "VP8L\x06\0\0\0\x2f\xff\xff\xff\x0f\0", 16_384, 16_384],
    ["VP8X", "VP8X\x0a\0\0\0\0\0\0\0\xff\xff\x01\x01\x02\0", 131_072, 514],
    ["VP8, scale bits set", "VP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\xff\x01\x42", 16_383, 513],
  ])("image has all bits of a large size: %s", (_, chunk, width, height) => {
    expect(gated(riff(4 + chunk.length, chunk)).image).toEqual({ format: "webp", width, height });
  });

  test.each([
    ["no chunk", riff(4)],
    ["a chunk beyond the end, though its bytes arrive", riff(4 + 14, "VP8L\x20\0\0\0\x2f\x02\x40\0\0", "x".repeat(40))],
    ["a RIFF size of 0", riff(0, lossless)],
    ["no pad byte, though the RIFF size includes it", riff(4 + 14, lossless)],
    ["no pad byte, and a RIFF size without it", riff(4 + 13, lossless)],
    ["a pad byte outside the RIFF size", riff(4 + 13, lossless, "\0")],
    ["no pad byte of an odd chunk of metadata", riff(4 + 14 + 9, lossless, "\0EXIF\x01\0\0\0a")],
    ["bytes inside the RIFF size that are not a chunk", riff(4 + 14 + 7, lossless, "\0", "\0".repeat(7))],
    ["a chunk beyond the end", riff(4 + 14, "VP8L\xff\xff\0\0\x2f\x02\x40\0\0\0")],
    ["a first chunk of unknown type", riff(4 + 14, "ALPH\x05\0\0\0\x2f\x02\x40\0\0\0")],
    ["an extended header and no picture", riff(4 + 18, `VP8X\x0a${"\0".repeat(13)}`)],
    ["an extended header and metadata only", riff(4 + 30, `VP8X\x0a${"\0".repeat(13)}`, "EXIF\x04\0\0\0abcd")],
    ["a first chunk too short for a size", riff(4 + 10, "VP8X\x02\0\0\0\0\0")],
  ])("verdict() is suspect: %s", (_, body) => {
    expect(gated(body).verdict(WHOLE_END)).toMatchObject({ kind: "suspect", reason: "structure" });
  });

  test.each(["VP8L", "VP8 ", "ANMF"])("isStructureWhole is true after an extended header and %s", (type) => {
    const body = riff(4 + 30, `VP8X\x0a${"\0".repeat(13)}`, `${type}\x04\0\0\0abcd`);
    expect(wholeAfter(body)).toBe(body.length);
  });

  test.each(["lossy", "lossless", "alpha", "animated"] as const)(
    "isStructureWhole is true for what libvips decodes, and for nothing that it refuses: %s",
    async (kind) => {
      const body = await noisyWebp(20, 10, kind);
      const resized = (bytes: Buffer) => {
        const copy = Buffer.from(bytes);
        copy.writeUInt32LE(copy.length - 8, 4);
        return copy;
      };
      const odd = resized(Buffer.concat([body, Buffer.from("EXIF\x05\0\0\0abcde\0", "latin1")]));
      const files = [body, odd, body.subarray(0, -1), odd.subarray(0, -1), resized(odd.subarray(0, -1))];
      for (const file of [...files, resized(Buffer.concat([body, Buffer.alloc(2)]))]) {
        const isDecoded = await sharp(file, { animated: true })
          .raw()
          .toBuffer()
          .then(
            () => true,
            () => false,
          );
        expect(gated(file).isStructureWhole).toBe(isDecoded);
      }
    },
  );
});

describe("avif and heic", () => {
  const box = (type: string, ...content: (Buffer | string)[]) => {
    const parts = content.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part));
    const head = Buffer.from(`\0\0\0\0${type}`, "latin1");
    const body = Buffer.concat([head, ...parts]);
    body.writeUInt32BE(body.length, 0);
    return body;
  };
  const extents = (width: number, height: number) => {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt32BE(width, 4);
    bytes.writeUInt32BE(height, 8);
    return box("ispe", bytes);
  };
  const ftyp = (major: string, ...compatible: string[]) => box("ftyp", major, "\0\0\0\0", ...compatible);
  const meta = (...inner: Buffer[]) =>
    box("meta", "\0\0\0\0", box("iprp", box("ipco", extents(64, 48), extents(640, 480), extents(160, 120))), ...inner);
  const mdat = box("mdat", "0123456789");

  test.each([
    ["description before data", [ftyp("avif"), meta(), mdat]],
    ["data before description", [ftyp("avif"), mdat, meta()]],
    ["data inside the description", [ftyp("avif"), meta(box("idat", "0123"))]],
    [
      "a data box with a length of 64 bits",
      [ftyp("avif"), meta(), Buffer.from("\0\0\0\x01mdat\0\0\0\0\0\0\0\x12ab", "latin1")],
    ],
    ["a structural brand that names avif", [ftyp("mif1", "miaf", "avif"), meta(), mdat]],
    ["an image sequence", [ftyp("avis", "avif"), meta(), box("moov", "0123"), mdat]],
  ])("isStructureWhole is true at the last byte, with the size of the largest image: %s", (_, boxes) => {
    const body = Buffer.concat(boxes);
    expect(wholeAfter(body)).toBe(body.length);
    expect(gated(body).image).toEqual({ format: "avif", width: 640, height: 480 });
  });

  test.each([
    ["of an item", box("iinf", box("infe", "\x02\0\0\0\0\x01\0\0av01candidate\0"))],
    ["of a profile", box("iprp", box("ipco", box("colr", "prof", "unvalidated")))],
    ["behind a box that ends before its head does", Buffer.from("\0\0\0\x04free\0\0\0\x0cidat0123", "latin1")],
  ])("a text is no data, so a file cut behind its description is not whole: the name %s", (_, inner) => {
    expect(gated(ftyp("avif"), meta(inner)).isStructureWhole).toBe(false);
    expect(gated(ftyp("avif"), meta(inner), mdat).isStructureWhole).toBe(true);
  });

  test("isStructureWhole is false inside a further box and true at its end", () => {
    const gate = gated(ftyp("avif"), meta(), mdat);
    expect(gate.isStructureWhole).toBe(true);
    gate.push(box("free", "0123").subarray(0, 10));
    expect(gate.isStructureWhole).toBe(false);
    gate.push(Buffer.from("23"));
    expect(gate.isStructureWhole).toBe(true);
  });

  test("verdict() accepts data that extends to the end as proven by the framing alone", () => {
    const toTheEnd = Buffer.from(mdat);
    toTheEnd.writeUInt32BE(0, 0);
    const gate = gated(ftyp("avif"), meta(), toTheEnd);
    expect(gate.isStructureWhole).toBe(false);
    expect(gate.verdict(WHOLE_END).kind).toBe("whole");
    expect(gate.verdict(CLOSED)).toEqual({ kind: "broken", code: "origin_truncated" });
  });

  test.each([
    ["no data", [ftyp("avif"), meta()]],
    ["no description", [ftyp("avif"), mdat]],
    ["a sequence without its index", [ftyp("avis"), meta(), mdat]],
    ["bytes before the data that are not a box", [ftyp("avif"), meta(), "\0\0\0\0\0\0\0\0", mdat]],
    ["a box smaller than its own head", [ftyp("avif"), meta(), "\0\0\0\x07mdat"]],
  ])("verdict() is suspect: %s", (_, parts) => {
    expect(gated(...parts).verdict(WHOLE_END)).toMatchObject({ kind: "suspect", reason: "structure" });
  });

  test.each(["heic", "heix", "hevc", "mif1", "msf1"])(
    "verdict() of heic with the brand %s rests on its boxes",
    (brand) => {
      const boxes = Buffer.concat([ftyp(brand, "heic"), meta(), mdat]);
      const image = { format: "heic", width: 640, height: 480 };
      expect(wholeAfter(boxes)).toBe(boxes.length);
      expect(gated(boxes).verdict(CLOSED)).toEqual({ kind: "whole", image });
      expect(gated(boxes.subarray(0, -1)).verdict(WHOLE_END)).toEqual({ kind: "suspect", image, reason: "structure" });
    },
  );

  test("verdict() of a heic sequence needs no description but its index", () => {
    expect(gated(ftyp("hevc"), box("moov", "0123"), mdat).verdict(CLOSED).kind).toBe("whole");
    expect(gated(ftyp("hevc"), mdat).verdict(WHOLE_END)).toMatchObject({ kind: "suspect" });
  });

  test("head is more until all brands have arrived", () => {
    const head = ftyp("mif1", "miaf", "avif");
    expect(gated(head.subarray(0, -1)).head).toBe("more");
    expect(gated(head).image?.format).toBe("avif");
  });

  test("the size of a real file is that of its own ispe", async () => {
    expect(gated(await noisyAvif(33, 17)).image).toMatchObject({ width: 33, height: 17 });
  });
});

describe("bmp", () => {
  test("isStructureWhole uses the file's size if run-length data has none of its own", () => {
    const body = runLengthBmp(30, 20);
    body.writeUInt32LE(0, 34);
    expect(wholeAfter(body)).toBe(body.length);
  });

  test("verdict() relies on the framing if no field contains the length of the data", () => {
    const body = runLengthBmp(30, 20);
    body.writeUInt32LE(0, 34);
    body.writeUInt32LE(0, 2);
    expect(gated(body).verdict(WHOLE_END)).toEqual({ kind: "whole", image: { format: "bmp", width: 30, height: 20 } });
    expect(gated(body).verdict(CLOSED)).toEqual({ kind: "broken", code: "origin_truncated" });
  });

  test("isStructureWhole is true for the oldest header, 3 × 2 pixels of 24 bits", () => {
    const body = Buffer.from(
      `BM\0\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\x03\0\x02\0\x01\0\x18\0${"x".repeat(24)}`,
      "latin1",
    );
    expect(wholeAfter(body)).toBe(body.length);
    expect(gated(body).image).toEqual({ format: "bmp", width: 3, height: 2 });
  });

  test("verdict() is suspect if pixels begin inside the header", () => {
    const body = runLengthBmp(30, 20);
    body.writeUInt32LE(20, 10);
    expect(gated(body).verdict(WHOLE_END)).toMatchObject({ kind: "suspect", reason: "structure" });
  });
});

describe("tiff and ico", () => {
  test.each([
    ["little-endian", "II*\0\x08\0\0\0"],
    ["big-endian", "MM\0*\0\0\0\x08"],
    ["BigTIFF, little-endian", "II+\0\x08\0\0\0"],
    ["BigTIFF, big-endian", "MM\0+\0\x08\0\0"],
  ])("image is tiff: %s", (_, text) => {
    expect(gated(text).image).toEqual({ format: "tiff", width: undefined, height: undefined });
  });

  test("image has the size of the largest image of an icon", () => {
    const entry = (side: number) => `${String.fromCharCode(side, side)}\0\0\x01\0\x20\0\x10\0\0\0\x46\0\0\0`;
    const icon = `\0\0\x01\0\x03\0${entry(16)}${entry(0)}${entry(32)}`;
    expect(gated(icon).image).toEqual({ format: "ico", width: 256, height: 256 });
  });
});

test("image of a PNG is set from its header alone", async () => {
  const gate = gated((await noisyPng(20, 10)).subarray(0, 29));
  expect(gate.image).toEqual({ format: "png", width: 20, height: 10 });
});
