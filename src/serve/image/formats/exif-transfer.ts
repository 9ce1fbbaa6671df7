// Carries EXIF from one intermediate image to the next. sharp keeps only EXIF of the image that it opens, so the EXIF
// travels as a chunk of an uncompressed PNG. It does not change EXIF.
import sharp, { type Sharp } from "sharp";
import type { Pixels } from "../pixels/pixels.ts";
import { exifPlaces } from "./readable-file.ts";

const [SIGNATURE_BYTES, HEAD_CHUNK_BYTES] = [8, 25];

/** One frame as an uncompressed PNG with this EXIF chunk. */
export async function pngWithExif({ data, width, height, channels }: Pixels, exif: Buffer): Promise<Buffer> {
  const image = sharp(data, { limitInputPixels: false, raw: { width, height, channels } });
  const png = await image.png({ compressionLevel: 0 }).toBuffer();
  const start = SIGNATURE_BYTES + HEAD_CHUNK_BYTES;
  return Buffer.concat([png.subarray(0, start), exif, png.subarray(start)]);
}

/** Pixels and EXIF chunk of an image, which must write a PNG. The chunk is copied, so that the PNG can be freed. */
export async function splitExif(
  image: Sharp,
  read: (png: Buffer) => Promise<Pixels>,
): Promise<{ readonly pixels: Pixels; readonly exif: Buffer }> {
  const png = await image.toBuffer();
  return { pixels: await read(png), exif: Buffer.from(exifChunk(png)) };
}

/** The whole EXIF chunk; empty if there is none. */
function exifChunk(png: Buffer): Buffer {
  const [place] = exifPlaces(png, "png");
  return place === undefined ? Buffer.alloc(0) : png.subarray(place.nameAt - 4, place.nameAt + 8 + place.block.length);
}
