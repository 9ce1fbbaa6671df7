// Reads and writes BMP, which libvips does not support. It reads uncompressed and bit-field images of 1 to 32 bits,
// bottom-up and top-down. It writes 24 bits, bottom-up. RLE, embedded JPEG and PNG, and colour profiles are not read.
import { HuiyuanError } from "../../../core/errors.ts";
import { allocatePixels } from "../pixels/memory.ts";
import type { Pixels } from "../pixels/pixels.ts";

const FILE_HEAD_BYTES = 14;
const CORE_HEAD_BYTES = 12;
const INFO_HEAD_BYTES = 40;

const RGB = 0;
const BIT_FIELDS = 3;
const ALPHA_BIT_FIELDS = 6;

interface Head {
  readonly width: number;
  readonly height: number;
  readonly isTopDown: boolean;
  readonly bits: number;
  /** Offset of the pixels. */
  readonly at: number;
  /** Red, green, blue of each index; only for up to 8 bits. */
  readonly palette: Buffer;
  /** Bit masks of red, green, blue, alpha; only for 16 and 32 bits. */
  readonly masks: readonly number[];
}

/** The caller must have checked width and height against its limits. Throws image_not_processable. */
export function readBmp(bytes: Buffer): Pixels {
  try {
    return readRows(bytes, readHead(bytes));
  } catch (error) {
    if (error instanceof HuiyuanError) throw error;
    throw unreadable("it is cut short", error); // a RangeError of Buffer: an offset beyond the end
  }
}

/** Writes 24 bits, bottom-up. Drops alpha. */
export function writeBmp({ data, width, height, channels }: Pixels): Buffer {
  const rowBytes = (width * 3 + 3) & ~3;
  const head = FILE_HEAD_BYTES + INFO_HEAD_BYTES;
  const bytes = Buffer.alloc(head + rowBytes * height);
  bytes.write("BM", 0, "latin1");
  bytes.writeUInt32LE(bytes.length, 2);
  bytes.writeUInt32LE(head, 10);
  bytes.writeUInt32LE(INFO_HEAD_BYTES, 14);
  bytes.writeInt32LE(width, 18);
  bytes.writeInt32LE(height, 22);
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(24, 28);
  bytes.writeUInt32LE(rowBytes * height, 34);
  for (let y = 0; y < height; y += 1) {
    let to = head + (height - 1 - y) * rowBytes;
    let from = y * width * channels;
    for (let x = 0; x < width; x += 1, from += channels, to += 3) {
      bytes[to] = data[from + 2]!;
      bytes[to + 1] = data[from + 1]!;
      bytes[to + 2] = data[from]!;
    }
  }
  return bytes;
}

function readHead(bytes: Buffer): Head {
  const headBytes = bytes.readUInt32LE(14);
  const isCore = headBytes === CORE_HEAD_BYTES;
  if (!isCore && headBytes < INFO_HEAD_BYTES) throw unreadable(`its header has ${headBytes} bytes`);
  const width = isCore ? bytes.readUInt16LE(18) : bytes.readInt32LE(18);
  const signedHeight = isCore ? bytes.readUInt16LE(20) : bytes.readInt32LE(22);
  const bits = bytes.readUInt16LE(isCore ? 24 : 28);
  const compression = isCore ? RGB : bytes.readUInt32LE(30);
  if (width < 1 || signedHeight === 0) throw unreadable("it has no pixels");
  if (!isKnown(bits, compression)) throw unreadable(`it has ${bits} bits in compression ${compression}`);
  const { masks, afterHead } = readMasks(bytes, { headBytes, bits, compression });
  const colours = isCore ? 0 : bytes.readUInt32LE(46);
  const palette = bits <= 8 ? readPalette(bytes, afterHead, { bits, colours, entryBytes: isCore ? 3 : 4 }) : NOTHING;
  const height = Math.abs(signedHeight);
  return { width, height, isTopDown: signedHeight < 0, bits, at: bytes.readUInt32LE(10), palette, masks };
}

function isKnown(bits: number, compression: number): boolean {
  if (compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS) return bits === 16 || bits === 32;
  return compression === RGB && [1, 2, 4, 8, 16, 24, 32].includes(bits);
}

function readMasks(
  bytes: Buffer,
  { headBytes, bits, compression }: { headBytes: number; bits: number; compression: number },
): { readonly masks: readonly number[]; readonly afterHead: number } {
  const end = FILE_HEAD_BYTES + headBytes;
  if (compression !== BIT_FIELDS && compression !== ALPHA_BIT_FIELDS)
    return { masks: bits === 16 ? [0x7c00, 0x3e0, 0x1f, 0] : [0xff0000, 0xff00, 0xff, 0], afterHead: end };
  // The masks are inside a long header, or follow the shortest one.
  const hasAlpha = headBytes >= 56 || compression === ALPHA_BIT_FIELDS;
  const count = hasAlpha ? 4 : 3;
  const masks = Array.from({ length: count }, (_, index) => bytes.readUInt32LE(54 + index * 4));
  return { masks: hasAlpha ? masks : [...masks, 0], afterHead: headBytes > INFO_HEAD_BYTES ? end : end + count * 4 };
}

function readPalette(
  bytes: Buffer,
  at: number,
  { bits, colours, entryBytes }: { bits: number; colours: number; entryBytes: number },
): Buffer {
  const size = 1 << bits;
  const count = colours === 0 ? size : Math.min(colours, size);
  // An index without an entry is black.
  const palette = Buffer.alloc(size * 3);
  for (let index = 0; index < count; index += 1) {
    const entry = at + index * entryBytes;
    palette[index * 3] = bytes.readUInt8(entry + 2);
    palette[index * 3 + 1] = bytes.readUInt8(entry + 1);
    palette[index * 3 + 2] = bytes.readUInt8(entry);
  }
  return palette;
}

function readRows(bytes: Buffer, head: Head): Pixels {
  const { width, height, bits, at } = head;
  const rowBytes = Math.floor((width * bits + 31) / 32) * 4;
  // The last row's padding may be missing.
  if (at + rowBytes * (height - 1) + Math.ceil((width * bits) / 8) > bytes.length) throw unreadable("it is cut short");
  const channels = hasTransparency(bytes, head, rowBytes) ? 4 : 3;
  const data = allocatePixels(width * height * channels);
  const pixels: Pixels = { data, width, height, channels, frames: 1 };
  const rowsOf = bits <= 8 ? indexedRows : bits === 24 ? trueColourRows : maskedRows;
  const copyRow = rowsOf(bytes, head, pixels);
  for (let y = 0; y < height; y += 1)
    copyRow(at + (head.isTopDown ? y : height - 1 - y) * rowBytes, y * width * channels);
  return pixels;
}

/**
 * Whether alpha counts. If all alpha values are 0, it was never written; browsers show such an image opaque, and so
 * does this.
 */
function hasTransparency(bytes: Buffer, { width, height, bits, at, masks }: Head, rowBytes: number): boolean {
  const [, , , mask = 0] = masks;
  if (mask === 0) return false;
  for (let y = 0; y < height; y += 1)
    for (let x = 0, from = at + y * rowBytes; x < width; x += 1) {
      const value = bits === 16 ? bytes.readUInt16LE(from + x * 2) : bytes.readUInt32LE(from + x * 4);
      if ((value & mask) !== 0) return true;
    }
  return false;
}

/** Copies a row from this offset of the file to this offset of the pixels. */
type CopyRow = (from: number, to: number) => void;

function indexedRows(bytes: Buffer, { bits, palette, width }: Head, { data }: Pixels): CopyRow {
  const mask = (1 << bits) - 1;
  return (from, to) => {
    for (let x = 0; x < width; x += 1) {
      const bit = x * bits;
      const index = (bytes[from + (bit >> 3)]! >> (8 - bits - (bit & 7))) & mask;
      data[to + x * 3] = palette[index * 3]!;
      data[to + x * 3 + 1] = palette[index * 3 + 1]!;
      data[to + x * 3 + 2] = palette[index * 3 + 2]!;
    }
  };
}

function trueColourRows(bytes: Buffer, { width }: Head, { data }: Pixels): CopyRow {
  return (from, to) => {
    for (let x = 0; x < width * 3; x += 3) {
      data[to + x] = bytes[from + x + 2]!;
      data[to + x + 1] = bytes[from + x + 1]!;
      data[to + x + 2] = bytes[from + x]!;
    }
  };
}

/** Rows of 16 or 32 bits, read by masks. */
function maskedRows(bytes: Buffer, { bits, masks }: Head, { data, width, channels }: Pixels): CopyRow {
  const fields = masks.map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    return { mask, shift, most: mask >>> shift };
  });
  return (from, to) => {
    for (let x = 0; x < width; x += 1) {
      const value = bits === 16 ? bytes.readUInt16LE(from + x * 2) : bytes.readUInt32LE(from + x * 4);
      for (let channel = 0; channel < channels; channel += 1) {
        const { mask, shift, most } = fields[channel]!;
        data[to + x * channels + channel] = Math.round((((value & mask) >>> shift) * 255) / (most || 1));
      }
    }
  };
}

const NOTHING = Buffer.alloc(0);

function unreadable(found: string, cause?: unknown): HuiyuanError {
  return new HuiyuanError("image_not_processable", `Cannot read the BMP: ${found}`, { cause });
}
