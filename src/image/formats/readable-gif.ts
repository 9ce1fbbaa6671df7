// Makes libvips show a GIF as browsers do. Its decoder distrusts screens of the size of old monitors and sides above
// 2048 and uses the extent of the first frame instead; such a GIF gets an invisible first frame that covers the screen.
// It makes the background transparent only for frames that announce a transparent colour; others get one here. It
// decodes no pixels.
import { gifTableBytes } from "../../body/formats/gif.ts";
import { type GifFrame, gifFramesIn, withoutStrayZeros } from "./gif-frames.ts";

/** A GIF that libvips shows as browsers show the original. */
export interface ReadableGif {
  readonly bytes: Buffer;
  /** Page number of the image's first frame in libvips; 1 if an invisible frame was added before it. */
  readonly firstPage: 0 | 1;
}

const DISTRUSTED = ["640x480", "640x512", "800x600", "1024x768", "1280x1024", "1600x1200"];
const LONGEST_TRUSTED = 2048;

/** `stored`: a complete GIF, which is not changed. */
export function readableGif(stored: Buffer): ReadableGif {
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
