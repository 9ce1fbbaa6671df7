// Predicts from the recipe and the image's size whether a render would be refused, without reading the image. It serves
// previews of an answer; a real render makes the same checks itself. Pure: it does no I/O.
import { HuiyuanError } from "../../core/errors.ts";
import type { ImageFacts } from "../../core/object.ts";
import { refuseBeyond, refuseHeavy, type SourceLimits } from "../formats/loaders.ts";
import {
  coverWindow,
  plainWindow,
  refuseLargeRadius,
  type Size,
  scaledSize,
  sizeAfter,
  turnedSize,
} from "../geometry/geometry.ts";
import { blameStep, refuseHeavyResult, refuseLargeResult, refuseManyPixels } from "../geometry/result-size.ts";
import type { Recipe, Step } from "../grammar/recipe.ts";
import type { PipelineLimits } from "../process/pipeline.ts";
import { BYTES_PER_PIXEL } from "./weight.ts";

type Limits = SourceLimits & PipelineLimits;

/**
 * The error that readSource or renderImage would throw: for the size of the image, of an intermediate image or of the
 * result, for a crop that leaves nothing, or for a radius that is too large. Undefined if none is certain. Counts one
 * frame only.
 */
export function foreseenRefusal(
  recipe: Recipe,
  { format, width, height }: ImageFacts,
  limits: Limits,
): HuiyuanError | undefined {
  if (width === undefined || height === undefined || !Object.hasOwn(BYTES_PER_PIXEL, format)) return undefined;
  const image = { width, height };
  const { steps, output } = recipe;
  const tooLarge = refusalOf(() => refuseBeyond({ ...image, frames: 1 }, limits));
  if (tooLarge !== undefined) return tooLarge;
  // Frames may enlarge a GIF beyond the size in its head. An unprocessed image is not a result, so result limits do not
  // apply.
  const isUntouched = steps.length === 0 && Object.keys(output).length === 0;
  if (format === "gif" || isUntouched) return undefined;
  const isBmp = (output.format ?? format) === "bmp";
  const end = (size: Size) => {
    refuseLargeResult(size, recipe, limits.outputSide);
    if (isBmp) refuseHeavyResult(size.width * size.height * 3, recipe, limits.outputBytes);
  };
  const refusal = refusalBy(steps, image, limits, end);
  // The decoder may turn an AVIF, so both orientations must be refused.
  return format === "avif" ? refusal && refusalBy(steps, turned(image), limits, end) : refusal;
}

/** The error that readSource would throw for a file of this many bytes; undefined if it would accept it. */
export function foreseenWeight(bytes: number, limits: SourceLimits): HuiyuanError | undefined {
  return refusalOf(() => refuseHeavy(bytes, limits));
}

/** `end` checks the size of the result and throws if it is refused. */
function refusalBy(
  steps: readonly Step[],
  image: Size,
  limits: Limits,
  end: (size: Size) => void,
): HuiyuanError | undefined {
  let size = image;
  for (const [index, step] of steps.entries()) {
    if (step.name === "autoOrient") {
      // The orientation is unknown, so the recipe is refused only if both orientations are. Only the first autoOrient
      // turns.
      const rest = steps.slice(index + 1).filter(({ name }) => name !== "autoOrient");
      const refusal = refusalBy(rest, size, limits, end);
      return refusal && refusalBy(rest, turned(size), limits, end) && refusal;
    }
    const before = size;
    const refusal = refusalOf(() => refuseStep(step, before, limits));
    if (refusal !== undefined) return refusal;
    // The computed size is an upper bound; the real one may be a few pixels smaller.
    if (step.name === "rotate" && step.degrees % 90 !== 0) return undefined;
    size = sizeAfter(step, size);
  }
  return refusalOf(() => end(size));
}

/** Makes the checks of operations.ts and canvas.ts for one step. */
function refuseStep(step: Step, size: Size, { pixels }: Limits): void {
  if (step.name === "window") plainWindow(size, step);
  if (step.name === "circle" || step.name === "roundCorners") refuseLargeRadius(step, size);
  const made = sizeMade(step, size);
  try {
    if (made !== undefined) refuseManyPixels(made, 1, pixels);
  } catch (error) {
    blameStep(step)(error);
  }
}

/** Size of the image that a step makes before it cuts anything off; undefined if the step makes none. */
function sizeMade(step: Step, size: Size): Size | undefined {
  switch (step.name) {
    case "resize":
      return scaledSize(size, step.rule);
    case "coverCrop":
    case "attentionCrop":
      return coverWindow(size, step, "center").scaled;
    case "pad":
      return step;
    case "rotate":
      return turnedSize(size, step.degrees);
    default:
      return undefined;
  }
}

function turned({ width, height }: Size): Size {
  return { width: height, height: width };
}

function refusalOf(refuse: () => void): HuiyuanError | undefined {
  try {
    refuse();
    return undefined;
  } catch (error) {
    if (error instanceof HuiyuanError) return error;
    throw error;
  }
}
