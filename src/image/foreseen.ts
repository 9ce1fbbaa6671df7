// What a render would be refused for, as far as recipe and size of the image tell. For those who ask what would be answered;
// whoever renders finds out anyway. Pure.
import { HuiyuanError } from "../errors.ts";
import type { ImageFacts } from "../object.ts";
import { plainWindow, refuseLargeRadius, type Size } from "./geometry.ts";
import type { Recipe, Step } from "./recipe.ts";
import { BYTES_PER_PIXEL, sizeAfter } from "./weight.ts";

/** A processing_invalid where a crop leaves nothing, or a radius is too large; undefined where neither is so, or that is not known. */
export function foreseenRefusal({ steps }: Recipe, { format, width, height }: ImageFacts): HuiyuanError | undefined {
  // What a head says of a GIF its frames may enlarge.
  if (width === undefined || height === undefined) return undefined;
  if (format === "gif" || !Object.hasOwn(BYTES_PER_PIXEL, format)) return undefined;
  const refusal = refusalOf(steps, { width, height });
  // An AVIF is turned by its decoder.
  return format === "avif" ? refusal && refusalOf(steps, { width: height, height: width }) : refusal;
}

function refusalOf(steps: readonly Step[], image: Size): HuiyuanError | undefined {
  let size = image;
  for (const [index, step] of steps.entries()) {
    if (step.name === "autoOrient") {
      // How it lies is not known: it is refused where both ways are. It is set upright once.
      const rest = steps.slice(index + 1).filter(({ name }) => name !== "autoOrient");
      const refusal = refusalOf(rest, size);
      return refusal && refusalOf(rest, { width: size.height, height: size.width }) && refusal;
    }
    const refusal = refusalBy(step, size);
    if (refusal !== undefined) return refusal;
    // That is less by some pixels than is reckoned.
    if (step.name === "rotate" && step.degrees % 90 !== 0) return undefined;
    size = sizeAfter(step, size);
  }
  return undefined;
}

function refusalBy(step: Step, size: Size): HuiyuanError | undefined {
  try {
    if (step.name === "window") plainWindow(size, step);
    if (step.name === "circle" || step.name === "roundCorners") refuseLargeRadius(step, size);
    return undefined;
  } catch (error) {
    if (error instanceof HuiyuanError) return error;
    throw error;
  }
}
