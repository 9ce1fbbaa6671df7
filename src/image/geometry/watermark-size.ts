// How large a mark is laid, and may be: known by sizes alone, so that a render is weighed by it, and refused before the mark is
// worked on. Pure. How large a text becomes that is set: text-size.ts.
import { HuiyuanError } from "../../core/errors.ts";
import type { StepOf } from "../grammar/recipe.ts";
import { areaOf, type Size, turnedSize, watermarkSize } from "./geometry.ts";

type ImageWatermark = StepOf<"imageMark">;

/** Of the file of an image mark, and of any mark that is scaled. */
export const MAX_WATERMARK_PIXELS = 25_000_000;
/** Of any mark once it is turned; all of it is made before it is clipped. */
export const MAX_TURNED_PIXELS = 32_000_000;

/** The size that an image mark has on the image before it is turned. Shrinking heeds the room that it takes then. */
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

/** Whether a mark that is laid at this size is not refused. */
export function mayBeLaid(laid: Size, degrees: number): boolean {
  return areaOf(laid) <= MAX_WATERMARK_PIXELS && areaOf(turnedSize(laid, degrees)) <= MAX_TURNED_PIXELS;
}

/** `laid`: the size of an image mark before it is turned. Throws processing_invalid, which names what makes it too large. */
export function refuseLargeWatermark(laid: Size, { scale, degrees }: Pick<ImageWatermark, "scale" | "degrees">): void {
  // One that is not scaled is no larger than its file may be.
  if (scale !== undefined) refuseLargeScale(laid);
  const blamed =
    scale === undefined
      ? { parameter: "watermark/degree", wanted: "a smaller mark" }
      : { parameter: "watermark/spcent", wanted: SMALLER_SHARE };
  refuseLargeTurn(laid, degrees, blamed);
}

/** `scaled`: what the mark's share of the image gives it. Throws processing_invalid. */
export function refuseLargeScale(scaled: Size): void {
  if (areaOf(scaled) <= MAX_WATERMARK_PIXELS) return;
  const wanted = `${SMALLER_SHARE}, which gives the mark at most ${MAX_WATERMARK_PIXELS / 1e6} megapixels`;
  throw tooLarge(`it would have ${sidesOf(scaled)} pixels`, { parameter: "watermark/spcent", wanted });
}

/** `mark`: before it is turned. `blamed`: what makes it too large, and what that should be. Throws processing_invalid. */
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
