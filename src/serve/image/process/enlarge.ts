// Enlarges images. libvips would shift the result by half a pixel to the lower right, and so blur a side that keeps its
// length. The kernel is the same (Catmull-Rom): one axis after the other, premultiplied alpha, edge pixels repeated. It
// reduces nothing.
import type { Size, Window } from "../geometry/geometry.ts";
import { allocatePixels } from "../pixels/memory.ts";
import type { Pixels } from "../pixels/pixels.ts";

/** One axis: lengths of the source and of the enlarged image, and the requested part of the latter. Pixels. */
interface Side {
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly length: number;
}

/** Size of the source, size of the enlarged image, and the requested part of the latter. */
export interface Enlargement {
  readonly from: Size;
  readonly to: Size;
  readonly window: Window;
}

/** The size after the shrinking sides are reduced; from there no side becomes shorter. */
export function reducedFirst(from: Size, to: Size): Size {
  return { width: Math.min(from.width, to.width), height: Math.min(from.height, to.height) };
}

/** The part of the source from which the requested part is computed. */
export function neededPart(enlargement: Enlargement): Window {
  const [left, right] = reach(across(enlargement));
  const [top, bottom] = reach(down(enlargement));
  return { left, top, width: right - left, height: bottom - top };
}

/**
 * `part`: one frame that contains the needed part; `left` and `top` are its corner in the source. Throws
 * image_too_large.
 */
export function enlarged(
  part: Pixels,
  enlargement: Enlargement,
  { left, top }: { readonly left: number; readonly top: number },
): Pixels {
  const { window } = enlargement;
  const { channels } = part;
  const data = allocatePixels(window.width * window.height * channels);
  const rows = widenedRows(part, taps(across(enlargement), { skipped: left, given: part.width, step: channels }));
  const { at, weights } = taps(down(enlargement), { skipped: top, given: part.height, step: 1 });
  const length = window.width * channels;
  const join = channels === 4 ? joinAlpha : joinOpaque;
  for (let y = 0, tap = 0; y < window.height; y += 1, tap += TAPS) {
    const four = [rows(at[tap]!), rows(at[tap + 1]!), rows(at[tap + 2]!), rows(at[tap + 3]!)] as const;
    // A clamped array rounds and limits values to 0–255.
    join(
      new Uint8ClampedArray(data.buffer, data.byteOffset + y * length, length),
      four,
      weights.subarray(tap, tap + TAPS),
    );
  }
  return { data, width: window.width, height: window.height, channels, frames: 1 };
}

const TAPS = 4;

function across({ from, to, window }: Enlargement): Side {
  return { from: from.width, to: to.width, start: window.left, length: window.width };
}

function down({ from, to, window }: Enlargement): Side {
  return { from: from.height, to: to.height, start: window.top, length: window.height };
}

/** The centre of a result pixel in source pixels; centres of source pixels are whole numbers. */
function middle({ from, to, start }: Side, index: number): number {
  return ((start + index + 0.5) * from) / to - 0.5;
}

function reach(side: Side): readonly [first: number, end: number] {
  const first = Math.floor(middle(side, 0)) - 1;
  const last = Math.floor(middle(side, side.length - 1)) + 2;
  return [Math.max(0, first), Math.min(side.from, last + 1)];
}

interface Taps {
  /** For each result pixel its four source pixels, as offsets in units of `step`. */
  readonly at: Int32Array;
  readonly weights: Float32Array;
}

function taps(side: Side, part: { readonly skipped: number; readonly given: number; readonly step: number }): Taps {
  const at = new Int32Array(side.length * TAPS);
  const weights = new Float32Array(side.length * TAPS);
  for (let index = 0; index < side.length; index += 1) {
    const here = middle(side, index);
    const first = Math.floor(here) - 1;
    for (let tap = 0; tap < TAPS; tap += 1) {
      const given = Math.min(part.given - 1, Math.max(0, first + tap - part.skipped));
      at[index * TAPS + tap] = given * part.step;
      weights[index * TAPS + tap] = catmullRom(Math.abs(here - first - tap));
    }
  }
  return { at, weights };
}

function catmullRom(distance: number): number {
  if (distance < 1) return (1.5 * distance - 2.5) * distance * distance + 1;
  return distance < 2 ? ((-0.5 * distance + 2.5) * distance - 4) * distance + 2 : 0;
}

/** Rows at their new width. They are read in ascending order, and the last four are cached. */
function widenedRows({ data, width, channels }: Pixels, { at, weights }: Taps): (y: number) => Float32Array {
  const source = new Float32Array(width * channels);
  const kept = Array.from({ length: TAPS }, () => ({ y: -1, row: new Float32Array((at.length / TAPS) * channels) }));
  return (y) => {
    const slot = kept[y % TAPS]!;
    if (slot.y === y) return slot.row;
    slot.y = y;
    readRow(source, data.subarray(y * source.length, (y + 1) * source.length), channels);
    for (let tap = 0, to = 0; tap < at.length; tap += TAPS) {
      const [one, two, three, four] = [at[tap]!, at[tap + 1]!, at[tap + 2]!, at[tap + 3]!];
      for (let channel = 0; channel < channels; channel += 1, to += 1)
        slot.row[to] =
          source[one + channel]! * weights[tap]! +
          source[two + channel]! * weights[tap + 1]! +
          source[three + channel]! * weights[tap + 2]! +
          source[four + channel]! * weights[tap + 3]!;
    }
    return slot.row;
  };
}

/** Converts a row to floats and premultiplies it by its alpha channel, if it has one. */
function readRow(row: Float32Array, bytes: Buffer, channels: Pixels["channels"]): void {
  row.set(bytes);
  if (channels === 3) return;
  for (let at = 0; at < row.length; at += 4) {
    const share = row[at + 3]! / 255;
    row[at] = row[at]! * share;
    row[at + 1] = row[at + 1]! * share;
    row[at + 2] = row[at + 2]! * share;
  }
}

type FourRows = readonly [Float32Array, Float32Array, Float32Array, Float32Array];

function joinOpaque(to: Uint8ClampedArray, [one, two, three, four]: FourRows, weights: Float32Array): void {
  const [a, b, c, d] = [weights[0]!, weights[1]!, weights[2]!, weights[3]!];
  for (let at = 0; at < to.length; at += 1) to[at] = one[at]! * a + two[at]! * b + three[at]! * c + four[at]! * d;
}

function joinAlpha(to: Uint8ClampedArray, [one, two, three, four]: FourRows, weights: Float32Array): void {
  const [a, b, c, d] = [weights[0]!, weights[1]!, weights[2]!, weights[3]!];
  for (let pixel = 0; pixel < to.length; pixel += 4) {
    const at = pixel + 3;
    const alpha = one[at]! * a + two[at]! * b + three[at]! * c + four[at]! * d;
    to[at] = alpha;
    const straight = alpha > 0 ? 255 / alpha : 0;
    for (let at = pixel; at < pixel + 3; at += 1)
      to[at] = (one[at]! * a + two[at]! * b + three[at]! * c + four[at]! * d) * straight;
  }
}
