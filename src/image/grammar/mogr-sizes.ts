// Parses the sizes of imageMogr2 in both eras: thumbnails, scaling crops and plain crops. Pure: it does no I/O and does
// not know the image.
import { type Axes, type Box, type Era, edgesOf, type Gravity, type SizeRule, type Step } from "./recipe.ts";
import { MAX_SIDE, type Parameter, readInteger, readSide, refuse } from "./values.ts";

const MAX_PER_CENT = 1000;
const MAX_AREA = 999_999_999;
/** Limits of a scaling crop's sides in the manual of 2015, in pixels. */
const LEAST_CROP_2015 = 10;
const MOST_CROP_2015 = 16_383;

type Rule = (parameter: Parameter, parts: readonly string[], axes: Axes) => SizeRule;

export type Form = readonly [pattern: RegExp, rule: Rule];

/** The forms of `thumbnail/…`. */
const FORMS: readonly Form[] = [
  [/^!(\d+)p$/, (parameter, [s]) => ({ kind: "percent", x: perCent(parameter, s), y: perCent(parameter, s) })],
  [/^!(\d+)px$/, (parameter, [s]) => ({ kind: "percent", x: perCent(parameter, s) })],
  [/^!x(\d+)p$/, (parameter, [s]) => ({ kind: "percent", y: perCent(parameter, s) })],
  [/^(\d+)x$/, (parameter, [w]) => ({ kind: "exact", width: side(parameter, w) })],
  [/^x(\d+)$/, (parameter, [h]) => ({ kind: "exact", height: side(parameter, h) })],
  [/^(\d+)x(\d+)!$/, (parameter, [w, h]) => ({ kind: "exact", width: side(parameter, w), height: side(parameter, h) })],
  [/^(\d+)x(\d+)$/, (parameter, parts, axes) => ({ kind: "within", ...sides(parameter, parts, axes) })],
  [/^!(\d+)x(\d+)r$/, (parameter, parts, axes) => ({ kind: "cover", ...sides(parameter, parts, axes) })],
  [/^(\d+)x(\d+)>$/, (parameter, parts) => ({ kind: "within", ...sides(parameter, parts, "sides") })],
  [/^(\d+)x(\d+)<$/, (parameter, parts) => ({ kind: "growWithin", ...sides(parameter, parts, "sides") })],
  [/^(\d+)@$/, (parameter, [area = ""]) => ({ kind: "area", pixels: readPart(parameter, area, MAX_AREA) })],
];

/** Reads `thumbnail/…`. In 2015 `<W>x<H>` and `!<W>x<H>r` mean long and short edge, later width and height. */
export function readThumbnail(parameter: Parameter, era: Era): SizeRule {
  return readForm(parameter, FORMS, era === 2015 ? "edges" : "sides");
}

/** Reads the first of the forms that the value has. */
export function readForm(parameter: Parameter, forms: readonly Form[], axes: Axes): SizeRule {
  for (const [pattern, rule] of forms) {
    const match = pattern.exec(parameter.value);
    if (match !== null) return rule(parameter, match.slice(1), axes);
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
 * Reads `!<size><offsets>`. `a<n>` shifts inward from the edge that the gravity names; `-<n>` shifts outward, which
 * shortens that side by n. Without offsets the window lies where the gravity says.
 */
export function readWindow(parameter: Parameter, gravity: Gravity = "northwest"): Step {
  if (!parameter.value.startsWith("!")) return refuse(parameter, WANTED_WINDOW);
  const { at = { x: 0, y: 0 }, ...size } = readPlacedSize(parameter, (digits) => readSide(parameter, digits));
  if (size.width === undefined && size.height === undefined) return refuse(parameter, "a width or a height");
  const { isBeside, isAbove } = edgesOf(gravity);
  if ((isBeside && isOutside(size.width, at.x)) || (isAbove && isOutside(size.height, at.y)))
    return refuse(parameter, "offsets that leave something of the size");
  return windowOf(size, at, gravity);
}

const WANTED_WINDOW = "!<size>a<dx>a<dy>, with - in place of a to shift outward";

function isOutside(side: number | undefined, shift: number): boolean {
  return side !== undefined && shift < 0 && side + shift <= 0;
}

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

/** Reads a part of the value, from 1. */
export function readPart(parameter: Parameter, digits: string, most: number): number {
  return readInteger({ ...parameter, value: digits }, 1, most);
}

function perCent(parameter: Parameter, digits = ""): number {
  return readPart(parameter, digits, MAX_PER_CENT);
}

function side(parameter: Parameter, digits = ""): number {
  return readPart(parameter, digits, MAX_SIDE);
}

function sides(parameter: Parameter, [first, second]: readonly string[], axes: Axes): Box {
  return { axes, first: side(parameter, first), second: side(parameter, second) };
}
