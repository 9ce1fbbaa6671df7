// How large a result may become, and an image on the way to it, and which parameter is named where it becomes more. Known by
// sizes alone, so that it can be foreseen. Pure.
import { HuiyuanError } from "../../core/errors.ts";
import type { Recipe, Step, StepName } from "../grammar/recipe.ts";
import type { Size } from "./geometry.ts";

/** Throws output_too_large where an image on the way has more pixels in all of its frames. */
export function refuseManyPixels({ width, height }: Size, frames: number, maxPixels: number): void {
  if (width * height * frames <= maxPixels) return;
  const found = `${width}×${height} pixels in ${frames} frames`;
  const wanted = `at most ${maxPixels} pixels in all frames together`;
  throw new HuiyuanError("output_too_large", `Cannot process: ${found}, wanted ${wanted}`, { wanted });
}

/** Throws output_too_large where a side of the result is longer. */
export function refuseLargeResult({ width, height }: Size, recipe: Recipe, maxSide: number): void {
  if (Math.max(width, height) <= maxSide) return;
  throw tooLarge(`${width}×${height} pixels`, `sides of at most ${maxSide} pixels`, sizedBy(recipe.steps));
}

/** Throws output_too_large. */
export function refuseHeavyResult(bytes: number, recipe: Recipe, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  const { steps, output } = recipe;
  const written = output.format === undefined ? undefined : FORMAT_PARAMETER;
  throw tooLarge(`${bytes} bytes`, `at most ${maxBytes} bytes`, sizedBy(steps) ?? written);
}

/** Of either operation. */
export const FORMAT_PARAMETER = "imageView2 or imageMogr2/format";

function tooLarge(found: string, wanted: string, parameter: string | undefined): HuiyuanError {
  const message = `Cannot process: the result has ${found}, wanted ${wanted}`;
  return new HuiyuanError("output_too_large", message, { parameter, wanted });
}

/** Names the step's parameter where its image becomes too large. Throws what it is given, or that. */
export function blameStep(step: Step): (error: unknown) => never {
  const parameter = sizedBy([step]);
  return (error) => {
    if (!(error instanceof HuiyuanError) || error.code !== "output_too_large" || parameter === undefined) throw error;
    const { code, message, wanted } = error;
    throw new HuiyuanError(code, message, { parameter, wanted, cause: error });
  };
}

/** Which parameter says how large the result is, where one of the steps does: the last of these. */
function sizedBy(steps: readonly Step[]): string | undefined {
  return steps.map(({ name }) => SIZED_BY[name]).findLast((parameter) => parameter !== undefined);
}

const SIZED_BY: Readonly<Partial<Record<StepName, string>>> = {
  resize: "imageView2 or imageMogr2/thumbnail",
  coverCrop: "imageView2 or imageMogr2/crop",
  attentionCrop: "imageMogr2/scrop",
  pad: "imageMogr2/pad",
  rotate: "imageMogr2/rotate",
};
