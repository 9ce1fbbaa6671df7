// Types of the gallery's contact sheet, the list of steps that it must show, and short functions that write examples.
import type { Era, Inspection, Output, StepName } from "../../src/serve/image/grammar/recipe.ts";
import { b64 } from "../helpers/rendering.ts";

/** One example: a picture before and after. */
export interface Example {
  /** The source's name. */
  readonly source: string;
  readonly instruction: string;
  /** Tells a reader of the sheet which effect to check. */
  readonly note?: string;
  /** 2015 if absent. */
  readonly era?: Era;
  /** The client's Accept header, for `format/auto`. */
  readonly accept?: string;
}

export interface Section {
  readonly title: string;
  readonly examples: readonly Example[];
}

/**
 * Everything that a recipe can hold. A new step or output option of the engine does not compile until it is listed
 * here.
 */
export const ALL_STEPS = {
  autoOrient: true,
  resize: true,
  coverCrop: true,
  attentionCrop: true,
  window: true,
  extent: true,
  border: true,
  pad: true,
  circle: true,
  roundCorners: true,
  ovalCorners: true,
  rotate: true,
  flip: true,
  bright: true,
  contrast: true,
  grayscale: true,
  blur: true,
  sharpen: true,
  textMark: true,
  imageMark: true,
} as const satisfies Readonly<Record<StepName, true>>;
export const ALL_OUTPUTS = {
  format: true,
  isOptimised: true,
  quality: true,
  isProgressive: true,
  isStripped: true,
  maxBytes: true,
  returnsSmaller: true,
  slimQuality: true,
  unchanged: true,
  colours: true,
  gifColours: true,
  density: true,
  gifFrames: true,
} as const satisfies Readonly<Record<keyof Output, true>>;
export const ALL_INSPECTIONS = {
  imageInfo: true,
  numericInfo: true,
  exif: true,
  imageAve: true,
} as const satisfies Readonly<Record<Exclude<Inspection, "decodable">, true>>;

export const GRAVITIES = [
  "northwest",
  "north",
  "northeast",
  "west",
  "center",
  "east",
  "southwest",
  "south",
  "southeast",
];

/** Host of the watermark images' URLs; it is the only domain of the gallery's bucket. */
export const MARK_HOST = "gallery.test";
export const mark = (name = "logo.png") => `watermark/1/image/${b64(`http://${MARK_HOST}/${name}`)}`;
export const text = (words: string, more = "") => `watermark/2/text/${b64(words)}${more}`;
export const colour = (name: string) => b64(name);
export const on = (
  source: string,
  instructions: readonly (string | readonly [instruction: string, note?: string])[],
): Example[] =>
  instructions.map((each) =>
    typeof each === "string"
      ? { source, instruction: each }
      : { source, instruction: each[0], ...(each[1] !== undefined && { note: each[1] }) },
  );
