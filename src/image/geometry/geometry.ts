// The size rules of the manual: how large a scaled image is, where a crop or a mark lies. Pure integers; rounding is half
// up, and no side is ever shorter than one pixel.
import { HuiyuanError } from "../../core/errors.ts";
import type { Box, Gravity, SizeRule, Step, StepOf, WatermarkScale } from "../grammar/recipe.ts";

/** Pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** In pixels. */
export function areaOf({ width, height }: Size): number {
  return width * height;
}

/** A part of an image, inside it. */
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

/** Scaling that covers the box, and the part of the scaled image that is kept. An absent side is the source's own. */
export function coverWindow(
  source: Size,
  box: Box,
  gravity: Gravity,
): { readonly scaled: Size; readonly window: Window } {
  const wanted = boxSize(source, box);
  const scaled = scale(source, most([wanted.width, source.width], [wanted.height, source.height]));
  return { scaled, window: { ...wanted, ...aligned(scaled, wanted, gravity) } };
}

/** The sides that the box means for this image, an absent one being the image's. */
function boxSize(source: Size, box: Box): Size {
  const { width, height } = boxSides(source, box);
  return { width: width ?? source.width, height: height ?? source.height };
}

/** The size after a turn; by other than whole turns of 90 degrees an upper bound. */
export function turnedSize({ width, height }: Size, degrees: number): Size {
  // The cosine of 90 degrees is not 0 here, and a pixel more would refuse or shrink what fits.
  if (degrees % 90 === 0) return degrees % 180 === 0 ? { width, height } : { width: height, height: width };
  const radians = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.abs(Math.cos(radians)), Math.abs(Math.sin(radians))];
  return { width: Math.ceil(width * cos + height * sin), height: Math.ceil(width * sin + height * cos) };
}

/** A plain cut, clipped to the image. Throws processing_invalid where nothing of the image is left. */
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

/** As operations.ts has it, but for an image that lies on its side. */
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
    // Nothing is left of it, which the render says; or there would be, were it upright.
    if (error instanceof HuiyuanError) return size;
    throw error;
  }
}

/** Throws processing_invalid where the radius is half of a side or more. */
export function refuseLargeRadius({ name, radius }: StepOf<"circle" | "roundCorners">, { width, height }: Size): void {
  if (radius * 2 < Math.min(width, height)) return;
  const found = `the radius is ${radius} and the image has ${width}×${height} pixels`;
  const wanted = "less than half of the shorter side";
  const parameter = name === "circle" ? "imageMogr2/iradius" : "imageMogr2/rradius";
  throw new HuiyuanError("processing_invalid", `Cannot round: ${found}, wanted ${wanted}`, { parameter, wanted });
}

/** Where a part of a whole lies by gravity. Negative where the part is larger. */
export function aligned(whole: Size, part: Size, gravity: Gravity): { readonly left: number; readonly top: number } {
  const [horizontal, vertical] = [whole.width - part.width, whole.height - part.height];
  const column = gravity.endsWith("west") ? 0 : gravity.endsWith("east") ? 1 : 0.5;
  const row = gravity.startsWith("north") ? 0 : gravity.startsWith("south") ? 1 : 0.5;
  return { left: Math.floor(horizontal * column), top: Math.floor(vertical * row) };
}

/** Where a part lies that has this point of the whole in its middle, as nearly as it can inside it. */
export function centredOn(
  whole: Size,
  part: Size,
  { x, y }: { readonly x: number; readonly y: number },
): { readonly left: number; readonly top: number } {
  const start = (middle: number, length: number, most: number) =>
    Math.min(most - length, Math.max(0, Math.round(middle - length / 2)));
  return { left: start(x, part.width, whole.width), top: start(y, part.height, whole.height) };
}

/** What is repeated of a mark: it and the gaps to the next ones, `dx` and `dy` wider than their part of it. None is larger than the image. */
export function tileSize(
  image: Size,
  watermark: Size,
  { dx, dy, gapPerCent }: { readonly dx: number; readonly dy: number; readonly gapPerCent: number },
): Size {
  const side = (pixels: number, more: number, most: number) =>
    Math.min(most, pixels + Math.round((pixels * gapPerCent) / 100) + more);
  return { width: side(watermark.width, dx, image.width), height: side(watermark.height, dy, image.height) };
}

/** Where a mark lies: `dx` and `dy` are distances from the edges that the gravity names, and ignored where it names none. */
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

/** How large a mark is by `scatype` and `spcent`. */
export function watermarkSize(image: Size, watermark: Size, { by, permille }: WatermarkScale): Size {
  if (by === "width") return scale(watermark, [image.width * permille, 1000 * watermark.width]);
  if (by === "height") return scale(watermark, [image.height * permille, 1000 * watermark.height]);
  const factor = Math.sqrt((image.width * image.height * permille) / (1000 * watermark.width * watermark.height));
  return scale(watermark, [factor, 1]);
}

/** The part of a mark at `left`, `top` that lies on the image, in the mark's own pixels; undefined: none of it. */
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

/** The box as width and height for this image. Where edges are meant, a square image's long edge is its height. */
function boxSides(
  { width, height }: Size,
  { axes, first, second }: Box,
): { readonly width?: number; readonly height?: number } {
  const isUpright = axes === "edges" && width <= height;
  const [across, down] = isUpright ? [second, first] : [first, second];
  return { ...(across !== undefined && { width: across }), ...(down !== undefined && { height: down }) };
}

/** Numerator and denominator: a quotient that is rounded first turns an exact half into something less. */
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
  // Rounded up on both sides it may be too much, and a side that is held at one pixel is longer than its share.
  const width = Math.max(1, Math.min(pixels, Math.floor(source.width * factor)));
  return { width, height: Math.max(1, Math.min(Math.floor(pixels / width), Math.floor(source.height * factor))) };
}

function scale({ width, height }: Size, ratio: Ratio): Size {
  return { width: side(width, ratio), height: side(height, ratio) };
}

function side(pixels: number, [by, over]: Ratio): number {
  return Math.max(1, Math.round((pixels * by) / over));
}
