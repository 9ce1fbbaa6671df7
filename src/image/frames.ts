// How many frames an animation has, where they lie and how far they reach, read in the file without decoding one. The structure has been
// found whole before (body/formats), so that every walk here ends.

export interface Animation {
  readonly frames: number;
  /** Pixels that the frames reach to, from the canvas's corner. */
  readonly width: number;
  readonly height: number;
}

const GIF_EXTENSION = 0x21;
const GIF_CONTROL = 0xf9;
const GIF_IMAGE = 0x2c;
const GIF_TRAILER = 0x3b;

/** A frame of a GIF: where it is written and what is said of it. */
export interface GifFrame {
  /** Offset of its image descriptor. */
  readonly at: number;
  /** Offset of the graphic control extension that is about it. */
  readonly control: number | undefined;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Every pixel is less: of its colour table, or of what its codes can say. */
  readonly indices: number;
}

/** GIF (89a §20): image descriptors between colour tables and sub-blocks. */
export function* gifFramesIn(bytes: Buffer): Generator<GifFrame> {
  const globalTable = gifTableBytes(bytes[10] ?? 0);
  let control: number | undefined;
  let at = 13 + globalTable;
  while (at < bytes.length) {
    const block = bytes[at];
    if (block === GIF_TRAILER) return;
    if (block === GIF_EXTENSION) {
      if (bytes[at + 1] === GIF_CONTROL && bytes[at + 2] === 4) control = at;
      at = afterSubBlocks(bytes, at + 2);
    } else if (block !== GIF_IMAGE) at += 1;
    else if (at + 10 > bytes.length) return;
    else {
      const [left, top] = [bytes.readUInt16LE(at + 1), bytes.readUInt16LE(at + 3)];
      const [width, height] = [bytes.readUInt16LE(at + 5), bytes.readUInt16LE(at + 7)];
      const table = gifTableBytes(bytes[at + 9] ?? 0);
      const indices = Math.min((table || globalTable) / 3, 1 << (bytes[at + 10 + table] ?? 0));
      yield { at, control, left, top, width, height, indices };
      control = undefined;
      at = afterSubBlocks(bytes, at + 11 + table);
    }
  }
}

export function gifFrames(bytes: Buffer): Animation {
  let [frames, width, height] = [0, 0, 0];
  for (const frame of gifFramesIn(bytes)) {
    frames += 1;
    width = Math.max(width, frame.left + frame.width);
    height = Math.max(height, frame.top + frame.height);
  }
  return { frames, width, height };
}

/** Bytes of the colour table that a flags byte announces. */
export function gifTableBytes(flags: number): number {
  return flags & 0x80 ? 3 << ((flags & 0x07) + 1) : 0;
}

function afterSubBlocks(bytes: Buffer, from: number): number {
  let at = from;
  for (let length = bytes[at] ?? 0; length > 0; length = bytes[at] ?? 0) at += length + 1;
  return at + 1;
}

/** Bytes of an `ANMF` chunk before the picture: where the frame lies, and how long it is shown. */
const WEBP_FRAME_HEAD_BYTES = 16;
const WEBP_ANIMATED = 0x02;

/**
 * WebP (RFC 9649 §2.7.1.1): `ANMF` chunks with a picture, of a file whose head says that it is an animation; the decoder passes over others.
 * They lie inside the canvas, or the decoder refuses them.
 */
export function webpFrames(bytes: Buffer): Animation {
  const isAnimated = chunkType(bytes, 12) === "VP8X" && ((bytes[20] ?? 0) & WEBP_ANIMATED) !== 0;
  let frames = 0;
  for (const { type, from, to } of isAnimated ? webpChunks(bytes) : []) {
    if (type === "ANMF" && hasPicture(bytes, from + WEBP_FRAME_HEAD_BYTES, to)) frames += 1;
  }
  return { frames, width: 0, height: 0 };
}

function hasPicture(bytes: Buffer, from: number, to: number): boolean {
  for (const { type } of webpChunksIn(bytes, from, to)) if (type === "VP8 " || type === "VP8L") return true;
  return false;
}

/** Those of a whole file. */
export function webpChunks(bytes: Buffer): Generator<WebpChunk> {
  return webpChunksIn(bytes, 12, Math.min(bytes.length, bytes.readUInt32LE(4) + 8));
}

/** `from`, `to`: offsets of what is in it. */
interface WebpChunk {
  readonly type: string;
  readonly from: number;
  readonly to: number;
}

function* webpChunksIn(bytes: Buffer, start: number, end: number): Generator<WebpChunk> {
  for (let at = start; at + 8 <= end; ) {
    const from = at + 8;
    const length = bytes.readUInt32LE(at + 4);
    yield { type: chunkType(bytes, at), from, to: Math.min(end, from + length) };
    at = from + length + (length & 1);
  }
}

function chunkType(bytes: Buffer, at: number): string {
  return bytes.toString("latin1", at, at + 4);
}
