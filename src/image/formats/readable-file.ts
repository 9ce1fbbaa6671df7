// Prepares a file for libvips: a copy avoids known faults of its decoders and of libexif. Every image that is
// processed, verified or used as a watermark must pass through here. It decodes nothing.
import { crc32 } from "node:zlib";
import type { Sniffed } from "../../body/formats/sniff.ts";
import { areEndless, type ExifPlace, secondDirectoryLink } from "./exif.ts";
import { exifPlaces } from "./exif-blocks.ts";
import { type ReadableFile, readableGif } from "./readable-gif.ts";

/** `file`: a complete image, which is never changed. */
export function readableFile(file: Buffer, format: Sniffed): ReadableFile {
  if (format === "gif") return readableGif(file);
  return { bytes: withoutEndlessExif(file, format), firstPage: 0 };
}

/** A name that decoders of every format ignore. */
const UNKNOWN_NAME = "noNe";

/** The image without EXIF if reading it would cost more than the pixels, or an unknown amount; else the file itself. */
function withoutEndlessExif(file: Buffer, format: Sniffed): Buffer {
  if (!areEndless(exifBlocks(file, format))) return file;
  const copy = Buffer.from(file);
  for (const place of exifPlaces(file, format)) {
    copy.write(UNKNOWN_NAME, place.nameAt, "latin1");
    if (format === "png") updateChecksum(copy, place);
  }
  return copy;
}

/**
 * A copy of the file without the link to the second EXIF directory. It has the thumbnail that cameras make, which shows
 * the original, uncropped and without a watermark, and is often larger than the result. Returns the file itself if it
 * has no thumbnail.
 */
export function withoutThumbnail(file: Buffer, format: Sniffed): Buffer {
  let copy: Buffer | undefined;
  for (const place of exifPlaces(file, format)) {
    const link = place.block && secondDirectoryLink(place.block);
    if (link === undefined) continue;
    copy ??= Buffer.from(file);
    const at = link.byteOffset - file.byteOffset;
    copy.fill(0, at, at + link.length);
    if (format === "png") updateChecksum(copy, place);
  }
  return copy ?? file;
}

function* exifBlocks(file: Buffer, format: Sniffed): Generator<Buffer | undefined> {
  for (const { block } of exifPlaces(file, format)) yield block;
}

/** Updates the checksum of a PNG chunk, which covers its name and data and follows them. */
function updateChecksum(png: Buffer, { nameAt, block }: ExifPlace): void {
  const end = nameAt + 4 + (block?.length ?? 0);
  png.writeUInt32BE(crc32(png.subarray(nameAt, end)), end);
}
