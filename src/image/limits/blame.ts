// Which parameter is named when a render needs more memory than it may have: the one without which it would likely have had
// enough, by the same estimates that it was admitted by. None where the image itself is to blame. Pure.
import { HuiyuanError } from "../../core/errors.ts";
import type { WeighedFacts } from "../formats/loaders.ts";
import { areaOf, type Size, sizeAfter } from "../geometry/geometry.ts";
import { FORMAT_PARAMETER } from "../geometry/result-size.ts";
import { WANTED_TEXT } from "../geometry/text-size.ts";
import { type Recipe, type Step, type StepName, WATERMARK_PARAMETER } from "../grammar/recipe.ts";
import { bytesBeforeWriting, bytesToDecode, bytesToRender, mayBeJpeg } from "./weight.ts";

/** In place of the image of a mark. */
export const WANTED_WATERMARK =
  "a still image of this bucket, of at most 5 MiB, with sides of at most 10000 pixels and 25 megapixels, or fewer where it is scaled or turned";

/** As the manual names them. */
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
  /** As the manual names it. */
  readonly parameter: string;
  /** What it should be. */
  readonly wanted: string;
}

interface RenderWeight {
  /** Bytes to hold the file. */
  readonly held: number;
  /** Bytes to lay the image marks over it. */
  readonly laid: number;
  /** Bytes that it may take of memory. */
  readonly most: number;
}

/** Undefined: it is nothing that a parameter says. */
export function blamed(facts: WeighedFacts, recipe: Recipe, { held, laid, most }: RenderWeight): Blamed | undefined {
  const alone = bytesToRender(facts, recipe) + held;
  if (laid > alone || (alone <= most && alone + laid > most))
    return { parameter: WATERMARK_PARAMETER, wanted: WANTED_WATERMARK };
  if (bytesToRender(facts, withoutTexts(recipe)) < bytesToRender(facts, recipe))
    return { parameter: "watermark/fontsize", wanted: WANTED_TEXT };
  // Estimates are the most that was found: an image that is a little beyond by them may well be read.
  if (bytesToDecode(facts) * LEAST_OF_ESTIMATE + held > most) return undefined;
  return blamedStep(facts, recipe, most - held) ?? blamedOutput(facts, recipe) ?? heaviest(facts, recipe);
}

const LEAST_OF_ESTIMATE = 0.85;

/** What takes most beside what it takes to read the image, where nothing is too much by the estimates. */
function heaviest(facts: WeighedFacts, recipe: Recipe): Blamed | undefined {
  const read = bytesToDecode(facts);
  const [worked, all] = [bytesBeforeWriting(facts, recipe), bytesToRender(facts, recipe)];
  // As good as a plain read.
  if (all <= read * 1.05) return undefined;
  const step = worked > read ? blamedStep(facts, recipe, worked - 1) : undefined;
  return all > worked ? (sizedLast(recipe) ?? step) : step;
}

/** What has made the result as large as it is. */
function sizedLast({ steps }: Recipe): Blamed | undefined {
  const step = steps.findLast(({ name }) => name === "resize" || name === "coverCrop");
  return step && { parameter: PARAMETERS[step.name], wanted: "fewer pixels to write" };
}

/** The first for which there is not enough. */
function blamedStep(facts: WeighedFacts, recipe: Recipe, most: number): Blamed | undefined {
  // Reading it is no step's doing.
  if (bytesToDecode(facts) > most) return undefined;
  const fits = (steps: readonly Step[]) => bytesBeforeWriting(facts, { ...recipe, steps }) <= most;
  const step = recipe.steps.find((_step, index, steps) => !fits(steps.slice(0, index + 1)));
  return step && { parameter: PARAMETERS[step.name], wanted: "fewer pixels to work on" };
}

/** How it is written, where that is not just how the image is. */
function blamedOutput(facts: WeighedFacts, { steps, output }: Recipe): Blamed | undefined {
  // All of its pixels are held while qualities are tried.
  if (output.maxBytes !== undefined && mayBeJpeg(facts.format, output))
    return { parameter: "imageMogr2/size-limit", wanted: "fewer pixels to write, or no limit of their bytes" };
  if (output.format !== undefined && output.format !== facts.format)
    return { parameter: FORMAT_PARAMETER, wanted: "fewer pixels to write, or another format" };
  // One of several scans is held whole while it is written.
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

/** Names what is to blame, if anything is, for a render that has failed for want of memory. Throws whatever it is given, or that. */
export function blaming(blame: Blamed | undefined): (error: unknown) => never {
  return (error) => {
    const isForMemory = error instanceof HuiyuanError && error.code === "image_too_large";
    if (!isForMemory || error.parameter !== undefined || blame === undefined) throw error;
    throw new HuiyuanError(error.code, error.message, { ...blame, cause: error });
  };
}
