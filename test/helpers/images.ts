// Test images, the same bytes on every run of one machine: noise over a gradient, encoded by sharp. BMP, ICO, restart
// markers and EXIF thumbnails are written by hand, because sharp cannot. For tests only.
import sharp, { type Sharp } from "sharp";

const NOISE_SEED = 0x9e3779b9;
/** Maximum distance of a sample from the gradient; enough that no encoder makes the picture small. */
const NOISE_SPAN = 64;

/** Raw pixels, row by row; `channels` 4 has a varying alpha. */
export function noisyPixels(width: number, height: number, channels: 3 | 4 = 3): Buffer {
  const pixels = Buffer.allocUnsafe(width * height * channels);
  let state = NOISE_SEED;
  for (let at = 0; at < pixels.length; at += 1) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const pixel = Math.floor(at / channels);
    const slope = ((pixel % width) / width + pixel / width / height) * 0.5;
    pixels[at] = slope * (255 - NOISE_SPAN) + ((state >>> 8) % NOISE_SPAN);
  }
  return pixels;
}

function noisy(width: number, height: number, channels: 3 | 4 = 3): Sharp {
  return sharp(noisyPixels(width, height, channels), { raw: { width, height, channels } });
}

/** Baseline, quality 85. 1200×900 gives several hundred KB. */
export function noisyJpeg(width: number, height: number): Promise<Buffer> {
  return noisy(width, height).jpeg({ quality: 85 }).toBuffer();
}

/** A JPEG with many scans and Huffman tables between them. */
export function progressiveJpeg(width: number, height: number): Promise<Buffer> {
  return noisy(width, height).jpeg({ quality: 85, progressive: true }).toBuffer();
}

/** A noisy JPEG whose EXIF holds a thumbnail: another whole JPEG with its own EOI. */
export async function jpegWithThumbnail(width: number, height: number): Promise<Buffer> {
  const [jpeg, thumbnail] = await Promise.all([noisyJpeg(width, height), noisyJpeg(32, 24)]);
  const soi = jpeg.subarray(0, 2);
  return Buffer.concat([soi, segment(0xe1, exifWithThumbnail(thumbnail)), jpeg.subarray(2)]);
}

/** Adds an EXIF block of one directory to the JPEG. Each entry: tag, type, count and value (or offset). */
export function withExifEntries(jpeg: Buffer, entries: readonly (readonly [number, number, number, number])[]): Buffer {
  const made = entries.map(([tag, type, count, value]) => entry(tag, type, value, count));
  const block = Buffer.concat([EXIF_HEAD, directory(0, ...made)]);
  return Buffer.concat([jpeg.subarray(0, 2), segment(0xe1, block), jpeg.subarray(2)]);
}

/** A little-endian header; the first directory follows it. */
const EXIF_HEAD = Buffer.from("Exif\0\0II*\0\x08\0\0\0", "latin1");

function entry(tag: number, type: number, value: number, count = 1): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16LE(tag, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.writeUInt32LE(count, 4);
  bytes.writeUInt32LE(value, 8);
  return bytes;
}

function directory(next: number, ...entries: Buffer[]): Buffer {
  return Buffer.concat([u16le(entries.length), ...entries, u32le(next)]);
}

function exifWithThumbnail(thumbnail: Buffer): Buffer {
  const firstLength = 2 + 12 + 4;
  const secondAt = 8 + firstLength;
  const thumbnailAt = secondAt + 2 + 3 * 12 + 4;
  return Buffer.concat([
    EXIF_HEAD,
    directory(secondAt, entry(0x0112, 3, 1)),
    directory(0, entry(0x0103, 3, 6), entry(0x0201, 4, thumbnailAt), entry(0x0202, 4, thumbnail.length)),
    thumbnail,
  ]);
}

/**
 * A decodable grey JPEG of `columns` × `rows` blocks of 8×8 pixels, with a restart marker after every block. Each
 * Huffman table has only the code `0`, so a block is two bits and padding.
 */
export function jpegWithRestarts(columns: number, rows: number): Buffer {
  const huffman = (tableClass: number) => segment(0xc4, Buffer.from([tableClass << 4, 1, ...Array(15).fill(0), 0]));
  const frame = Buffer.from([8, 0, 0, 0, 0, 1, 1, 0x11, 0]);
  frame.writeUInt16BE(rows * 8, 1);
  frame.writeUInt16BE(columns * 8, 3);
  const blocks = Array.from({ length: columns * rows - 1 }, (_, index) => [0x3f, 0xff, 0xd0 + (index % 8)]);
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    segment(0xdb, Buffer.from([0, ...Array(64).fill(16)])),
    segment(0xc0, frame),
    huffman(0),
    huffman(1),
    segment(0xdd, Buffer.from([0, 1])),
    segment(0xda, Buffer.from([1, 1, 0, 0, 63, 0])),
    Buffer.from([...blocks.flat(), 0x3f, 0xff, 0xd9]),
  ]);
}

/** One JPEG marker segment: marker, length (which counts itself), payload. */
export function segment(marker: number, payload: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(payload.length + 2, 2);
  return Buffer.concat([head, payload]);
}

export function noisyPng(width: number, height: number): Promise<Buffer> {
  return noisy(width, height).png().toBuffer();
}

export function noisyGif(width: number, height: number): Promise<Buffer> {
  return noisy(width, height).gif().toBuffer();
}

/** `frames` different pictures, 100 ms each, looping forever. */
export function animatedGif(width: number, height: number, frames = 3): Promise<Buffer> {
  return noisyFrames(width, height, frames)
    .gif({ delay: Array(frames).fill(100), loop: 0 })
    .toBuffer();
}

/** `alpha` and `animated` select the extended file format (VP8X). */
export function noisyWebp(
  width: number,
  height: number,
  kind: "lossy" | "lossless" | "alpha" | "animated" = "lossy",
): Promise<Buffer> {
  if (kind === "animated")
    return noisyFrames(width, height, 3)
      .webp({ delay: [100, 100, 100], loop: 0 })
      .toBuffer();
  return noisy(width, height, kind === "alpha" ? 4 : 3)
    .webp({ quality: 80, lossless: kind === "lossless" })
    .toBuffer();
}

function noisyFrames(width: number, height: number, frames: number): Sharp {
  const pixels = noisyPixels(width, height * frames);
  return sharp(pixels, { raw: { width, height: height * frames, channels: 3, pageHeight: height } });
}

/** Encoding is slow: use small sizes. */
export function noisyAvif(width: number, height: number): Promise<Buffer> {
  return noisy(width, height).avif({ quality: 60, effort: 0 }).toBuffer();
}

/** The boxes of a HEIC around the data of an AVIF: whole by its structure, and read by no decoder. */
export async function noisyHeic(width: number, height: number): Promise<Buffer> {
  const bytes = await noisyAvif(width, height);
  bytes.write("heic", 8, "latin1");
  return bytes;
}

export function noisyTiff(width: number, height: number): Promise<Buffer> {
  return noisy(width, height).tiff({ compression: "lzw" }).toBuffer();
}

/** 24 bits per pixel, BITMAPINFOHEADER, rows padded to 4 bytes; `isTopDown` makes the height negative. */
export function noisyBmp(width: number, height: number, isTopDown = false): Buffer {
  const stride = Math.ceil((width * 3) / 4) * 4;
  const pixels = noisyPixels(width, height);
  const rows = Buffer.alloc(stride * height);
  for (let row = 0; row < height; row += 1) pixels.copy(rows, row * stride, row * width * 3, (row + 1) * width * 3);
  return bmpOf(
    { width, height: isTopDown ? -height : height, bitsPerPixel: 24, compression: 0 },
    Buffer.alloc(0),
    rows,
  );
}

/** 8 bits per pixel, run-length encoded (BI_RLE8): one run per row, so the pixel data is far smaller than the rows. */
export function runLengthBmp(width: number, height: number): Buffer {
  const row = [Math.min(width, 255), 7, 0, 0];
  const data = Buffer.from([...Array.from({ length: height }, () => row).flat(), 0, 1]);
  return bmpOf({ width, height, bitsPerPixel: 8, compression: 1 }, Buffer.alloc(256 * 4, 0x55), data);
}

interface BmpHead {
  readonly width: number;
  readonly height: number;
  readonly bitsPerPixel: number;
  readonly compression: number;
}

function bmpOf(head: BmpHead, palette: Buffer, data: Buffer): Buffer {
  const headers = Buffer.alloc(54);
  const pixelsAt = headers.length + palette.length;
  headers.write("BM", 0, "latin1");
  headers.writeUInt32LE(pixelsAt + data.length, 2);
  headers.writeUInt32LE(pixelsAt, 10);
  headers.writeUInt32LE(40, 14);
  headers.writeInt32LE(head.width, 18);
  headers.writeInt32LE(head.height, 22);
  headers.writeUInt16LE(1, 26);
  headers.writeUInt16LE(head.bitsPerPixel, 28);
  headers.writeUInt32LE(head.compression, 30);
  headers.writeUInt32LE(data.length, 34);
  return Buffer.concat([headers, palette, data]);
}

/** An icon that holds one PNG; sides of at most 256 pixels. */
export async function noisyIco(width: number, height: number): Promise<Buffer> {
  const png = await noisyPng(width, height);
  const head = Buffer.from([0, 0, 1, 0, 1, 0, width % 256, height % 256, 0, 0, 1, 0, 32, 0, 0, 0, 0, 0, 22, 0, 0, 0]);
  head.writeUInt32LE(png.length, 14);
  return Buffer.concat([head, png]);
}

function u16le(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32le(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
