// Prepares a file for libvips: a copy avoids known faults of its decoders and of libexif. Every image that is
// processed, verified or used as a watermark must pass through here. It decodes nothing. It ignores EXIF in the text
// chunks of a PNG, because libvips ignores it, too.
import { crc32 } from "node:zlib";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Sniffed } from "../../body/formats/sniff.ts";
import { areEndless, secondDirectoryLink } from "./exif.ts";
import { jpegSegments, segmentAt } from "./jpeg-head.ts";

/** Place of an EXIF block in a file. */
interface ExifPlace {
  /** Offset of the four letters that identify it. */
  readonly nameAt: number;
  /** With or without its magic. */
  readonly block: Buffer;
}

/** `file`: a complete image, which is never changed. */
export function readableFile(file: Buffer, format: Sniffed): Buffer {
  return format === "avif" ? withoutAvifExif(file) : withoutEndlessExif(file, format);
}

/**
 * Throws image_not_processable for a GIF whose screen is larger than the decoder says. libvips takes the screen of some
 * GIFs for a mistake, and loses what lies outside the first frame.
 */
export function refuseCroppedGif(file: Buffer, { width, height }: { readonly width: number; readonly height: number }) {
  if (file.toString("latin1", 0, 3) === "GIF" && (width < file.readUInt16LE(6) || height < file.readUInt16LE(8)))
    throw new HuiyuanError("image_not_processable", "Cannot process: the decoder would crop the screen of the GIF");
}

/** A name that decoders of every format ignore. */
const UNKNOWN_NAME = "noNe";

/** The image without EXIF if reading it would cost more than the pixels; else the file itself. */
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
    const link = secondDirectoryLink(place.block);
    if (link === undefined) continue;
    copy ??= Buffer.from(file);
    const at = link.byteOffset - file.byteOffset;
    copy.fill(0, at, at + link.length);
    if (format === "png") updateChecksum(copy, place);
  }
  return copy ?? file;
}

function* exifBlocks(file: Buffer, format: Sniffed): Generator<Buffer> {
  for (const { block } of exifPlaces(file, format)) yield block;
}

/** Updates the checksum of a PNG chunk, which covers its name and data and follows them. */
function updateChecksum(png: Buffer, { nameAt, block }: ExifPlace): void {
  const end = nameAt + 4 + block.length;
  png.writeUInt32BE(crc32(png.subarray(nameAt, end)), end);
}

/** `file`: a complete file. Places in file order; none in an AVIF, whose EXIF is never read. */
export function exifPlaces(file: Buffer, format: Sniffed): Iterable<ExifPlace> {
  return PLACES[format]?.(file) ?? [];
}

const PLACES: Readonly<Partial<Record<Sniffed, (file: Buffer) => Iterable<ExifPlace>>>> = {
  jpeg: jpegExif,
  png: pngExif,
  webp: webpExif,
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
function* pngExif(png: Buffer): Generator<ExifPlace> {
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
 * A copy of the AVIF in which no item is EXIF (ISO/IEC 14496-12 §8.11.6), wherever its boxes are; the file itself if it
 * has none. An `infe` box has version, flags, id, protection index and type; libvips compares the type without case.
 */
function withoutAvifExif(avif: Buffer): Buffer {
  let copy: Buffer | undefined;
  for (let at = avif.indexOf("infe", 4, "latin1"); at !== -1; at = avif.indexOf("infe", at + 4, "latin1")) {
    const start = at + (avif.readUInt32BE(at - 4) === 1 ? 12 : 4);
    const nameAt = start + (avif[start] === 2 ? 8 : 10);
    if (avif.toString("latin1", nameAt, nameAt + 4).toLowerCase() !== "exif") continue;
    copy ??= Buffer.from(avif);
    copy.write(UNKNOWN_NAME, nameAt, "latin1");
  }
  return copy ?? avif;
}
