// Locates the frames of a GIF in the file without decoding them. The structure must have been checked before
// (body/formats), so that every loop here ends.
import { gifTableBytes } from "../../body/formats/gif.ts";

const GIF_EXTENSION = 0x21;
const GIF_CONTROL = 0xf9;
const GIF_IMAGE = 0x2c;
const GIF_TRAILER = 0x3b;
const STRAY_ZERO = 0x00;

/** A frame of a GIF: its place in the file and its descriptor. */
export interface GifFrame {
  /** Offset of its image descriptor. */
  readonly at: number;
  /** Offset of its graphic control extension, if it has one. */
  readonly control: number | undefined;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Upper bound of its colour indices (exclusive), by its colour table and code size. */
  readonly indices: number;
}

/** All frames in file order (GIF 89a §20). */
export function* gifFramesIn(bytes: Buffer): Generator<GifFrame> {
  const globalTable = gifTableBytes(bytes[10] ?? 0);
  let control: number | undefined;
  for (let at = 13 + globalTable; isBeforeTrailer(bytes, at); at = afterBlock(bytes, at)) {
    if (bytes[at] === GIF_EXTENSION && bytes[at + 1] === GIF_CONTROL && bytes[at + 2] === 4) control = at;
    if (bytes[at] !== GIF_IMAGE || at + 10 > bytes.length) continue;
    const [left, top] = [bytes.readUInt16LE(at + 1), bytes.readUInt16LE(at + 3)];
    const [width, height] = [bytes.readUInt16LE(at + 5), bytes.readUInt16LE(at + 7)];
    const table = gifTableBytes(bytes[at + 9] ?? 0);
    const indices = Math.min((table || globalTable) / 3, 1 << (bytes[at + 10 + table] ?? 0));
    yield { at, control, left, top, width, height, indices };
    control = undefined;
  }
}

/**
 * The GIF without the zeros that some encoders leave between blocks. Browsers skip them; libvips' decoder fails.
 * Returns the file itself if it has none.
 */
export function withoutStrayZeros(file: Buffer): Buffer {
  let copy: Buffer | undefined;
  let [from, copied] = [0, 0];
  for (let at = 13 + gifTableBytes(file[10] ?? 0); isBeforeTrailer(file, at); at = afterBlock(file, at)) {
    if (file[at] !== STRAY_ZERO) continue;
    copy ??= Buffer.allocUnsafe(file.length);
    copied += file.copy(copy, copied, from, at);
    from = at + 1;
  }
  if (copy === undefined) return file;
  copied += file.copy(copy, copied, from);
  return copy.subarray(0, copied);
}

function isBeforeTrailer(bytes: Buffer, at: number): boolean {
  return at < bytes.length && bytes[at] !== GIF_TRAILER;
}

/** Offset after the block at `at`: an extension, an image, or a single stray byte. */
function afterBlock(bytes: Buffer, at: number): number {
  if (bytes[at] === GIF_EXTENSION) return afterSubBlocks(bytes, at + 2);
  if (bytes[at] === GIF_IMAGE) return afterSubBlocks(bytes, at + 11 + gifTableBytes(bytes[at + 9] ?? 0));
  return at + 1;
}

function afterSubBlocks(bytes: Buffer, from: number): number {
  let at = from;
  for (let length = bytes[at] ?? 0; length > 0; length = bytes[at] ?? 0) at += length + 1;
  return at + 1;
}
