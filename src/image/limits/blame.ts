// Finds the parameter that an error names when a render needs more memory than it may have. It is the parameter without
// which the memory would probably have been enough, by the estimates that admitted the render. If the image itself is
// too large, no parameter is named. Pure: it does no I/O.
import { HuiyuanError } from "../../core/errors.ts";
import type { WeighedFacts } from "../formats/loaders.ts";
import { areaOf, type Size, sizeAfter } from "../geometry/geometry.ts";
import { FORMAT_PARAMETER } from "../geometry/result-size.ts";
import { WANTED_TEXT } from "../geometry/text-size.ts";
import { type Recipe, type Step, type StepName, WATERMARK_PARAMETER } from "../grammar/recipe.ts";
import { bytesBeforeWriting, bytesToDecode, bytesToRender, mayBeJpeg } from "./weight.ts";

/** Wanted value of `watermark/image`, named by every error about the file of an image watermark. */
export const WANTED_WATERMARK =
  "a still image of this bucket, of at most 5 MiB, with sides of at most 10000 pixels and 25 megapixels, or fewer if it is scaled or turned";

/** The parameter of each step, as the manual names it. */
const PARAMETERS: Readonly<Record<StepName, string>> = {
  autoOrient: "imageMogr2/auto-orient",
  resize: "imageView2 or imageMogr2/thumbnail",
  coverCrop: "imageView2 or imageMogr2/crop",
  attentionCrop: "imageMogr2/scrop",
  window: "imageMogr2/crop or cut",
  pad: "imageMogr2/pad",
  circle: "imageMogr2/iradius",
  roundCorners: "imageMogr2/rradius",
  rotate: "imageMogr2/rotate",
  blur: "imageMogr2/blur",
  sharpen: "imageMogr2/sharpen",
  textMark: "watermark/text",
  imageMark: WATERMARK_PARAMETER,
};

interface Blamed {
  /** The name that the manual uses. */
  readonly parameter: string;
  /** The value that would be accepted, in words. */
  readonly wanted: string;
}

interface RenderWeight {
  /** Bytes to keep the file in memory. */
  readonly held: number;
  /** Bytes to lay the image watermarks over the image. */
  readonly laid: number;
  /** Bytes of memory that the render may use. */
  readonly most: number;
}

/** Returns undefined if no parameter of the recipe is to blame. */
export function blamed(facts: WeighedFacts, recipe: Recipe, { held, laid, most }: RenderWeight): Blamed | undefined {
  const alone = bytesToRender(facts, recipe) + held;
  if (laid > alone || (alone <= most && alone + laid > most))
    return { parameter: WATERMARK_PARAMETER, wanted: WANTED_WATERMARK };
  if (bytesToRender(facts, withoutTexts(recipe)) < bytesToRender(facts, recipe))
    return { parameter: "watermark/fontsize", wanted: WANTED_TEXT };
  // Estimates are the highest values measured. An image slightly above the limit can often be decoded nevertheless.
  if (bytesToDecode(facts) * LEAST_OF_ESTIMATE + held > most) return undefined;
  return blamedStep(facts, recipe, most - held) ?? blamedOutput(facts, recipe) ?? heaviest(facts, recipe);
}

const LEAST_OF_ESTIMATE = 0.85;

/** The parameter that adds the most memory to plain decoding, used if no estimate exceeds the limit. */
function heaviest(facts: WeighedFacts, recipe: Recipe): Blamed | undefined {
  const read = bytesToDecode(facts);
  const [worked, all] = [bytesBeforeWriting(facts, recipe), bytesToRender(facts, recipe)];
  // The recipe takes hardly more than decoding.
  if (all <= read * 1.05) return undefined;
  const step = worked > read ? blamedStep(facts, recipe, worked - 1) : undefined;
  return all > worked ? (sizedLast(recipe) ?? step) : step;
}

/** The last step that sets the size of the result. */
function sizedLast({ steps }: Recipe): Blamed | undefined {
  const step = steps.findLast(({ name }) => name === "resize" || name === "coverCrop");
  return step && { parameter: PARAMETERS[step.name], wanted: "fewer pixels to write" };
}

/** The first step whose estimate exceeds `most`. */
function blamedStep(facts: WeighedFacts, recipe: Recipe, most: number): Blamed | undefined {
  // Decoding alone exceeds the limit, so that no step is to blame.
  if (bytesToDecode(facts) > most) return undefined;
  const fits = (steps: readonly Step[]) => bytesBeforeWriting(facts, { ...recipe, steps }) <= most;
  const step = recipe.steps.find((_step, index, steps) => !fits(steps.slice(0, index + 1)));
  return step && { parameter: PARAMETERS[step.name], wanted: "fewer pixels to work on" };
}

/** The output parameter that takes the memory, if the result is not written in the form of the source. */
function blamedOutput(facts: WeighedFacts, { steps, output }: Recipe): Blamed | undefined {
  // All pixels stay in memory while the encoder tries qualities.
  if (output.maxBytes !== undefined && mayBeJpeg(facts.format, output))
    return { parameter: "imageMogr2/size-limit", wanted: "fewer pixels to write, or no limit of their bytes" };
  if (output.format !== undefined && output.format !== facts.format)
    return { parameter: FORMAT_PARAMETER, wanted: "fewer pixels to write, or another format" };
  // The encoder keeps a JPEG of several scans in memory as a whole.
  if (output.isOptimised === true && mayBeJpeg(facts.format, output))
    return { parameter: FORMAT_PARAMETER, wanted: "fewer pixels to write, or jpg" };
  if (output.isProgressive === true && mayBeJpeg(facts.format, output))
    return { parameter: "imageMogr2/interlace", wanted: "fewer pixels to write, or 0" };
  let [size, largest] = [facts as Size, areaOf(facts)];
  let parameter: string | undefined;
  for (const step of steps) {
    size = sizeAfter(step, size);
    if (areaOf(size) <= largest) continue;
    largest = areaOf(size);
    parameter = PARAMETERS[step.name];
  }
  return parameter === undefined ? undefined : { parameter, wanted: "fewer pixels to write" };
}

function withoutTexts({ steps, ...rest }: Recipe): Recipe {
  return { ...rest, steps: steps.filter(({ name }) => name !== "textMark") };
}

/**
 * Returns an error handler that always throws. It adds the parameter to image_too_large if the error names none yet.
 */
export function blaming(blame: Blamed | undefined): (error: unknown) => never {
  return (error) => {
    const isForMemory = error instanceof HuiyuanError && error.code === "image_too_large";
    if (!isForMemory || error.parameter !== undefined || blame === undefined) throw error;
    throw new HuiyuanError(error.code, error.message, { ...blame, cause: error });
  };
}
