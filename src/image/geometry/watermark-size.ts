// Size and limits of a watermark on the image. It needs sizes only, so that a render's memory can be estimated and a
// large watermark refused before work begins. Pure: it does no I/O. The size of a text as set is in text-size.ts.
import { HuiyuanError } from "../../core/errors.ts";
import type { StepOf } from "../grammar/recipe.ts";
import { areaOf, type Size, turnedSize, watermarkSize } from "./geometry.ts";

type ImageWatermark = StepOf<"imageMark">;

/** Pixels of the file of an image watermark, and of any scaled watermark. */
export const MAX_WATERMARK_PIXELS = 25_000_000;
/** Pixels of any turned watermark; the whole watermark is turned before it is clipped. */
export const MAX_TURNED_PIXELS = 32_000_000;
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

/** Whether a watermark of this size will be accepted. */
export function mayBeLaid(laid: Size, degrees: number): boolean {
  return areaOf(laid) <= MAX_WATERMARK_PIXELS && areaOf(turnedSize(laid, degrees)) <= MAX_TURNED_PIXELS;
}

/**
 * `laid`: size of an image watermark before it is turned. Throws processing_invalid with the parameter that makes it
 * too large.
 */
export function refuseLargeWatermark(laid: Size, { scale, degrees }: Pick<ImageWatermark, "scale" | "degrees">): void {
  // Without scaling the limit of the file applies, which was checked before.
  if (scale !== undefined) refuseLargeScale(laid);
  const blamed =
    scale === undefined
      ? { parameter: "watermark/degree", wanted: "a smaller watermark" }
      : { parameter: "watermark/spcent", wanted: SMALLER_SHARE };
  refuseLargeTurn(laid, degrees, blamed);
}

/** `scaled`: size of the watermark by its share of the image. Throws processing_invalid. */
export function refuseLargeScale(scaled: Size): void {
  if (areaOf(scaled) <= MAX_WATERMARK_PIXELS) return;
  const wanted = `${SMALLER_SHARE}, which gives the watermark at most ${MAX_WATERMARK_PIXELS / 1e6} megapixels`;
  throw tooLarge(`it would have ${sidesOf(scaled)} pixels`, { parameter: "watermark/spcent", wanted });
}

/**
 * `watermark`: size before the turn. The last argument: the parameter that makes it too large. Throws
 * processing_invalid.
 */
export function refuseLargeTurn(watermark: Size, degrees: number, { parameter, wanted }: Blamed): void {
  const turned = turnedSize(watermark, degrees);
  if (areaOf(turned) <= MAX_TURNED_PIXELS) return;
  const found = `${sidesOf(watermark)} pixels turned by ${degrees} degrees are ${sidesOf(turned)}`;
  const leaves = `a turn that leaves at most ${MAX_TURNED_PIXELS / 1e6} megapixels`;
  throw tooLarge(found, { parameter, wanted: `${wanted}, or ${leaves}` });
}

interface Blamed {
  readonly parameter: string;
  readonly wanted: string;
}

const SMALLER_SHARE = "a smaller share of the image";

function sidesOf({ width, height }: Size): string {
  return `${width}×${height}`;
}

function tooLarge(found: string, { parameter, wanted }: Blamed): HuiyuanError {
  const message = `Cannot make a watermark: ${found}, wanted ${wanted}`;
  return new HuiyuanError("processing_invalid", message, { parameter, wanted });
}
