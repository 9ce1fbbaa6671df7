// How large a text mark becomes, and may become: known by its letters before it is set, so that renders that set large texts
// wait for each other, and by its pixels before it is turned. Pure; the text is set in watermark.ts.
import { HuiyuanError } from "../../core/errors.ts";
import type { StepOf } from "../grammar/recipe.ts";
import { areaOf, type Size, turnedSize, watermarkSize } from "./geometry.ts";
import { MAX_TURNED_PIXELS } from "./watermark-size.ts";

type TextWatermark = StepOf<"textMark">;

/** Of a text as it is set; all of it is made before it is clipped. */
const MAX_SET_PIXELS = 16_000_000;
const LINE_HEIGHT = 1.5;
/** In place of a text that is too large. */
export const WANTED_TEXT = "fewer or smaller letters";
/** Bytes a pixel of a text that is set, that has a shadow besides, and that is turned. */
const SET = 8;
const SHADOWED = 12;
const TURNED = 5;

/** Throws processing_invalid where so much is not set. `parameter`: what gave it its font size. */
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

/** Bytes to make the text for an image of this size. What is larger than it may be is refused before it takes more. */
export function bytesToSet({ text, fontSize, scale, shadow, degrees }: TextWatermark, image: Size): number {
  const first = setSize(text, fontSize);
  const last = sizeBefore(first, scale, image);
  const pixels = Math.min(MAX_SET_PIXELS, Math.max(areaOf(first), areaOf(last)));
  const turned = degrees === 0 ? 0 : Math.min(MAX_TURNED_PIXELS, areaOf(turnedSize(last, degrees)));
  return Math.max(pixels * (shadow > 0 ? SHADOWED : SET), turned * TURNED);
}

/** The size that it has on the image at the most. */
export function textSize({ text, fontSize, scale, degrees }: TextWatermark, image: Size): Size {
  return turnedSize(sizeBefore(setSize(text, fontSize), scale, image), degrees);
}

/** Before it is turned. */
function sizeBefore(set: Size, scale: TextWatermark["scale"], image: Size): Size {
  return scale === undefined ? set : watermarkSize(image, set, scale);
}

/** Few letters are wider than their font size. */
function setSize(text: string, fontSize: number): Size {
  return { width: [...text].length * fontSize, height: fontSize * LINE_HEIGHT };
}
