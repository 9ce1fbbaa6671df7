// The words of the gallery's sheet: what an example is, what all of them together must show, and short ways to write them.
import type { Inspection, Output, StepName } from "../../src/image/grammar/recipe.ts";
import { b64 } from "../helpers/rendering.ts";

/** One picture before and after. */
export interface Example {
  /** Name of a source. */
  readonly source: string;
  readonly instruction: string;
  /** What to look for. */
  readonly note?: string;
  /** Of the client, for `format/auto`. */
  readonly accept?: string;
}

export interface Section {
  readonly title: string;
  readonly examples: readonly Example[];
}

/** Everything that a recipe can hold. A new step or wish of the engine does not compile until it stands here. */
export const ALL_STEPS = {
  autoOrient: true,
  resize: true,
  coverCrop: true,
  attentionCrop: true,
  window: true,
  pad: true,
  circle: true,
  roundCorners: true,
  rotate: true,
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
  keepsSmaller: true,
  gifFrames: true,
} as const satisfies Readonly<Record<keyof Output, true>>;
export const ALL_INSPECTIONS = {
  imageInfo: true,
  exif: true,
  imageAve: true,
} as const satisfies Readonly<Record<Inspection, true>>;

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

/** The address of a mark; the gallery's host is the one domain of its bucket. */
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
