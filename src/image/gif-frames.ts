// Where the frames of a GIF lie, read in the file without decoding one. The structure has been found whole before (body/formats),
// so that every walk here ends.

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

/** Bytes of the colour table that a flags byte announces. */
export function gifTableBytes(flags: number): number {
  return flags & 0x80 ? 3 << ((flags & 0x07) + 1) : 0;
}

function afterSubBlocks(bytes: Buffer, from: number): number {
  let at = from;
  for (let length = bytes[at] ?? 0; length > 0; length = bytes[at] ?? 0) at += length + 1;
  return at + 1;
}
