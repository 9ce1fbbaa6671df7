// The small picture that cameras put into EXIF. It shows the original: uncut, unturned, without a watermark, and it is often
// larger than what is made of it. So an image that is processed loses it, while the rest of its EXIF stays.

const EXIF_MAGIC = "Exif\0\0";

/**
 * The same image file, whose EXIF tells of no second directory, which the thumbnail stands in. `block`: its EXIF, with or
 * without the magic. A file that keeps a checksum of its EXIF (PNG) is left as it is, and so is one with nothing to take out.
 */
export function withoutThumbnail(bytes: Buffer, block: Buffer): Buffer {
  const tiff = block.toString("latin1", 0, EXIF_MAGIC.length) === EXIF_MAGIC ? block.subarray(6) : block;
  const link = secondDirectoryLink(tiff);
  const at = link === undefined ? -1 : bytes.indexOf(tiff);
  if (link === undefined || at === -1) return bytes;
  const copy = Buffer.from(bytes);
  copy.fill(0, at + link, at + link + 4);
  return copy;
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
