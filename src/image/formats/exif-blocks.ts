// Finds the EXIF that libvips may read, in every format that has it. It ignores the PNG text chunks in which some
// programs store EXIF, because libvips ignores them, too.
import type { Sniffed } from "../../body/formats/sniff.ts";
import type { ExifPlace } from "./exif.ts";
import { jpegSegments, segmentAt } from "./jpeg-head.ts";

/** `file`: a complete file. Places in file order; empty for formats without EXIF. */
export function exifPlaces(file: Buffer, format: Sniffed): Iterable<ExifPlace> {
  return PLACES[format]?.(file) ?? [];
}

const PLACES: Readonly<Partial<Record<Sniffed, (file: Buffer) => Iterable<ExifPlace>>>> = {
  jpeg: jpegExif,
  png: pngExif,
  webp: webpExif,
  avif: avifExif,
};

const APP1 = 0xe1;
const MAGIC = "Exif\0\0";

/** EXIF in all segments before the first scan. */
function* jpegExif(jpeg: Buffer): Generator<ExifPlace> {
  for (const at of jpegSegments(jpeg)) {
    if (jpeg[at + 1] !== APP1) continue;
    const block = segmentAt(jpeg, at);
    if (block.toString("latin1", 0, MAGIC.length) === MAGIC) yield { nameAt: at + 4, block };
  }
}

const SIGNATURE_BYTES = 8;
/** Length, name and checksum of a chunk. */
const CHUNK_BYTES = 12;
const EXIF_NAME = Buffer.from("eXIf", "latin1").readUInt32BE();

/** EXIF chunks of a PNG. */
export function* pngExif(png: Buffer): Generator<ExifPlace & { readonly block: Buffer }> {
  for (let at = SIGNATURE_BYTES; at + CHUNK_BYTES <= png.length; ) {
    const end = at + CHUNK_BYTES + png.readUInt32BE(at);
    if (png.readUInt32BE(at + 4) === EXIF_NAME && end <= png.length)
      yield { nameAt: at + 4, block: png.subarray(at + 8, end - 4) };
    at = end;
  }
}

function* webpExif(webp: Buffer): Generator<ExifPlace> {
  const end = Math.min(webp.length, webp.readUInt32LE(4) + 8);
  for (let at = 12; at + 8 <= end; ) {
    const length = webp.readUInt32LE(at + 4);
    if (webp.toString("latin1", at, at + 4) === "EXIF")
      yield { nameAt: at, block: webp.subarray(at + 8, Math.min(end, at + 8 + length)) };
    at += 8 + length + (length & 1);
  }
}

/**
 * EXIF items of an AVIF (ISO/IEC 14496-12 §8.11.6), wherever their boxes are. An `infe` box has version, flags, id,
 * protection index and type; libvips compares the type without case. Their bytes are not located.
 */
function* avifExif(avif: Buffer): Generator<ExifPlace> {
  for (let at = avif.indexOf("infe", 4, "latin1"); at !== -1; at = avif.indexOf("infe", at + 4, "latin1")) {
    const start = at + (avif.readUInt32BE(at - 4) === 1 ? 12 : 4);
    const nameAt = start + (avif[start] === 2 ? 8 : 10);
    if (avif.toString("latin1", nameAt, nameAt + 4).toLowerCase() === "exif") yield { nameAt, block: undefined };
  }
}
