// Builds files that try to cost a server far more than their size suggests. Written by hand if no encoder makes them.
// For tests only.
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { noisyAvif, noisyGif, noisyJpeg, noisyPng, noisyWebp, segment } from "./images.ts";
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

/** A black greyscale PNG with `bits` per pixel; `extra` chunks come before the pixels. */
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

/** A PNG that declares gigapixels and holds a few bytes. */
export function claimingPng(width: number, height: number): Buffer {
  const few = deflateSync(Buffer.alloc(64));
  return Buffer.concat([
    PNG_MAGIC,
    pngHead(width, height, 8, 2),
    pngChunk("IDAT", few),
    pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

/** A small PNG with a text or profile chunk that inflates to this many bytes. */
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

/** A WebP whose lossless header declares 16384² pixels. */
export function claimingWebp(): Buffer {
  const payload = Buffer.from([0x2f, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0]);
  const head = Buffer.from("RIFF\0\0\0\0WEBPVP8L\0\0\0\0", "latin1");
  head.writeUInt32LE(4 + 8 + payload.length, 4);
  head.writeUInt32LE(payload.length, 16);
  return Buffer.concat([head, payload]);
}

/** A JPEG whose frame header declares 65535² pixels. */
export function claimingJpeg(jpeg: Buffer): Buffer {
  const bytes = Buffer.from(jpeg);
  const frame = [0xc0, 0xc2].map((marker) => bytes.indexOf(Buffer.from([0xff, marker]))).find((at) => at !== -1)!;
  bytes.writeUInt16BE(65_535, frame + 5);
  bytes.writeUInt16BE(65_535, frame + 7);
  return bytes;
}

/** A progressive JPEG whose last scan is repeated `times` times. */
export async function scansJpeg(side: number, times: number): Promise<Buffer> {
  const create = { width: side, height: side, channels: 3 as const, background: "#808080" };
  const jpeg = await sharp({ create }).jpeg({ progressive: true }).toBuffer();
  const last = jpeg.lastIndexOf(Buffer.from([0xff, 0xda]));
  const scan = jpeg.subarray(last, jpeg.length - 2);
  return Buffer.concat([jpeg.subarray(0, last), ...Array<Buffer>(times).fill(scan), jpeg.subarray(-2)]);
}

/** A small JPEG with this many bytes of colour profile. */
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

/**
 * Whole images of every format, padded to this many bytes with as many empty parts as fit. A parser must skip each
 * part.
 */
export async function tinyParts(bytes: number): Promise<Readonly<Record<string, Buffer>>> {
  const [jpeg, png, gif] = await Promise.all([noisyJpeg(60, 40), noisyPng(40, 30), noisyGif(40, 30)]);
  const [webp, avif] = await Promise.all([noisyWebp(40, 30, "lossless"), noisyAvif(40, 30)]);
  const scan = jpeg.indexOf("\xff\xda", 0, "latin1");
  const data = scan + 2 + jpeg.readUInt16BE(scan + 2);
  const many = (part: Buffer | string) => {
    const unit = typeof part === "string" ? Buffer.from(part, "latin1") : part;
    return Buffer.alloc(bytes - (bytes % unit.length), unit);
  };
  const within = (whole: Buffer, at: number, parts: Buffer) =>
    Buffer.concat([whole.subarray(0, at), parts, whole.subarray(at)]);
  const riff = (...chunks: Buffer[]) => {
    const body = Buffer.concat([Buffer.from("RIFF\0\0\0\0WEBP", "latin1"), ...chunks]);
    body.writeUInt32LE(body.length - 8, 4);
    return body;
  };
  const moving = Buffer.from("VP8X\x0a\0\0\0\x02\0\0\0\x27\0\0\x1d\0\0", "latin1");
  const frame = (parts: Buffer) => {
    const head = Buffer.alloc(24);
    head.write("ANMF", "latin1");
    head.writeUInt32LE(16 + parts.length, 4);
    return Buffer.concat([head, parts]);
  };
  const picture = webp.subarray(12);
  const trailer = gif.length - 1;
  return {
    "jpeg: fill bytes": within(jpeg, 2, many("\xff")),
    "jpeg: empty comments": within(jpeg, 2, many("\xff\xfe\0\x02")),
    "jpeg: empty tables": within(jpeg, 2, many("\xff\xdb\0\x02")),
    "jpeg: segments that are no EXIF": within(jpeg, 2, many("\xff\xe1\0\x08Exif\0\x01")),
    "jpeg: bare markers": within(jpeg, 2, many("\xff\x01A")),
    "jpeg: comments within the data": within(jpeg, data, many("\xff\xfe\0\x02")),
    "jpeg: stuffed bytes": within(jpeg, data, many("\xff\0")),
    "jpeg: restarts": within(jpeg, data, many("\xff\xd0A")),
    "jpeg: scans": within(jpeg, data, many(jpeg.subarray(scan, data))),
    "png: empty chunks": within(png, 33, many(pngChunk("teXt", Buffer.alloc(0)))),
    "gif: empty comments": within(gif, trailer, many("\x21\xfe\0")),
    "gif: sub-blocks of one byte": within(
      gif,
      trailer,
      Buffer.concat([Buffer.from("\x21\xfe", "latin1"), many("\x01A"), Buffer.alloc(1)]),
    ),
    "gif: frames": within(gif, trailer, many(GIF_FRAME(1, 1))),
    "gif: zeros between blocks": within(gif, trailer, many("\0")),
    "webp: empty chunks": riff(picture, many("JUNK\0\0\0\0")),
    "webp: empty frames": riff(moving, frame(picture), many("ANMF\0\0\0\0")),
    "webp: empty chunks in a frame": riff(moving, frame(Buffer.concat([many("JUNK\0\0\0\0"), picture]))),
    "avif: empty boxes": Buffer.concat([avif, many("\0\0\0\x08free")]),
  };
}
