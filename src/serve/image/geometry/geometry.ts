// The size rules of the manual: the size of an image after a step, and the position of a crop or watermark. Pure: it
// does no I/O and touches no pixels. Sizes are integers, rounded half up, and no side is shorter than one pixel.
import { HuiyuanError } from "../../../core/errors.ts";
import {
  type Box,
  edgesOf,
  type Gravity,
  type Length,
  type SizeRule,
  type Step,
  type StepOf,
  type WatermarkScale,
} from "../grammar/recipe.ts";

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
    case "fit":
      return scale(source, least(...ratios(source, rule)));
    case "growWithin":
      return scale(source, most(WHOLE, least(...ratios(source, rule))));
    case "cover":
      return scale(source, covering(rule, ratios(source, rule)));
    case "percent":
      return { width: side(width, [rule.x ?? 100, 100]), height: side(height, [rule.y ?? 100, 100]) };
    case "area":
      return withinArea(source, rule);
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
  box: Box & Pick<StepOf<"coverCrop">, "onlyShrinks">,
  gravity: Gravity,
): { readonly scaled: Size; readonly window: Window } {
  const { width, height } = boxSize(source, box);
  const across: Ratio = [width, source.width];
  const scaled = scale(source, covering(box, [across, [height, source.height]]));
  const part = { width: Math.min(width, scaled.width), height: Math.min(height, scaled.height) };
  return { scaled, window: { ...part, ...aligned(scaled, part, gravity) } };
}

function covering({ onlyShrinks }: { readonly onlyShrinks?: true }, ratios: readonly Ratio[]): Ratio {
  return onlyShrinks ? least(WHOLE, most(...ratios)) : most(...ratios);
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
export function plainWindow(source: Size, step: StepOf<"window">): Window {
  return clippedWindow(source, step) ?? refuseEmpty(source, "imageMogr2/crop or cut");
}

function clippedWindow(source: Size, step: StepOf<"window">): Window | undefined {
  const { gravity = "northwest", dx, dy } = step;
  const part = { width: step.width ?? source.width, height: step.height ?? source.height };
  return clipped(source, { ...part, ...movedInward(aligned(source, part, gravity), { gravity, dx, dy }) });
}

/** The part of the image on the canvas, the size of the canvas, and the place of that part on it. */
export function extentOf(
  source: Size,
  { width = source.width, height = source.height, at }: Omit<StepOf<"extent">, "name" | "colour">,
): { readonly part: Window; readonly size: Size; readonly place: { readonly left: number; readonly top: number } } {
  const size = { width, height };
  const { left, top } = at === undefined ? aligned(source, size, "center") : { left: at.x, top: at.y };
  const part = clipped(source, { ...size, left, top }) ?? refuseEmpty(source, "imageMogr2/extent");
  return { part, size, place: { left: part.left - left, top: part.top - top } };
}

/** The part of the window that lies in the image; undefined if there is none. */
function clipped({ width, height }: Size, window: Window): Window | undefined {
  const [left, top] = [Math.max(0, window.left), Math.max(0, window.top)];
  const [right, bottom] = [Math.min(width, window.left + window.width), Math.min(height, window.top + window.height)];
  return right > left && bottom > top ? { left, top, width: right - left, height: bottom - top } : undefined;
}

function refuseEmpty({ width, height }: Size, parameter: string): never {
  const message = `Cannot crop: nothing of ${width}×${height} lies in it`;
  throw new HuiyuanError("processing_invalid", message, { parameter, wanted: "a part of the image" });
}

/** Moves a place inward from the edges that the gravity names; along an axis without such an edge right or down. */
function movedInward(
  { left, top }: { readonly left: number; readonly top: number },
  { gravity, dx, dy }: { readonly gravity: Gravity; readonly dx: number; readonly dy: number },
): { readonly left: number; readonly top: number } {
  const [across, down] = [gravity.endsWith("east") ? -dx : dx, gravity.startsWith("south") ? -dy : dy];
  return { left: left + across, top: top + down };
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
      // If no part is left, the render will refuse it, unless autoOrient turns the image first.
      return clippedWindow(size, step) ?? size;
    case "extent":
      return { width: step.width ?? size.width, height: step.height ?? size.height };
    case "border":
      return borderedSize(size, step);
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

/** The size with a border on all four sides. */
export function borderedSize(
  { width, height }: Size,
  { across, down }: Omit<StepOf<"border">, "name" | "colour">,
): Size {
  return { width: width + 2 * across, height: height + 2 * down };
}

/** The radii of corners, at most half of each side. Pixels. */
export function cornerRadii({ width, height }: Size, { x, y }: Pick<StepOf<"ovalCorners">, "x" | "y">): Size {
  const radius = (side: number, length: Length) =>
    Math.min(Math.floor(side / 2), Math.round("pixels" in length ? length.pixels : (side * length.perCent) / 100));
  return { width: radius(width, x), height: radius(height, y) };
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

/**
 * Position of a watermark. `dx` and `dy` are distances from the edges that the gravity names; without such an edge they
 * are ignored, unless the watermark also moves there.
 */
export function watermarkPosition(
  image: Size,
  watermark: Size,
  { gravity, dx, dy, movesCentred }: Pick<StepOf<"imageMark">, "gravity" | "dx" | "dy" | "movesCentred">,
): { readonly left: number; readonly top: number } {
  const { isBeside, isAbove } = edgesOf(gravity);
  const offsets = { dx: isBeside || movesCentred ? dx : 0, dy: isAbove || movesCentred ? dy : 0 };
  return movedInward(aligned(image, watermark, gravity), { gravity, ...offsets });
}

/** Size of a watermark as a share of the image's. */
export function watermarkSize(image: Size, watermark: Size, { by, permille }: WatermarkScale): Size {
  if (by === "width") return scale(watermark, [image.width * permille, 1000 * watermark.width]);
  if (by === "height") return scale(watermark, [image.height * permille, 1000 * watermark.height]);
  if (by !== "area") {
    const side = ({ width, height }: Size) => (by === "short" ? Math.min(width, height) : Math.max(width, height));
    return scale(watermark, [side(image) * permille, 1000 * side(watermark)]);
  }
  const factor = Math.sqrt((image.width * image.height * permille) / (1000 * watermark.width * watermark.height));
  return scale(watermark, [factor, 1]);
}

/** The visible part of a watermark at `left`, `top`, in pixels of the watermark; undefined if no part is visible. */
export function visiblePart(
  image: Size,
  watermark: Size,
  { left, top }: { readonly left: number; readonly top: number },
): Window | undefined {
  const { width, height } = watermark;
  const part = clipped(image, { left, top, width, height });
  return part && { ...part, left: part.left - left, top: part.top - top };
}

/** The box as width and height for this image. The long edge of a square image is its height. */
function boxSides(
  { width, height }: Size,
  { axes, first, second }: Box,
): { readonly width: number | undefined; readonly height: number | undefined } {
  const isUpright = axes === "edges" && width <= height;
  return isUpright ? { width: second, height: first } : { width: first, height: second };
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

function withinArea(source: Size, { pixels, enlarges }: { readonly pixels: number; readonly enlarges?: true }): Size {
  const ratio = Math.sqrt(pixels / areaOf(source));
  const factor = enlarges ? ratio : Math.min(1, ratio);
  const size = scale(source, [factor, 1]);
  if (!enlarges && areaOf(size) <= pixels) return size;
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
