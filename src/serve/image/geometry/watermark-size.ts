// Size and limits of a watermark on the image. It needs sizes only, so that a render's memory can be estimated and a
// large watermark refused before work begins. The size of a text is estimated from its letters. Pure: it does no I/O;
// watermark.ts sets texts and decodes images.
import { HuiyuanError } from "../../../core/errors.ts";
import type { StepOf } from "../grammar/recipe.ts";
import { areaOf, type Size, turnedSize, watermarkSize } from "./geometry.ts";

type ImageWatermark = StepOf<"imageMark">;
type TextWatermark = StepOf<"textMark">;

/** Pixels of the file of an image watermark, and of any scaled watermark. */
export const MAX_WATERMARK_PIXELS = 25_000_000;
/** Pixels of any turned watermark; the whole watermark is turned before it is clipped. */
export const MAX_TURNED_PIXELS = 32_000_000;
/** Pixels of a text as set; the whole text is rendered before it is clipped. */
const MAX_SET_PIXELS = 16_000_000;
const LINE_HEIGHT = 1.5;
/** Bytes a pixel of a text that is set, with a shadow or without. */
const SET = 12;
/** Bytes a pixel of a text that is turned. */
const TURNED = 5;
/** Wanted value of `watermark/image`, named by every error about the file of an image watermark. */
export const WANTED_WATERMARK =
  "a still image of this bucket, of at most 5 MiB, with sides of at most 10000 pixels and 25 megapixels, or fewer if it is scaled or turned";

/** Size of an image watermark on the image, before it is turned. With `shrink`, the turned watermark fits the image. */
export function laidSize(
  image: Size,
  watermark: Size,
  { scale, oversize, degrees }: Pick<ImageWatermark, "scale" | "oversize" | "degrees">,
): Size {
  const scaled = scale === undefined ? watermark : watermarkSize(image, watermark, scale);
  const turned = turnedSize(scaled, degrees);
  const fits = turned.width <= image.width && turned.height <= image.height;
  if (oversize !== "shrink" || fits) return scaled;
  const factor = Math.min(image.width / turned.width, image.height / turned.height);
  const side = (pixels: number) => Math.max(1, Math.round(pixels * factor));
  return { width: side(scaled.width), height: side(scaled.height) };
}

/**
 * `size`: of a watermark before it is turned. Throws processing_invalid with the parameter that makes it too large:
 * `watermark/spcent` for a scaled one. Without scaling only the turn can be too large, because the limits of files and
 * texts apply.
 */
export function refuseLargeWatermark(size: Size, { scale, degrees }: Pick<ImageWatermark, "scale" | "degrees">): void {
  const turned = turnedSize(size, degrees);
  if (areaOf(size) <= MAX_WATERMARK_PIXELS && areaOf(turned) <= MAX_TURNED_PIXELS) return;
  const [name, smaller] = scale === undefined ? ["degree", "watermark"] : ["spcent", "share of the image"];
  const most = `${MAX_WATERMARK_PIXELS / 1e6} and turned ${MAX_TURNED_PIXELS / 1e6} megapixels`;
  const found = `${size.width}×${size.height} pixels, turned by ${degrees} degrees ${turned.width}×${turned.height}`;
  throw tooLarge(found, `watermark/${name}`, `a smaller ${smaller}, which gives the watermark at most ${most}`);
}

/** Throws processing_invalid if the text is too large to be set. `parameter`: the one that set the font size. */
export function refuseLargeText(text: string, fontSize: number, parameter: string): void {
  if (areaOf(setSize(text, fontSize)) > MAX_SET_PIXELS) throw tooLargeText(text, fontSize, parameter);
}

export function tooLargeText(text: string, fontSize: number, parameter: string, cause?: unknown): HuiyuanError {
  const found = `${[...text].length} characters at ${fontSize} points`;
  return tooLarge(found, parameter, "fewer or smaller letters", cause);
}

function tooLarge(found: string, parameter: string, wanted: string, cause?: unknown): HuiyuanError {
  const message = `Cannot make a watermark: ${found} are too much, wanted ${wanted}`;
  return new HuiyuanError("processing_invalid", message, { parameter, wanted, cause });
}

/** Bytes to make the text for an image of this size, capped at the limits, because a larger text is refused early. */
export function bytesToSet({ text, fontSize, scale, degrees }: TextWatermark, image: Size): number {
  const first = setSize(text, fontSize);
  const last = sizeBefore(first, scale, image);
  const pixels = Math.min(MAX_SET_PIXELS, Math.max(areaOf(first), areaOf(last)));
  const turned = degrees === 0 ? 0 : Math.min(MAX_TURNED_PIXELS, areaOf(turnedSize(last, degrees)));
  return Math.max(pixels * SET, turned * TURNED);
}

/** Upper bound of the text's size on the image. */
export function textSize({ text, fontSize, scale, degrees }: TextWatermark, image: Size): Size {
  return turnedSize(sizeBefore(setSize(text, fontSize), scale, image), degrees);
}

/** The size before the text is turned. */
function sizeBefore(set: Size, scale: TextWatermark["scale"], image: Size): Size {
  return scale === undefined ? set : watermarkSize(image, set, scale);
}

/** Estimated size of the set text; few letters are wider than their font size. */
function setSize(text: string, fontSize: number): Size {
  return { width: [...text].length * fontSize, height: fontSize * LINE_HEIGHT };
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
