// EXIF on its way through images that are made in between: sharp takes none but what is in the image that it opens.
import sharp from "sharp";
import type { Pixels } from "./pixels.ts";

const [SIGNATURE_BYTES, HEAD_CHUNK_BYTES] = [8, 25];
/** Length, name and checksum of a chunk. */
const CHUNK_BYTES = 12;

/** One frame as a PNG, not compressed, with the EXIF of another PNG. */
export async function pngWithExifOf(tagged: Buffer, { data, width, height, channels }: Pixels): Promise<Buffer> {
  const image = sharp(data, { limitInputPixels: false, raw: { width, height, channels } });
  const png = await image.png({ compressionLevel: 0 }).toBuffer();
  const start = SIGNATURE_BYTES + HEAD_CHUNK_BYTES;
  return Buffer.concat([png.subarray(0, start), exifChunk(tagged), png.subarray(start)]);
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
