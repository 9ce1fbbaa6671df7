// Files that try to cost a server more than they are worth: small in bytes, huge in claims. Made by hand where no encoder
// would. For tests only.
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { segment } from "./images.ts";
import { pngChunk } from "./png.ts";

const PNG_MAGIC = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

function pngHead(width: number, height: number, bits: number, colour: number): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = bits;
  head[9] = colour;
  return pngChunk("IHDR", head);
}

/** Grey of `bits` a pixel, all black, deflated; `extra` chunks stand before the pixels. */
export function blackPng(width: number, height: number, bits: 1 | 8 = 1, extra: readonly Buffer[] = []): Buffer {
  const row = Math.ceil((width * bits) / 8) + 1;
  const pixels = deflateSync(Buffer.alloc(row * height), { level: 9 });
  return Buffer.concat([
    PNG_MAGIC,
    pngHead(width, height, bits, 0),
    ...extra,
    pngChunk("IDAT", pixels),
    pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

/** A PNG that claims gigapixels and holds a few bytes. */
export function claimingPng(width: number, height: number): Buffer {
  const few = deflateSync(Buffer.alloc(64));
  return Buffer.concat([
    PNG_MAGIC,
    pngHead(width, height, 8, 2),
    pngChunk("IDAT", few),
    pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

/** A small PNG with a text or profile that inflates to so many bytes. */
export function inflatingPng(kind: "zTXt" | "iCCP", inflatedBytes: number): Buffer {
  const bomb = deflateSync(Buffer.alloc(inflatedBytes), { level: 9 });
  return blackPng(64, 64, 8, [pngChunk(kind, Buffer.concat([Buffer.from("bomb\0\0", "latin1"), bomb]))]);
}

const GIF_FRAME = (width: number, height: number) => {
  const descriptor = Buffer.from([0x2c, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  descriptor.writeUInt16LE(width, 5);
  descriptor.writeUInt16LE(height, 7);
  // Code size 2; clear, one pixel, end.
  return Buffer.concat([descriptor, Buffer.from([2, 2, 0x44, 0x01, 0])]);
};

/** A GIF of `screen`² pixels with `frames` frames of `side`² pixels each. */
export function framesGif(screen: number, side: number, frames: number): Buffer {
  const head = Buffer.from("GIF89a\0\0\0\0\x80\0\0\0\0\0\xff\xff\xff", "latin1");
  head.writeUInt16LE(screen, 6);
  head.writeUInt16LE(screen, 8);
  return Buffer.concat([head, ...Array<Buffer>(frames).fill(GIF_FRAME(side, side)), Buffer.from([0x3b])]);
}

/** A WebP whose lossless head claims 16384² pixels. */
export function claimingWebp(): Buffer {
  const payload = Buffer.from([0x2f, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0]);
  const head = Buffer.from("RIFF\0\0\0\0WEBPVP8L\0\0\0\0", "latin1");
  head.writeUInt32LE(4 + 8 + payload.length, 4);
  head.writeUInt32LE(payload.length, 16);
  return Buffer.concat([head, payload]);
}

/** A JPEG whose frame claims 65535² pixels. */
export function claimingJpeg(jpeg: Buffer): Buffer {
  const bytes = Buffer.from(jpeg);
  const frame = [0xc0, 0xc2].map((marker) => bytes.indexOf(Buffer.from([0xff, marker]))).find((at) => at !== -1)!;
  bytes.writeUInt16BE(65_535, frame + 5);
  bytes.writeUInt16BE(65_535, frame + 7);
  return bytes;
}

/** A progressive JPEG whose last scan comes `times` times. */
export async function scansJpeg(side: number, times: number): Promise<Buffer> {
  const create = { width: side, height: side, channels: 3 as const, background: "#808080" };
  const jpeg = await sharp({ create }).jpeg({ progressive: true }).toBuffer();
  const last = jpeg.lastIndexOf(Buffer.from([0xff, 0xda]));
  const scan = jpeg.subarray(last, jpeg.length - 2);
  return Buffer.concat([jpeg.subarray(0, last), ...Array<Buffer>(times).fill(scan), jpeg.subarray(-2)]);
}

/** A small JPEG that carries so many bytes of colour profile. */
export async function heavyProfileJpeg(bytes: number): Promise<Buffer> {
  const jpeg = await sharp({ create: { width: 64, height: 64, channels: 3, background: "#808080" } })
    .jpeg()
    .toBuffer();
  const piece = 65_000;
  const pieces = Math.min(255, Math.ceil(bytes / piece));
  const segments = Array.from({ length: pieces }, (_, index) =>
    segment(
      0xe2,
      Buffer.concat([Buffer.from("ICC_PROFILE\0", "latin1"), Buffer.from([index + 1, pieces]), Buffer.alloc(piece)]),
    ),
  );
  return Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);
}
