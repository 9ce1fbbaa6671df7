// Parses the sizes of imageMogr2 in both eras: thumbnails, scaling crops and plain crops. Pure: it does no I/O and does
// not know the image.
import type { Box, Era, Gravity, SizeRule, Step } from "./recipe.ts";
import { MAX_SIDE, type Parameter, readInteger, readSide, refuse } from "./values.ts";

/** Limits of a scaling crop's sides in the manual of 2015, in pixels. */
const LEAST_CROP_2015 = 10;
const MOST_CROP_2015 = 16_383;

/** The largest numbers. */
const TENCENT = { perCent: 1000, side: MAX_SIDE, area: 999_999_999 };

/** Reads digits of the value, from 1 to the limit. */
type Read = (limit: keyof typeof TENCENT, digits?: string) => number;

/** The forms of `thumbnail/…`. */
const FORMS: readonly (readonly [pattern: RegExp, rule: (read: Read, parts: readonly string[]) => SizeRule])[] = [
  [/^!(\d+)p$/, (read, [s]) => ({ kind: "percent", x: read("perCent", s), y: read("perCent", s) })],
  [/^!(\d+)px$/, (read, [s]) => ({ kind: "percent", x: read("perCent", s) })],
  [/^!x(\d+)p$/, (read, [s]) => ({ kind: "percent", y: read("perCent", s) })],
  [/^(\d+)x$/, (read, [w]) => ({ kind: "exact", width: read("side", w) })],
  [/^x(\d+)$/, (read, [h]) => ({ kind: "exact", height: read("side", h) })],
  [/^(\d+)x(\d+)!$/, (read, [w, h]) => ({ kind: "exact", width: read("side", w), height: read("side", h) })],
  [/^(\d+)x(\d+)>$/, (read, parts) => ({ kind: "within", ...box(read, parts) })],
  [/^(\d+)x(\d+)<$/, (read, parts) => ({ kind: "growWithin", ...box(read, parts) })],
  [/^(\d+)x(\d+)$/, (read, parts) => ({ kind: "within", ...box(read, parts) })],
  [/^!(\d+)x(\d+)r$/, (read, parts) => ({ kind: "cover", ...box(read, parts) })],
  [/^(\d+)@$/, (read, [area]) => ({ kind: "area", pixels: read("area", area) })],
];

function box(read: Read, [first, second]: readonly string[]): Box {
  return { axes: "sides", first: read("side", first), second: read("side", second) };
}

/** Reads `thumbnail/…`. In 2015 `<W>x<H>` and `!<W>x<H>r` mean long and short edge, otherwise width and height. */
export function readThumbnail(parameter: Parameter, era: Era, limits = TENCENT): SizeRule {
  const read: Read = (limit, digits = "") => readInteger({ ...parameter, value: digits }, 1, limits[limit]);
  for (const [pattern, rule] of FORMS) {
    const match = pattern.exec(parameter.value);
    if (match === null) continue;
    const found = rule(read, match.slice(1));
    return era === 2015 && /\d$|r$/.test(parameter.value) && "axes" in found ? { ...found, axes: "edges" } : found;
  }
  return refuse(
    parameter,
    "one of !50p, !50px, !x50p, 400x, x300, 400x300, !400x300r, 400x300!, 400x300>, 400x300<, 120000@",
  );
}

/** Reads `<W>x`, `x<H>` or `<W>x<H>` of a scaling crop. */
export function readSizedCrop(parameter: Parameter, era: Era): Box {
  const match = /^(\d*)x(\d*)$/.exec(parameter.value);
  const [least, most] = era === 2015 ? [LEAST_CROP_2015, MOST_CROP_2015] : [1, MAX_SIDE];
  const first = readSide(parameter, match?.[1] ?? "", least, most);
  const second = readSide(parameter, match?.[2] ?? "", least, most);
  if (first === undefined && second === undefined) return refuse(parameter, "<W>x, x<H> or <W>x<H>");
  return { axes: "sides", ...(first !== undefined && { first }), ...(second !== undefined && { second }) };
}

/**
 * Reads `!<size><offsets>`; the caller has seen the `!`. `a<n>` shifts inward from the edge that the gravity names;
 * `-<n>` shifts outward, which shortens that side by n. Without offsets the window lies where the gravity says.
 */
export function readWindow(parameter: Parameter, gravity: Gravity = "northwest"): Step {
  const { at = { x: 0, y: 0 }, ...size } = readPlacedSize(parameter, (digits) => readSide(parameter, digits));
  if (size.width === undefined && size.height === undefined) return refuse(parameter, "a width or a height");
  return windowOf(size, at, gravity);
}

const WANTED_WINDOW = "!<size>a<dx>a<dy>, with - in place of a to shift outward";

/** An absent side is the image's. */
interface Sides {
  readonly width?: number;
  readonly height?: number;
}

export function windowOf(size: Sides, { x, y }: { readonly x: number; readonly y: number }, gravity: Gravity): Step {
  return { name: "window", ...size, dx: x, dy: y, ...(gravity !== "northwest" && { gravity }) };
}

/** Reads `[!]<size>[<offsets>]`; `toSide` reads the digits of a side. */
export function readPlacedSize(
  parameter: Parameter,
  toSide: (digits: string) => number | undefined,
): Sides & { readonly at?: { readonly x: number; readonly y: number } } {
  const match = /^!?(\d*)x(\d*)(?:([a-])(\d{1,5})([a-])(\d{1,5}))?$/.exec(parameter.value);
  if (match === null) return refuse(parameter, WANTED_WINDOW);
  const [, w = "", h = "", signX, x = "", signY, y = ""] = match;
  const [width, height] = [toSide(w), toSide(h)];
  return {
    ...{ ...(width !== undefined && { width }), ...(height !== undefined && { height }) },
    ...(signX !== undefined && { at: { x: offset(signX, x), y: offset(signY, y) } }),
  };
}

function offset(sign: string | undefined, digits: string): number {
  const number = Number(digits);
  return sign === "-" && number > 0 ? -number : number;
}
