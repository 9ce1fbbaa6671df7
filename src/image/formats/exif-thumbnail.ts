// Removes the thumbnail that cameras put into EXIF from an image to be processed. The thumbnail shows the original,
// uncropped and without a watermark, and is often larger than the result. All other EXIF stays.
import { crc32 } from "node:zlib";

const EXIF_MAGIC = "Exif\0\0";

/**
 * A copy of the file without the link to the second EXIF directory, which has the thumbnail. `block`: its EXIF, with or
 * without the magic. Returns the file itself if it has no thumbnail, or if it is a PNG with EXIF in compressed text.
 */
export function withoutThumbnail(bytes: Buffer, block: Buffer): Buffer {
  const tiff = block.toString("latin1", 0, EXIF_MAGIC.length) === EXIF_MAGIC ? block.subarray(6) : block;
  const link = secondDirectoryLink(tiff);
  const at = link === undefined ? -1 : bytes.indexOf(tiff);
  if (link === undefined || at === -1) return bytes;
  const copy = Buffer.from(bytes);
  copy.fill(0, at + link, at + link + 4);
  if (isPngChunk(copy, at, tiff.length)) {
    // The checksum covers name and data of the chunk.
    copy.writeUInt32BE(crc32(copy.subarray(at - 4, at + tiff.length)), at + tiff.length);
  }
  return copy;
}

/** Whether these bytes are all data of a PNG's EXIF chunk, followed by its checksum. */
function isPngChunk(file: Buffer, at: number, length: number): boolean {
  const head = at < 8 ? "" : file.toString("latin1", at - 4, at);
  return head === "eXIf" && file.readUInt32BE(at - 8) === length && at + length + 4 <= file.length;
}

/** Offset of the link to the second directory; undefined if there is no second directory. */
function secondDirectoryLink(tiff: Buffer): number | undefined {
  const order = tiff.toString("latin1", 0, 2);
  if (tiff.length < 8 || (order !== "II" && order !== "MM")) return undefined;
  const isLittle = order === "II";
  const first = isLittle ? tiff.readUInt32LE(4) : tiff.readUInt32BE(4);
  if (first + 2 > tiff.length) return undefined;
  const entries = isLittle ? tiff.readUInt16LE(first) : tiff.readUInt16BE(first);
  const link = first + 2 + entries * 12;
  return link + 4 <= tiff.length && tiff.readUInt32LE(link) !== 0 ? link : undefined;
}
