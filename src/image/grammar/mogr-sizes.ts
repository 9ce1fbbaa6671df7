// Parses the sizes of imageMogr2 in both eras: thumbnails, scaling crops and plain crops. Pure: it does no I/O and does
// not know the image.
import type { Axes, Box, Era, SizeRule, Step } from "./recipe.ts";
import { MAX_SIDE, type Parameter, readInteger, readSide, refuse } from "./values.ts";

const MAX_PER_CENT = 1000;
const MAX_AREA = 999_999_999;
/** Limits of a scaling crop's sides in the manual of 2015, in pixels. */
const LEAST_CROP_2015 = 10;
const MOST_CROP_2015 = 16_383;

type Rule = (parameter: Parameter, parts: readonly string[], axes: Axes) => SizeRule;

/** The forms of `thumbnail/…`. */
const FORMS: readonly (readonly [pattern: RegExp, rule: Rule])[] = [
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
  for (const [pattern, rule] of FORMS) {
    const match = pattern.exec(parameter.value);
    if (match !== null) return rule(parameter, match.slice(1), era === 2015 ? "edges" : "sides");
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
 * Reads `!<size><offsets>`. `a<n>` shifts right or down; `-<n>` starts at 0 and shortens that side by n. Without
 * offsets the window starts at the corner.
 */
export function readWindow(parameter: Parameter): Step {
  const match = /^!(\d*)x(\d*)(?:([a-])(\d{1,5})([a-])(\d{1,5}))?$/.exec(parameter.value);
  if (match === null) return refuse(parameter, "!<size>a<dx>a<dy>, with - in place of a to shorten that side");
  const [, w = "", h = "", signX, x = "0", signY, y = "0"] = match;
  const width = readSide(parameter, w);
  const height = readSide(parameter, h);
  const [dx, dy] = [offset(signX, x), offset(signY, y)];
  if (width === undefined && height === undefined) return refuse(parameter, "a width or a height");
  if ((width !== undefined && width + dx <= 0 && dx < 0) || (height !== undefined && height + dy <= 0 && dy < 0))
    return refuse(parameter, "offsets that leave something of the size");
  return { name: "window", ...(width !== undefined && { width }), ...(height !== undefined && { height }), dx, dy };
}

function offset(sign: string | undefined, digits: string): number {
  const number = Number(digits);
  return sign === "-" && number > 0 ? -number : number;
}

/** Reads a part of the value, from 1. */
function readPart(parameter: Parameter, digits: string, most: number): number {
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
