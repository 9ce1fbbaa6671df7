// Which parameter is named when a render needs more memory than it may have: the one without which it would likely have had
// enough, by the same estimates that it was admitted by. None where the image itself is to blame. Pure.
import { HuiyuanError } from "../errors.ts";
import type { RasterFacts } from "./loaders.ts";
import { MARK_PARAMETER, type Recipe } from "./recipe.ts";
import { WANTED_TEXT } from "./text-size.ts";
import { bytesBeforeWriting, bytesToRender, mayBeJpeg } from "./weight.ts";

/** In place of the image of a mark. */
export const WANTED_MARK =
  "a still image of this bucket, of at most 5 MiB, with sides of at most 10000 pixels and 25 megapixels, or fewer where it is scaled or turned";

export interface Blamed {
  /** As the manual names it. */
  readonly parameter: string;
  /** What it should be. */
  readonly wanted: string;
}

export interface RenderWeight {
  /** Bytes to hold the file. */
  readonly held: number;
  /** Bytes to lay the image marks over it. */
  readonly laid: number;
  /** Bytes that it may take of memory. */
  readonly most: number;
}

/** Undefined: it is nothing that a parameter says. */
export function blamed(facts: RasterFacts, recipe: Recipe, { held, laid, most }: RenderWeight): Blamed | undefined {
  const alone = bytesToRender(facts, recipe) + held;
  if (laid > alone || (alone <= most && alone + laid > most)) return { parameter: MARK_PARAMETER, wanted: WANTED_MARK };
  if (bytesToRender(facts, withoutTexts(recipe)) < bytesToRender(facts, recipe))
    return { parameter: "watermark/fontsize", wanted: WANTED_TEXT };
  if (bytesBeforeWriting(facts, recipe) + held > most) return undefined;
  const { output } = recipe;
  // All of its pixels are held while qualities are tried.
  if (output.maxBytes !== undefined && mayBeJpeg(facts.format, output))
    return { parameter: "imageMogr2/size-limit", wanted: "fewer pixels to write, or no limit of their bytes" };
  if (output.format === undefined || output.format === facts.format) return undefined;
  return { parameter: "imageView2 or imageMogr2/format", wanted: "fewer pixels to write, or another format" };
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
