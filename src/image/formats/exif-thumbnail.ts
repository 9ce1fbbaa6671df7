// The small picture that cameras put into EXIF. It shows the original: uncut, unturned, without a watermark, and it is often
// larger than what is made of it. So an image that is processed loses it, while the rest of its EXIF stays.
import { crc32 } from "node:zlib";

const EXIF_MAGIC = "Exif\0\0";

/**
 * The same image file, whose EXIF tells of no second directory, which the thumbnail stands in. `block`: its EXIF, with or
 * without the magic. A file with nothing to take out is given back, and so is a PNG that has its EXIF in compressed text.
 */
export function withoutThumbnail(bytes: Buffer, block: Buffer): Buffer {
  const tiff = block.toString("latin1", 0, EXIF_MAGIC.length) === EXIF_MAGIC ? block.subarray(6) : block;
  const link = secondDirectoryLink(tiff);
  const at = link === undefined ? -1 : bytes.indexOf(tiff);
  if (link === undefined || at === -1) return bytes;
  const copy = Buffer.from(bytes);
  copy.fill(0, at + link, at + link + 4);
  if (isPngChunk(copy, at, tiff.length)) {
    // Its sum covers its name and its data.
    copy.writeUInt32BE(crc32(copy.subarray(at - 4, at + tiff.length)), at + tiff.length);
  }
  return copy;
}

/** Whether these are the whole data of a PNG's EXIF chunk, with its sum behind it. */
function isPngChunk(file: Buffer, at: number, length: number): boolean {
  const head = at < 8 ? "" : file.toString("latin1", at - 4, at);
  return head === "eXIf" && file.readUInt32BE(at - 8) === length && at + length + 4 <= file.length;
}

/** Where it is said at what offset the second directory begins; undefined where there is none. */
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
