// How many frames an animation has and how far they reach, counted in the file without decoding one. The structure has been
// found whole before (body/formats), so that every walk here ends.

export interface Animation {
  readonly frames: number;
  /** Pixels that the frames reach to, from the canvas's corner. */
  readonly width: number;
  readonly height: number;
}

const GIF_EXTENSION = 0x21;
const GIF_IMAGE = 0x2c;
const GIF_TRAILER = 0x3b;

/** GIF (89a §20): image descriptors between colour tables and sub-blocks. */
export function gifFrames(bytes: Buffer): Animation {
  let [frames, width, height] = [0, 0, 0];
  let at = 13 + gifTableBytes(bytes[10] ?? 0);
  while (at < bytes.length) {
    const block = bytes[at];
    if (block === GIF_TRAILER) break;
    if (block === GIF_EXTENSION) at = afterSubBlocks(bytes, at + 2);
    else if (block !== GIF_IMAGE) at += 1;
    else if (at + 10 > bytes.length) break;
    else {
      frames += 1;
      width = Math.max(width, bytes.readUInt16LE(at + 1) + bytes.readUInt16LE(at + 5));
      height = Math.max(height, bytes.readUInt16LE(at + 3) + bytes.readUInt16LE(at + 7));
      at = afterSubBlocks(bytes, at + 11 + gifTableBytes(bytes[at + 9] ?? 0));
    }
  }
  return { frames, width, height };
}

function gifTableBytes(flags: number): number {
  return flags & 0x80 ? 3 << ((flags & 0x07) + 1) : 0;
}

function afterSubBlocks(bytes: Buffer, from: number): number {
  let at = from;
  for (let length = bytes[at] ?? 0; length > 0; length = bytes[at] ?? 0) at += length + 1;
  return at + 1;
}

/** WebP (RFC 9649 §2.7.1.1): `ANMF` chunks. They lie inside the canvas, or the decoder refuses them. */
export function webpFrames(bytes: Buffer): Animation {
  let frames = 0;
  const end = Math.min(bytes.length, bytes.readUInt32LE(4) + 8);
  for (let at = 12; at + 8 <= end; ) {
    if (bytes.toString("latin1", at, at + 4) === "ANMF") frames += 1;
    const length = bytes.readUInt32LE(at + 4);
    at += 8 + length + (length & 1);
  }
  return { frames, width: 0, height: 0 };
}
