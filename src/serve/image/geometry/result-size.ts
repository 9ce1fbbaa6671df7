// Limits of the size of a result and of intermediate images, and the parameter named if a limit is exceeded. Pure: it
// does no I/O.
import { HuiyuanError } from "../../../core/errors.ts";
import type { Recipe, Step, StepName } from "../grammar/recipe.ts";
import type { Size } from "./geometry.ts";

/** Throws output_too_large if all frames of an intermediate image have more pixels together. */
export function refuseManyPixels({ width, height }: Size, frames: number, maxPixels: number): void {
  if (width * height * frames <= maxPixels) return;
  const found = `${width}×${height} pixels in ${frames} frames`;
  const wanted = `at most ${maxPixels} pixels in all frames together`;
  throw new HuiyuanError("output_too_large", `Cannot process: ${found}, wanted ${wanted}`, { wanted });
}

/** Throws output_too_large if a side of the result is longer. */
export function refuseLargeResult({ width, height }: Size, recipe: Recipe, maxSide: number): void {
  if (Math.max(width, height) <= maxSide) return;
  throw tooLarge(`${width}×${height} pixels`, `sides of at most ${maxSide} pixels`, sizedBy(recipe.steps));
}

/** Throws output_too_large if the result has more bytes. */
export function refuseHeavyResult(bytes: number, recipe: Recipe, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  const { steps, output } = recipe;
  const written = output.format === undefined ? undefined : "imageView2 or imageMogr2/format";
  throw tooLarge(`${bytes} bytes`, `at most ${maxBytes} bytes`, sizedBy(steps) ?? written);
}

function tooLarge(found: string, wanted: string, parameter: string | undefined): HuiyuanError {
  const message = `Cannot process: the result has ${found}, wanted ${wanted}`;
  return new HuiyuanError("output_too_large", message, { parameter, wanted });
}

/** Returns an error handler that always throws. It adds the step's parameter to output_too_large. */
export function blameStep(step: Step): (error: unknown) => never {
  const parameter = sizedBy([step]);
  return (error) => {
    if (!(error instanceof HuiyuanError) || error.code !== "output_too_large" || parameter === undefined) throw error;
    const { code, message, wanted } = error;
    throw new HuiyuanError(code, message, { parameter, wanted, cause: error });
  };
}

/** The parameter of the last step that sets the size; undefined if no step does. */
function sizedBy(steps: readonly Step[]): string | undefined {
  return steps.map(({ name }) => SIZED_BY[name]).findLast((parameter) => parameter !== undefined);
}

const SIZED_BY: Readonly<Partial<Record<StepName, string>>> = {
  resize: "imageView2 or imageMogr2/thumbnail",
  coverCrop: "imageView2 or imageMogr2/crop",
  attentionCrop: "imageMogr2/scrop",
  pad: "imageMogr2/pad",
  extent: "imageMogr2/extent",
  border: "imageMogr2/border",
  rotate: "imageMogr2/rotate",
};
