// A file as it is given to libvips: what its decoders and libexif would stumble over is changed in a copy. What is processed,
// proven or laid over another image goes through here.
import { crc32 } from "node:zlib";
import type { Sniffed } from "../../body/formats/sniff.ts";
import { areEndless, type ExifPlace } from "./exif.ts";
import { exifPlaces } from "./exif-blocks.ts";
import { readableGif } from "./gif-screen.ts";

export interface ReadableFile {
  readonly bytes: Buffer;
  /** What libvips counts the first frame of the image as. */
  readonly firstPage: 0 | 1;
}

/** `file`: a whole image, which is never changed. */
export function readableFile(file: Buffer, format: Sniffed): ReadableFile {
  if (format === "gif") return readableGif(file);
  return { bytes: withoutEndlessExif(file, format), firstPage: 0 };
}

/** In any format the name of something that decoders pass over. */
const UNKNOWN_NAME = "noNe";

/** The same image, without any EXIF where that would cost more than the pixels, or where it cannot be told what it costs. */
function withoutEndlessExif(file: Buffer, format: Sniffed): Buffer {
  if (!areEndless(exifBlocks(file, format))) return file;
  const copy = Buffer.from(file);
  for (const place of exifPlaces(file, format)) {
    copy.write(UNKNOWN_NAME, place.nameAt, "latin1");
    if (format === "png") updateChecksum(copy, place);
  }
  return copy;
}

function* exifBlocks(file: Buffer, format: Sniffed): Generator<Buffer | undefined> {
  for (const { block } of exifPlaces(file, format)) yield block;
}

/** Of a PNG chunk: it covers its name and its data, and stands behind them. */
function updateChecksum(png: Buffer, { nameAt, block }: ExifPlace): void {
  const end = nameAt + 4 + (block?.length ?? 0);
  png.writeUInt32BE(crc32(png.subarray(nameAt, end)), end);
}
