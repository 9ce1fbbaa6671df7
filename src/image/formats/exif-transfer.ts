// EXIF on its way through images that are made in between: sharp takes none but what is in the image that it opens.
import sharp, { type Sharp } from "sharp";
import type { Pixels } from "../pixels/pixels.ts";
import { pngExif } from "./exif-blocks.ts";

const [SIGNATURE_BYTES, HEAD_CHUNK_BYTES] = [8, 25];

/** One frame as a PNG, not compressed, with the EXIF chunk of another PNG. */
export async function pngWithExif({ data, width, height, channels }: Pixels, exif: Buffer): Promise<Buffer> {
  const image = sharp(data, { limitInputPixels: false, raw: { width, height, channels } });
  const png = await image.png({ compressionLevel: 0 }).toBuffer();
  const start = SIGNATURE_BYTES + HEAD_CHUNK_BYTES;
  return Buffer.concat([png.subarray(0, start), exif, png.subarray(start)]);
}

/** The pixels of an image that is written as a PNG on the way, and its EXIF chunk; of the PNG nothing is kept. */
export async function splitExif(
  image: Sharp,
  read: (png: Buffer) => Promise<Pixels>,
): Promise<{ readonly pixels: Pixels; readonly exif: Buffer }> {
  const png = await image.toBuffer();
  return { pixels: await read(png), exif: Buffer.from(exifChunk(png)) };
}

/** Empty where there is none. */
function exifChunk(png: Buffer): Buffer {
  const [place] = pngExif(png);
  return place === undefined ? Buffer.alloc(0) : png.subarray(place.nameAt - 4, place.nameAt + 8 + place.block.length);
}
