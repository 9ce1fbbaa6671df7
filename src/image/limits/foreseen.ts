// What a render would be refused for, as far as recipe and size of the image tell. For those who ask what would be answered;
// whoever renders finds out anyway. Pure.
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
 * What readSource and renderImage would throw for the size of the image, of what comes on the way or of the result, for a crop
 * that leaves nothing, or a radius that is too large; undefined where nothing is so, or that is not known. Of frames one is reckoned with.
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
  // What a head says of a GIF its frames may enlarge; and what nothing is done to is no result.
  const isUntouched = steps.length === 0 && Object.keys(output).length === 0;
  if (format === "gif" || isUntouched) return undefined;
  const isBmp = (output.format ?? format) === "bmp";
  const end = (size: Size) => {
    refuseLargeResult(size, recipe, limits.outputSide);
    if (isBmp) refuseHeavyResult(size.width * size.height * 3, recipe, limits.outputBytes);
  };
  const refusal = refusalBy(steps, image, limits, end);
  // An AVIF is turned by its decoder.
  return format === "avif" ? refusal && refusalBy(steps, turned(image), limits, end) : refusal;
}

/** What readSource would throw for so many bytes. */
export function foreseenWeight(bytes: number, limits: SourceLimits): HuiyuanError | undefined {
  return refusalOf(() => refuseHeavy(bytes, limits));
}

/** `end`: throws what is refused of the result. */
function refusalBy(
  steps: readonly Step[],
  image: Size,
  limits: Limits,
  end: (size: Size) => void,
): HuiyuanError | undefined {
  let size = image;
  for (const [index, step] of steps.entries()) {
    if (step.name === "autoOrient") {
      // How it lies is not known: it is refused where both ways are. It is set upright once.
      const rest = steps.slice(index + 1).filter(({ name }) => name !== "autoOrient");
      const refusal = refusalBy(rest, size, limits, end);
      return refusal && refusalBy(rest, turned(size), limits, end) && refusal;
    }
    const before = size;
    const refusal = refusalOf(() => refuseStep(step, before, limits));
    if (refusal !== undefined) return refusal;
    // That is less by some pixels than is reckoned.
    if (step.name === "rotate" && step.degrees % 90 !== 0) return undefined;
    size = sizeAfter(step, size);
  }
  return refusalOf(() => end(size));
}

/** As operations.ts and canvas.ts do. */
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

/** Of what a step makes whole, though not all of it may stay. */
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
