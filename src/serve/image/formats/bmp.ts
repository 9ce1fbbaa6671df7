// Reads and writes BMP, which libvips does not support. It reads images of 1 to 8, 24 and 32 bits, bottom-up and
// top-down. It writes 24 bits, bottom-up. 16 bits, headers of OS/2, RLE, embedded JPEG and PNG, and colour profiles are
// not read.
import { HuiyuanError } from "../../../core/errors.ts";
import { allocatePixels } from "../pixels/memory.ts";
import type { Pixels } from "../pixels/pixels.ts";

const FILE_HEAD_BYTES = 14;
const INFO_HEAD_BYTES = 40;
/** A header of at least this length has a mask for alpha. */
const ALPHA_HEAD_BYTES = 56;

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
  /** Blue, green, red and an unused byte of each index; only for up to 8 bits. */
  readonly palette: Buffer;
  readonly mayHaveAlpha: boolean;
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
  if (headBytes < INFO_HEAD_BYTES) throw unreadable(`its header has ${headBytes} bytes`);
  const [width, signedHeight] = [bytes.readInt32LE(18), bytes.readInt32LE(22)];
  const [bits, compression] = [bytes.readUInt16LE(28), bytes.readUInt32LE(30)];
  if (width < 1 || signedHeight === 0) throw unreadable("it has no pixels");
  const hasMasks = compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS;
  const isKnown = hasMasks ? bits === 32 && isUsualOrder(bytes) : compression === RGB && BITS.includes(bits);
  if (!isKnown) throw unreadable(`it has ${bits} bits in compression ${compression}`);
  const hasAlphaMask = headBytes >= ALPHA_HEAD_BYTES || compression === ALPHA_BIT_FIELDS;
  return {
    ...{ width, height: Math.abs(signedHeight), isTopDown: signedHeight < 0, bits, at: bytes.readUInt32LE(10) },
    palette: bits <= 8 ? readPalette(bytes, FILE_HEAD_BYTES + headBytes, 1 << bits) : NOTHING,
    mayHaveAlpha: hasMasks && hasAlphaMask && bytes.readUInt32LE(66) === 0xff00_0000,
  };
}

const BITS = [1, 2, 4, 8, 24, 32];

/** Whether the masks of red, green and blue, inside a long header or behind a short one, say blue, green, red. */
function isUsualOrder(bytes: Buffer): boolean {
  return bytes.readUInt32LE(54) === 0xff_0000 && bytes.readUInt32LE(58) === 0xff00 && bytes.readUInt32LE(62) === 0xff;
}

function readPalette(bytes: Buffer, at: number, size: number): Buffer {
  const count = Math.min(bytes.readUInt32LE(46) || size, size);
  // An index without an entry is black.
  const palette = Buffer.alloc(size * 4);
  bytes.copy(palette, 0, at, at + count * 4);
  return palette;
}

function readRows(bytes: Buffer, head: Head): Pixels {
  const { width, height, isTopDown, bits, at, palette } = head;
  const rowBytes = Math.floor((width * bits + 31) / 32) * 4;
  // The last row's padding may be missing.
  if (at + rowBytes * (height - 1) + Math.ceil((width * bits) / 8) > bytes.length) throw unreadable("it is cut short");
  const channels = hasTransparency(bytes, head) ? 4 : 3;
  const data = allocatePixels(width * height * channels);
  const isIndexed = bits <= 8;
  const colours = isIndexed ? palette : bytes;
  let to = 0;
  for (let y = 0; y < height; y += 1) {
    const row = at + (isTopDown ? y : height - 1 - y) * rowBytes;
    for (let x = 0; x < width; x += 1, to += channels) {
      const from = isIndexed ? 4 * indexAt(bytes, row, x * bits, bits) : row + (x * bits) / 8;
      data[to] = colours[from + 2]!;
      data[to + 1] = colours[from + 1]!;
      data[to + 2] = colours[from]!;
      if (channels === 4) data[to + 3] = bytes[from + 3]!;
    }
  }
  return { data, width, height, channels, frames: 1 };
}

function indexAt(bytes: Buffer, row: number, bit: number, bits: number): number {
  return (bytes[row + (bit >> 3)]! >> (8 - bits - (bit & 7))) & ((1 << bits) - 1);
}

/**
 * Whether alpha counts. If all alpha values are 0, it was never written; browsers show such an image opaque, and so
 * does this.
 */
function hasTransparency(bytes: Buffer, { width, height, at, mayHaveAlpha }: Head): boolean {
  if (!mayHaveAlpha) return false;
  for (let alpha = at + 3; alpha < at + width * height * 4; alpha += 4) if (bytes[alpha] !== 0) return true;
  return false;
}

const NOTHING = Buffer.alloc(0);

function unreadable(found: string, cause?: unknown): HuiyuanError {
  return new HuiyuanError("image_not_processable", `Cannot read the BMP: ${found}`, { cause });
}
