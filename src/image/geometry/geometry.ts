// The size rules of the manual: the size of an image after a step, and the position of a crop or watermark. Pure: it
// does no I/O and touches no pixels. Sizes are integers, rounded half up, and no side is shorter than one pixel.
import { HuiyuanError } from "../../core/errors.ts";
import type { Box, Gravity, SizeRule, Step, StepOf, WatermarkScale } from "../grammar/recipe.ts";

/** Pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Area in pixels. */
export function areaOf({ width, height }: Size): number {
  return width * height;
}

/** A part of an image, completely inside it. */
export interface Window extends Size {
  readonly left: number;
  readonly top: number;
}

/** The size of an image after scaling by the rule. */
export function scaledSize(source: Size, rule: SizeRule): Size {
  const { width, height } = source;
  switch (rule.kind) {
    case "within":
      return scale(source, least(WHOLE, ...ratios(source, rule)));
    case "growWithin":
      return scale(source, most(WHOLE, least(...ratios(source, rule))));
    case "cover":
      return scale(source, most(...ratios(source, rule)));
    case "percent":
      return { width: side(width, [rule.x ?? 100, 100]), height: side(height, [rule.y ?? 100, 100]) };
    case "area":
      return withinArea(source, rule.pixels);
    case "exact":
      return {
        width: rule.width ?? side(width, [rule.height ?? 0, height]),
        height: rule.height ?? side(height, [rule.width ?? 0, width]),
      };
  }
}

/**
 * The scaled size that covers the box, and the part of the scaled image that is kept. An absent side is the source's.
 */
export function coverWindow(
  source: Size,
  box: Box,
  gravity: Gravity,
): { readonly scaled: Size; readonly window: Window } {
  const wanted = boxSize(source, box);
  const scaled = scale(source, most([wanted.width, source.width], [wanted.height, source.height]));
  return { scaled, window: { ...wanted, ...aligned(scaled, wanted, gravity) } };
}

/** Width and height of the box for this image; an absent side is the image's. */
function boxSize(source: Size, box: Box): Size {
  const { width, height } = boxSides(source, box);
  return { width: width ?? source.width, height: height ?? source.height };
}

/** The size after a turn; an upper bound unless the turn is a multiple of 90 degrees. */
export function turnedSize({ width, height }: Size, degrees: number): Size {
  // Math.cos of 90 degrees is not exactly 0, and one pixel too many would refuse or shrink an image that fits.
  if (degrees % 90 === 0) return degrees % 180 === 0 ? { width, height } : { width: height, height: width };
  const radians = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.abs(Math.cos(radians)), Math.abs(Math.sin(radians))];
  return { width: Math.ceil(width * cos + height * sin), height: Math.ceil(width * sin + height * cos) };
}

/** A plain crop, clipped to the image. Throws processing_invalid if no part of the image is left. */
export function plainWindow(source: Size, step: Omit<StepOf<"window">, "name">): Window {
  const [left, width] = span(source.width, step.width ?? source.width, step.dx);
  const [top, height] = span(source.height, step.height ?? source.height, step.dy);
  if (width > 0 && height > 0) return { left, top, width, height };
  const found = `nothing of ${source.width}×${source.height} lies in it`;
  throw new HuiyuanError("processing_invalid", `Cannot crop: ${found}`, {
    parameter: "imageMogr2/crop or cut",
    wanted: "a part of the image",
  });
}

/** The size after a step by the rules of operations.ts; autoOrient is assumed not to turn. */
export function sizeAfter(step: Step, size: Size): Size {
  switch (step.name) {
    case "resize":
      return scaledSize(size, step.rule);
    case "coverCrop":
      return coverWindow(size, step, step.gravity).window;
    case "attentionCrop":
      return boxSize(size, step);
    case "window":
      return cutSize(size, step);
    case "pad":
      return step;
    case "circle":
      return { width: step.radius * 2, height: step.radius * 2 };
    case "rotate":
      return turnedSize(size, step.degrees);
    default:
      return size;
  }
}

function cutSize(size: Size, step: StepOf<"window">): Size {
  try {
    return plainWindow(size, step);
  } catch (error) {
    // No part is left: the render will refuse it, unless autoOrient turns the image first.
    if (error instanceof HuiyuanError) return size;
    throw error;
  }
}

/** Throws processing_invalid if the radius is half of a side or more. */
export function refuseLargeRadius({ name, radius }: StepOf<"circle" | "roundCorners">, { width, height }: Size): void {
  if (radius * 2 < Math.min(width, height)) return;
  const found = `the radius is ${radius} and the image has ${width}×${height} pixels`;
  const wanted = "less than half of the shorter side";
  const parameter = name === "circle" ? "imageMogr2/iradius" : "imageMogr2/rradius";
  throw new HuiyuanError("processing_invalid", `Cannot round: ${found}, wanted ${wanted}`, { parameter, wanted });
}

/** Position of a part by gravity; negative if the part is larger than the whole. */
export function aligned(whole: Size, part: Size, gravity: Gravity): { readonly left: number; readonly top: number } {
  const [horizontal, vertical] = [whole.width - part.width, whole.height - part.height];
  const column = gravity.endsWith("west") ? 0 : gravity.endsWith("east") ? 1 : 0.5;
  const row = gravity.startsWith("north") ? 0 : gravity.startsWith("south") ? 1 : 0.5;
  return { left: Math.floor(horizontal * column), top: Math.floor(vertical * row) };
}

/** Position of a part centred on this point, moved so that the part lies inside the whole. */
export function centredOn(
  whole: Size,
  part: Size,
  { x, y }: { readonly x: number; readonly y: number },
): { readonly left: number; readonly top: number } {
  const start = (middle: number, length: number, most: number) =>
    Math.min(most - length, Math.max(0, Math.round(middle - length / 2)));
  return { left: start(x, part.width, whole.width), top: start(y, part.height, whole.height) };
}

/**
 * Size of a tile: the watermark and its gaps, which are `gapPerCent` of its size plus `dx` and `dy`. At most the
 * image's size.
 */
export function tileSize(
  image: Size,
  watermark: Size,
  { dx, dy, gapPerCent }: { readonly dx: number; readonly dy: number; readonly gapPerCent: number },
): Size {
  const side = (pixels: number, more: number, most: number) =>
    Math.min(most, pixels + Math.round((pixels * gapPerCent) / 100) + more);
  return { width: side(watermark.width, dx, image.width), height: side(watermark.height, dy, image.height) };
}

/**
 * Position of a watermark. `dx` and `dy` are distances from the edges that the gravity names; without such an edge they
 * are ignored.
 */
export function watermarkPosition(
  image: Size,
  watermark: Size,
  { gravity, dx, dy }: { readonly gravity: Gravity; readonly dx: number; readonly dy: number },
): { readonly left: number; readonly top: number } {
  const { left, top } = aligned(image, watermark, gravity);
  const moveRight = gravity.endsWith("west") ? dx : gravity.endsWith("east") ? -dx : 0;
  const moveDown = gravity.startsWith("north") ? dy : gravity.startsWith("south") ? -dy : 0;
  return { left: left + moveRight, top: top + moveDown };
}

/** Size of a watermark by `scatype` and `spcent`. */
export function watermarkSize(image: Size, watermark: Size, { by, permille }: WatermarkScale): Size {
  if (by === "width") return scale(watermark, [image.width * permille, 1000 * watermark.width]);
  if (by === "height") return scale(watermark, [image.height * permille, 1000 * watermark.height]);
  const factor = Math.sqrt((image.width * image.height * permille) / (1000 * watermark.width * watermark.height));
  return scale(watermark, [factor, 1]);
}

/** The visible part of a watermark at `left`, `top`, in pixels of the watermark; undefined if no part is visible. */
export function visiblePart(
  image: Size,
  watermark: Size,
  { left, top }: { readonly left: number; readonly top: number },
): Window | undefined {
  const [x, width] = overlap(image.width, watermark.width, left);
  const [y, height] = overlap(image.height, watermark.height, top);
  return width > 0 && height > 0 ? { left: x, top: y, width, height } : undefined;
}

function overlap(whole: number, part: number, at: number): readonly [start: number, length: number] {
  const start = Math.max(0, -at);
  return [start, Math.min(part, whole - at) - start];
}

/** Offset and length on one axis. A negative offset starts at 0 and shortens. */
function span(whole: number, length: number, offset: number): readonly [start: number, length: number] {
  if (offset < 0) return [0, Math.min(whole, length + offset)];
  return [offset, Math.min(length, whole - offset)];
}

/** The box as width and height for this image. The long edge of a square image is its height. */
function boxSides(
  { width, height }: Size,
  { axes, first, second }: Box,
): { readonly width?: number; readonly height?: number } {
  const isUpright = axes === "edges" && width <= height;
  const [across, down] = isUpright ? [second, first] : [first, second];
  return { ...(across !== undefined && { width: across }), ...(down !== undefined && { height: down }) };
}

/** Numerator and denominator, because a rounded quotient could fall below an exact half. */
type Ratio = readonly [by: number, over: number];

const WHOLE: Ratio = [1, 1];

function ratios(source: Size, box: Box): Ratio[] {
  const { width, height } = boxSides(source, box);
  return [
    ...(width === undefined ? [] : [[width, source.width] as const]),
    ...(height === undefined ? [] : [[height, source.height] as const]),
  ];
}

function least(...ratios: readonly Ratio[]): Ratio {
  return ratios.reduce((one, other) => (other[0] * one[1] < one[0] * other[1] ? other : one));
}

function most(...ratios: readonly Ratio[]): Ratio {
  return ratios.reduce((one, other) => (other[0] * one[1] > one[0] * other[1] ? other : one));
}

function withinArea(source: Size, pixels: number): Size {
  const factor = Math.min(1, Math.sqrt(pixels / (source.width * source.height)));
  const size = scale(source, [factor, 1]);
  if (size.width * size.height <= pixels) return size;
  // Rounding up both sides may exceed the area, and so may a side raised to one pixel.
  const width = Math.max(1, Math.min(pixels, Math.floor(source.width * factor)));
  return { width, height: Math.max(1, Math.min(Math.floor(pixels / width), Math.floor(source.height * factor))) };
}

function scale({ width, height }: Size, ratio: Ratio): Size {
  return { width: side(width, ratio), height: side(height, ratio) };
}

function side(pixels: number, [by, over]: Ratio): number {
  return Math.max(1, Math.round((pixels * by) / over));
}
