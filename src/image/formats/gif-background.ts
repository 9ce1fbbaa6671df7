// The ground of a GIF, which browsers leave clear: what no frame has drawn yet, and what a frame clears behind it. libvips
// makes it clear only for frames that say they have a transparent colour, and black or the background's colour for others.
import { type GifFrame, gifFramesIn } from "./gif-frames.ts";

/** A colour that no pixel has where the indices are fewer. */
const UNUSED = 255;
/** Of the packed byte of a graphic control extension. */
const HAS_TRANSPARENT = 1;
const [TO_BACKGROUND, TO_PREVIOUS] = [2, 3];
/** Where nothing is said of a frame, decoders show it for 100 ms. */
const CONTROL = Buffer.from([0x21, 0xf9, 4, HAS_TRANSPARENT, 10, 0, UNUSED, 0]);

/**
 * A whole GIF whose frames before clear ground have a transparent colour; the same bytes where there is none, or where the
 * frame uses all 256 colours and has none to spare.
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

/** Once it is over. */
function showsBackground(bytes: Buffer, frame: GifFrame, next: GifFrame | undefined): boolean {
  return disposal(bytes, frame) === TO_BACKGROUND && next !== undefined && !hides(bytes, next, frame);
}

/** Around it, or in its place, since there was nothing before. */
function showsBackgroundFirst(bytes: Buffer, first: GifFrame, frames: readonly GifFrame[]): boolean {
  const [, next] = frames;
  // A frame that is larger than the screen enlarges it.
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

/** The extension at this offset, with a transparent colour. */
function transparent(bytes: Buffer, control: number): Buffer {
  const changed = Buffer.from(bytes.subarray(control, control + CONTROL.length));
  changed[3] = changed[3]! | HAS_TRANSPARENT;
  changed[6] = UNUSED;
  return changed;
}
