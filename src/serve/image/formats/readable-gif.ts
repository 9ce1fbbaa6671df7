// Makes libvips show a GIF as browsers do. Its decoder distrusts screens of the size of old monitors and sides above
// 2048 and uses the extent of the first frame instead; such a GIF gets an invisible first frame that covers the screen.
// It makes the background transparent only for frames that announce a transparent colour; others get one here. It
// decodes no pixels. The structure must have been checked before (body/formats), so that every loop here ends.
import { gifTableBytes } from "../../body/formats/gif.ts";

/** A copy of a file for libvips, or the file itself. */
export interface ReadableFile {
  readonly bytes: Buffer;
  /** Page number of the image's first frame in libvips; 1 if an invisible frame was added before it. */
  readonly firstPage: 0 | 1;
}

const DISTRUSTED = ["640x480", "640x512", "800x600", "1024x768", "1280x1024", "1600x1200"];
const LONGEST_TRUSTED = 2048;

/** `stored`: a complete GIF, which is not changed. */
export function readableGif(stored: Buffer): ReadableFile {
  const file = withoutStrayZeros(stored);
  const [width, height] = [file.readUInt16LE(6), file.readUInt16LE(8)];
  const isTrusted = Math.max(width, height) <= LONGEST_TRUSTED && !DISTRUSTED.includes(`${width}x${height}`);
  const [first] = gifFramesIn(file);
  if (first === undefined || isTrusted || covers(first, { left: 0, top: 0, width, height }))
    return { bytes: withClearBackground(file), firstPage: 0 };
  const head = 13 + gifTableBytes(file[10] ?? 0);
  const frame = clearFrame(screenOf(file, [first]));
  const whole = Buffer.concat([file.subarray(0, head), frame, file.subarray(head)]);
  return { bytes: withClearBackground(whole), firstPage: 1 };
}

type Place = Pick<GifFrame, "left" | "top" | "width" | "height">;

/** A frame larger than the screen enlarges the screen. */
function screenOf(file: Buffer, frames: readonly Place[]): Place {
  const width = Math.max(file.readUInt16LE(6), ...frames.map((frame) => frame.left + frame.width));
  const height = Math.max(file.readUInt16LE(8), ...frames.map((frame) => frame.top + frame.height));
  return { left: 0, top: 0, width, height };
}

function covers(one: Place, other: Place): boolean {
  const [right, bottom] = [one.left + one.width, one.top + one.height];
  const isBeside = one.left > other.left || one.top > other.top;
  return !isBeside && right >= other.left + other.width && bottom >= other.top + other.height;
}

/**
 * An invisible frame: a control extension (colour 0 is transparent, not disposed of), a descriptor, and a code size of
 * two bits with the codes 4 (clear), 0 (one pixel) and 5 (end). Decoders leave the pixels that it lacks as they are.
 */
function clearFrame({ width, height }: Place): Buffer {
  const frame = Buffer.from([0x21, 0xf9, 4, 5, 0, 0, 0, 0, 0x2c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 0x44, 1, 0]);
  frame.writeUInt16LE(width, 13);
  frame.writeUInt16LE(height, 15);
  return frame;
}

/** Colour index that no pixel has if the frame uses fewer indices. */
const UNUSED = 255;
/** Flag in the packed byte of a graphic control extension. */
const HAS_TRANSPARENT = 1;
const [TO_BACKGROUND, TO_PREVIOUS] = [2, 3];
/** Control extension for a frame without one: decoders show such a frame for 100 ms. */
const CONTROL = Buffer.from([0x21, 0xf9, 4, HAS_TRANSPARENT, 10, 0, UNUSED, 0]);

/**
 * `bytes`: a complete GIF. Returns a copy in which each frame that shows background has a transparent colour. Returns
 * the same bytes if no frame shows background, or if such a frame uses all 256 colours.
 */
export function withClearBackground(bytes: Buffer): Buffer {
  const frames = [...gifFramesIn(bytes)];
  const wanting = frames.filter((frame, index) => {
    if (frame.indices > UNUSED || isTransparent(bytes, frame)) return false;
    return (
      showsBackground(bytes, frame, frames[index + 1]) || (index === 0 && showsBackgroundFirst(bytes, frame, frames))
    );
  });
  if (wanting.length === 0) return bytes;
  const parts: Buffer[] = [];
  let from = 0;
  for (const { at, control = at } of wanting) {
    parts.push(bytes.subarray(from, control), control === at ? CONTROL : transparent(bytes, control));
    from = control === at ? at : control + CONTROL.length;
  }
  return Buffer.concat([...parts, bytes.subarray(from)]);
}

/** Whether the background shows after the frame. */
function showsBackground(bytes: Buffer, frame: GifFrame, next: GifFrame | undefined): boolean {
  return disposal(bytes, frame) === TO_BACKGROUND && next !== undefined && !hides(bytes, next, frame);
}

/** Whether the background shows around the first frame, or in its place once it is removed. */
function showsBackgroundFirst(bytes: Buffer, first: GifFrame, frames: readonly GifFrame[]): boolean {
  const [, next] = frames;
  if (!covers(first, screenOf(bytes, frames))) return true;
  return disposal(bytes, first) >= TO_PREVIOUS && next !== undefined && !hides(bytes, next, first);
}

function hides(bytes: Buffer, frame: GifFrame, other: GifFrame): boolean {
  return covers(frame, other) && !isTransparent(bytes, frame);
}

function disposal(bytes: Buffer, { control }: GifFrame): number {
  return control === undefined ? 0 : ((bytes[control + 3] ?? 0) >> 2) & 7;
}

function isTransparent(bytes: Buffer, { control }: GifFrame): boolean {
  return control !== undefined && ((bytes[control + 3] ?? 0) & HAS_TRANSPARENT) !== 0;
}

/** A copy of the extension at this offset, with a transparent colour. */
function transparent(bytes: Buffer, control: number): Buffer {
  const changed = Buffer.from(bytes.subarray(control, control + CONTROL.length));
  changed[3] = changed[3]! | HAS_TRANSPARENT;
  changed[6] = UNUSED;
  return changed;
}

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
