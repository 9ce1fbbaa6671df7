// Size and limits of a text watermark. The size is estimated from its letters before the text is set, so that renders
// of large texts wait for each other. Pure: it does no I/O; watermark.ts sets the text.
import { HuiyuanError } from "../../core/errors.ts";
import type { StepOf } from "../grammar/recipe.ts";
import { areaOf, type Size, turnedSize, watermarkSize } from "./geometry.ts";
import { MAX_TURNED_PIXELS } from "./watermark-size.ts";

type TextWatermark = StepOf<"textMark">;

/** Pixels of a text as set; the whole text is rendered before it is clipped. */
const MAX_SET_PIXELS = 16_000_000;
const LINE_HEIGHT = 1.5;
/** Wanted value in errors about a text that is too large. */
export const WANTED_TEXT = "fewer or smaller letters";
/** Bytes a pixel of a text that is set, with a shadow or without. */
const SET = 12;
/** Bytes a pixel of a text that is turned. */
const TURNED = 5;

/** Throws processing_invalid if the text is too large to be set. `parameter`: the one that set the font size. */
export function refuseLargeText(text: string, fontSize: number, parameter: string): void {
  if (areaOf(setSize(text, fontSize)) > MAX_SET_PIXELS) throw tooLargeText(text, fontSize, parameter);
}

export function tooLargeText(text: string, fontSize: number, parameter: string, cause?: unknown): HuiyuanError {
  const found = `${[...text].length} characters at ${fontSize} points are too much`;
  return new HuiyuanError("processing_invalid", `Cannot make a watermark: ${found}, wanted ${WANTED_TEXT}`, {
    parameter,
    wanted: WANTED_TEXT,
    cause,
  });
}

/** Bytes to make the text for an image of this size, capped at the limits, because a larger text is refused early. */
export function bytesToSet({ text, fontSize, scale, degrees }: TextWatermark, image: Size): number {
  const first = setSize(text, fontSize);
  const last = sizeBefore(first, scale, image);
  const pixels = Math.min(MAX_SET_PIXELS, Math.max(areaOf(first), areaOf(last)));
  const turned = degrees === 0 ? 0 : Math.min(MAX_TURNED_PIXELS, areaOf(turnedSize(last, degrees)));
  return Math.max(pixels * SET, turned * TURNED);
}

/** Upper bound of the text's size on the image. */
export function textSize({ text, fontSize, scale, degrees }: TextWatermark, image: Size): Size {
  return turnedSize(sizeBefore(setSize(text, fontSize), scale, image), degrees);
}

/** The size before the text is turned. */
function sizeBefore(set: Size, scale: TextWatermark["scale"], image: Size): Size {
  return scale === undefined ? set : watermarkSize(image, set, scale);
}

/** Estimated size of the set text; few letters are wider than their font size. */
function setSize(text: string, fontSize: number): Size {
  return { width: [...text].length * fontSize, height: fontSize * LINE_HEIGHT };
}
