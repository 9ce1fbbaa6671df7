// How large an image is after a step, known before anything is decoded. Pure.
import { HuiyuanError } from "../../core/errors.ts";
import type { Step } from "../grammar/recipe.ts";
import { boxSize, coverWindow, plainWindow, type Size, scaledSize, turnedSize } from "./geometry.ts";

/** As operations.ts has it, but for an image that lies on its side. */
export function sizeAfter(step: Step, size: Size): Size {
  switch (step.name) {
    case "resize":
      return scaledSize(size, step.rule);
    case "coverCrop":
      return coverWindow(size, step, step.gravity).window;
    case "attentionCrop":
      return boxSize(size, step);
    case "window":
      return cutSize(size, step);
    case "pad":
      return step;
    case "circle":
      return { width: step.radius * 2, height: step.radius * 2 };
    case "rotate":
      return turnedSize(size, step.degrees);
    default:
      return size;
  }
}

function cutSize(size: Size, step: Extract<Step, { readonly name: "window" }>): Size {
  try {
    return plainWindow(size, step);
  } catch (error) {
    // Nothing is left of it, which the render says; or there would be, were it upright.
    if (error instanceof HuiyuanError) return size;
    throw error;
  }
}
