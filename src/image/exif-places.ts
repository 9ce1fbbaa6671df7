// Where the EXIF blocks of a file are that libvips may read, in every format that has any. Of PNG the texts in which other
// programs put them are none: it does not look into those.
import type { Sniffed } from "../body/formats/sniff.ts";
import { avifExif } from "./avif-exif.ts";
import { webpChunks } from "./frames.ts";
import { exifSegments } from "./jpeg-head.ts";

export interface ExifPlace {
  /** Offset of the four letters that it is found by. */
  readonly nameAt: number;
  /** With or without its magic; undefined where it is said to be, but not in one piece of the file. */
  readonly block: Buffer | undefined;
}

/** `file`: whole. In its order; of formats without EXIF none. */
export function exifPlaces(file: Buffer, format: Sniffed): Iterable<ExifPlace> {
  return PLACES[format]?.(file) ?? [];
}

const PLACES: Readonly<Partial<Record<Sniffed, (file: Buffer) => Iterable<ExifPlace>>>> = {
  jpeg: jpegExif,
  png: pngExif,
  webp: webpExif,
  avif: avifExif,
};

function* jpegExif(jpeg: Buffer): Generator<ExifPlace> {
  for (const block of exifSegments(jpeg)) yield { nameAt: block.byteOffset - jpeg.byteOffset, block };
}

const SIGNATURE_BYTES = 8;
/** Length, name and checksum of a chunk. */
const CHUNK_BYTES = 12;
const EXIF_NAME = Buffer.from("eXIf", "latin1").readUInt32BE();

/** The chunks of a PNG. */
export function* pngExif(png: Buffer): Generator<ExifPlace & { readonly block: Buffer }> {
  for (let at = SIGNATURE_BYTES; at + CHUNK_BYTES <= png.length; ) {
    const end = at + CHUNK_BYTES + png.readUInt32BE(at);
    if (png.readUInt32BE(at + 4) === EXIF_NAME && end <= png.length)
      yield { nameAt: at + 4, block: png.subarray(at + 8, end - 4) };
    at = end;
  }
}

function* webpExif(webp: Buffer): Generator<ExifPlace> {
  for (const { type, from, to } of webpChunks(webp))
    if (type === "EXIF") yield { nameAt: from - 8, block: webp.subarray(from, to) };
}
