// Builds EXIF blocks whose directories refer to each other, and files of each format with a given block. For tests
// only.
import sharp from "sharp";
import { segment } from "./images.ts";
import { pngChunk } from "./png.ts";
import { quadrants } from "./rendering.ts";

/** Tag, type, count and value (or offset). */
export type ExifEntry = readonly [tag: number, type: number, count: number, value: number];

/** A little-endian block with one directory at offset 8. `next`: offset of the second directory. */
export function exifBlock(entries: readonly ExifEntry[], next = 0): Buffer {
  const block = Buffer.alloc(8 + 2 + entries.length * 12 + 4);
  block.write("II*\0\x08", "latin1");
  block.writeUInt16LE(entries.length, 8);
  for (const [index, [tag, type, count, value]] of entries.entries()) {
    const at = 10 + index * 12;
    block.writeUInt16LE(tag, at);
    block.writeUInt16LE(type, at + 2);
    block.writeUInt32LE(count, at + 4);
    block.writeUInt32LE(value, at + 8);
  }
  block.writeUInt32LE(next, block.length - 4);
  return block;
}

/**
 * One directory that is its own EXIF, GPS, interoperability and thumbnail directory. With 100 entries libexif takes
 * seconds to read it.
 */
export function loopedExif(entries = 100): Buffer {
  const tags = [0x8769, 0x8825, 0xa005, 0x010f];
  return exifBlock(
    Array.from({ length: entries }, (_, index) => [tags[index % 4]!, 4, 1, 8]),
    8,
  );
}

/** A multicoloured picture with this block, in each format that supports EXIF. */
export async function filesWithExif(
  block: Buffer,
  width = 64,
  height = 48,
): Promise<Readonly<Record<ExifFormat, Buffer>>> {
  const picture = () => quadrants(width, height);
  const [jpeg, png, webp] = await Promise.all([
    picture().jpeg({ quality: 90 }).toBuffer(),
    picture().png().toBuffer(),
    picture().webp({ lossless: true }).toBuffer(),
  ]);
  return {
    jpeg: jpegWithExif(jpeg, block),
    png: Buffer.concat([png.subarray(0, 33), pngChunk("eXIf", block), png.subarray(33)]),
    webp: webpWithExif(webp, width, height, block),
    avif: await avifWithExif(width, height, block),
  };
}

export type ExifFormat = "jpeg" | "png" | "webp" | "avif";

/** Adds each of `blocks` in a segment of its own. */
export function jpegWithExif(jpeg: Buffer, ...blocks: readonly Buffer[]): Buffer {
  const segments = blocks.map((block) => segment(0xe1, Buffer.concat([Buffer.from("Exif\0\0"), block])));
  return Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);
}

function webpWithExif(webp: Buffer, width: number, height: number, block: Buffer): Buffer {
  const head = Buffer.alloc(10);
  head[0] = 0x08; // VP8X flag: has EXIF
  head.writeUIntLE(width - 1, 4, 3);
  head.writeUIntLE(height - 1, 7, 3);
  const chunks = Buffer.concat([webpChunk("VP8X", head), webp.subarray(12), webpChunk("EXIF", block)]);
  const riff = Buffer.from("RIFF\0\0\0\0WEBP", "latin1");
  riff.writeUInt32LE(4 + chunks.length, 4);
  return Buffer.concat([riff, chunks]);
}

function webpChunk(type: string, data: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.write(type, "latin1");
  head.writeUInt32LE(data.length, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length % 2)]);
}

/** Overwrites the beginning of a longer block that the encoder wrote. */
async function avifWithExif(width: number, height: number, block: Buffer): Promise<Buffer> {
  const room = { IFD0: { ImageDescription: "x".repeat(block.length) } };
  const avif = await quadrants(width, height).withExif(room).avif({ effort: 0 }).toBuffer();
  block.copy(avif, avif.indexOf("II*\0", 0, "latin1"));
  return avif;
}

/** Returns the raw pixels of any file, as libvips decodes it. */
export function pixelsOf(file: Buffer): Promise<Buffer> {
  return sharp(file).raw().toBuffer();
}
