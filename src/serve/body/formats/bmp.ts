// Scans BMP: the offset of the pixels (BITMAPFILEHEADER) and their size in bytes (the DIB header that follows it).
import type { Findings, Input, Scan } from "./scan.ts";

const FILE_HEADER_BYTES = 14;
/** BITMAPCOREHEADER, whose fields have half the width. */
const CORE_HEADER_BYTES = 12;
/**
 * BITMAPINFOHEADER; later headers begin with its fields. Shorter headers lack its last fields, and their pixels are
 * uncompressed.
 */
const INFO_HEADER_BYTES = 40;
/** BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS: rows of pixels, not compressed. */
const PLAIN: ReadonlySet<number> = new Set([0, 3, 6]);

/** Complete at the last byte of pixel data. */
export function* scanBmp(findings: Findings, input: Input): Scan {
  while (!input.take(FILE_HEADER_BYTES + 4)) yield;
  const head = input.taken();
  const fileBytes = head.readUInt32LE(2);
  const pixelsAt = head.readUInt32LE(10);
  const headerBytes = head.readUInt32LE(14);
  while (!input.take(Math.min(headerBytes, INFO_HEADER_BYTES) - 4)) yield;
  const header = readHeader(input.taken(), headerBytes);
  if (header.width <= 0 || header.height === 0) return;
  findings.width = header.width;
  // A negative height means rows from top to bottom.
  findings.height = Math.abs(header.height);
  const read = FILE_HEADER_BYTES + Math.min(headerBytes, INFO_HEADER_BYTES);
  if (pixelsAt < FILE_HEADER_BYTES + headerBytes) return;
  if (header.bitsPerPixel === 0 && PLAIN.has(header.compression)) return;
  const end = pixelsEnd(header, pixelsAt, fileBytes);
  if (end === undefined) {
    findings.structure = "unmarked";
    return;
  }
  input.skip(end - read);
  while (!input.take(0)) yield;
  findings.structure = "complete";
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly bitsPerPixel: number;
  readonly compression: number;
  /** Bytes; 0 is allowed for pixels that are not compressed. */
  readonly pixelBytes: number;
}

function readHeader(bytes: Buffer, headerBytes: number): Header {
  if (headerBytes === CORE_HEADER_BYTES) {
    const [width, height] = [bytes.readUInt16LE(0), bytes.readUInt16LE(2)];
    return { width, height, bitsPerPixel: bytes.readUInt16LE(6), compression: 0, pixelBytes: 0 };
  }
  const isInfo = headerBytes >= INFO_HEADER_BYTES;
  return {
    width: bytes.readInt32LE(0),
    height: bytes.readInt32LE(4),
    bitsPerPixel: bytes.readUInt16LE(10),
    compression: isInfo ? bytes.readUInt32LE(12) : 0,
    pixelBytes: isInfo ? bytes.readUInt32LE(16) : 0,
  };
}

/** The end of the pixels in the file; undefined if no field tells it. */
function pixelsEnd(header: Header, pixelsAt: number, fileBytes: number): number | undefined {
  if (PLAIN.has(header.compression)) {
    const rowBytes = Math.ceil((header.width * header.bitsPerPixel) / 32) * 4;
    return pixelsAt + rowBytes * Math.abs(header.height);
  }
  if (header.pixelBytes > 0) return pixelsAt + header.pixelBytes;
  return fileBytes > pixelsAt ? fileBytes : undefined;
}
