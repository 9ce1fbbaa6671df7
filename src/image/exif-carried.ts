// EXIF on its way through images that are made in between: sharp takes none but what is in the image that it opens.
import sharp, { type Sharp } from "sharp";
import type { Pixels } from "./pixels.ts";

const [SIGNATURE_BYTES, HEAD_CHUNK_BYTES] = [8, 25];
/** Length, name and checksum of a chunk. */
const CHUNK_BYTES = 12;

/** One frame as a PNG, not compressed, with the EXIF chunk of another PNG. */
export async function pngWithExif({ data, width, height, channels }: Pixels, exif: Buffer): Promise<Buffer> {
  const image = sharp(data, { limitInputPixels: false, raw: { width, height, channels } });
  const png = await image.png({ compressionLevel: 0 }).toBuffer();
  const start = SIGNATURE_BYTES + HEAD_CHUNK_BYTES;
  return Buffer.concat([png.subarray(0, start), exif, png.subarray(start)]);
}

/** The pixels of an image that is written as a PNG on the way, and its EXIF chunk; of the PNG nothing is kept. */
export async function withExifApart(
  image: Sharp,
  read: (png: Buffer) => Promise<Pixels>,
): Promise<{ readonly pixels: Pixels; readonly exif: Buffer }> {
  const png = await image.toBuffer();
  return { pixels: await read(png), exif: Buffer.from(exifChunk(png)) };
}

/** Empty where there is none. */
function exifChunk(png: Buffer): Buffer {
  for (let at = SIGNATURE_BYTES; at + CHUNK_BYTES <= png.length; ) {
    const end = at + CHUNK_BYTES + png.readUInt32BE(at);
    if (png.toString("latin1", at + 4, at + 8) === "eXIf") return png.subarray(at, end);
    at = end;
  }
  return Buffer.alloc(0);
}
