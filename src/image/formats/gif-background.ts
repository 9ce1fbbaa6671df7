// Makes the background of a GIF transparent, as browsers show it: pixels that no frame has drawn yet, or that a frame
// clears after it. libvips does so only for frames that announce a transparent colour; for others it uses black or the
// background colour. Such frames get a transparent colour here. It decodes no pixels.
import { type GifFrame, gifFramesIn } from "./gif-frames.ts";

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
  // A frame larger than the screen enlarges the screen.
  let [width, height] = [bytes.readUInt16LE(6), bytes.readUInt16LE(8)];
  for (const frame of frames) {
    width = Math.max(width, frame.left + frame.width);
    height = Math.max(height, frame.top + frame.height);
  }
  if (!covers(first, { left: 0, top: 0, width, height })) return true;
  return disposal(bytes, first) >= TO_PREVIOUS && next !== undefined && !hides(bytes, next, first);
}

function hides(bytes: Buffer, frame: GifFrame, other: GifFrame): boolean {
  return covers(frame, other) && !isTransparent(bytes, frame);
}

type Place = Pick<GifFrame, "left" | "top" | "width" | "height">;

function covers(one: Place, other: Place): boolean {
  const [right, bottom] = [one.left + one.width, one.top + one.height];
  const isBeside = one.left > other.left || one.top > other.top;
  return !isBeside && right >= other.left + other.width && bottom >= other.top + other.height;
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
