// What a processing instruction means once it is read: a bounded list of steps and how the result is written, free of
// spelling and of the manual's era. No pixels here.
import type { HuiyuanError } from "../../core/errors.ts";

/** Which of the two manuals is followed where they differ. */
export type Era = 2015 | "later";

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
] as const;
export type Gravity = (typeof GRAVITIES)[number];

export type OutputFormat = "jpeg" | "png" | "gif" | "webp" | "avif" | "bmp";

/** `sides`: first is the width, second the height. `edges`: first is the long edge, second the short one. */
export type Axes = "sides" | "edges";

/** Pixels; an absent one adapts. */
export interface Box {
  readonly axes: Axes;
  readonly first?: number;
  readonly second?: number;
}

/** How the scaled size follows from the source's. */
export type SizeRule =
  /** At most the box, proportional, never enlarged. */
  | ({ readonly kind: "within" } & Box)
  /** At most the box, proportional, only ever enlarged. */
  | ({ readonly kind: "growWithin" } & Box)
  /** At least the box, proportional. */
  | ({ readonly kind: "cover" } & Box)
  /** Exact sides; proportional when one is absent. */
  | { readonly kind: "exact"; readonly width?: number; readonly height?: number }
  /** Per cent of each side; an absent side is kept. */
  | { readonly kind: "percent"; readonly x?: number; readonly y?: number }
  /** At most so many pixels in all. */
  | { readonly kind: "area"; readonly pixels: number };

/** How the size of a watermark follows from the image's: permille of its width, height or area. */
export interface WatermarkScale {
  readonly by: "width" | "height" | "area";
  readonly permille: number;
}

interface WatermarkPlace {
  readonly gravity: Gravity;
  /** Pixels. */
  readonly dx: number;
  readonly dy: number;
  /** 1–100. */
  readonly opacity: number;
  /** Clockwise, 0–359. */
  readonly degrees: number;
  /** Repeated all over the image. */
  readonly isTiled: boolean;
  readonly scale?: WatermarkScale;
}

/** Things that are done to pixels, in order. Sizes are pixels of the image as it then is. */
export type Step =
  | { readonly name: "autoOrient" }
  | { readonly name: "resize"; readonly rule: SizeRule }
  /** Scaled to cover the box, then cut to it; an absent side of the box is the source's. */
  | ({ readonly name: "coverCrop"; readonly gravity: Gravity } & Box)
  /** The same, keeping what draws the eye. */
  | ({ readonly name: "attentionCrop" } & Box)
  /** A plain cut. Negative offsets start at 0 and shorten that side; an absent side is the source's. */
  | {
      readonly name: "window";
      readonly width?: number;
      readonly height?: number;
      readonly dx: number;
      readonly dy: number;
    }
  /** Centred on a ground of this size; colour `#rrggbb`. */
  | { readonly name: "pad"; readonly width: number; readonly height: number; readonly colour: string }
  | { readonly name: "circle"; readonly radius: number }
  | { readonly name: "roundCorners"; readonly radius: number }
  /** Clockwise, 1–359. */
  | { readonly name: "rotate"; readonly degrees: number }
  | { readonly name: "blur"; readonly radius: number; readonly sigma: number }
  /** 10–300. */
  | { readonly name: "sharpen"; readonly amount: number }
  | ({
      readonly name: "textMark";
      readonly text: string;
      /** A family that fonts.ts knows. */
      readonly family: string;
      /** Points; at 72 dots an inch these are pixels. */
      readonly fontSize: number;
      /** `#rrggbb` */
      readonly colour: string;
      /** 0–100: opacity of the shadow. */
      readonly shadow: number;
      /** Gap between tiles, per cent of the mark's own size. */
      readonly spacing: number;
    } & WatermarkPlace)
  | ({
      readonly name: "imageMark";
      /** As `markName` has it; the caller of the renderer finds the object in its own bucket. */
      readonly url: string;
      /** As written, where that is another. A token is for whoever lets clients in to the mark, and no part of what is made. */
      readonly signedUrl?: string;
      /** What is done to a mark that is larger than the image. `clip` cuts it where it lies. */
      readonly oversize: "clip" | "shrink";
    } & WatermarkPlace);

export type StepName = Step["name"];
export type StepOf<Name extends StepName> = Extract<Step, { readonly name: Name }>;

/** 0–100 each; `relative` is per cent of the source's quality. Only lossy formats heed it. */
export interface QualityRule {
  readonly kind: "atMost" | "exactly" | "relative" | "atLeast";
  readonly value: number;
}

/** How the result is written. */
export interface Output {
  /** Absent: the source's format. `auto` has to be settled with `settleAs` before a variant is named. */
  readonly format?: OutputFormat | "auto" | AutoFormat;
  /** yjpeg: smaller at the same quality, slower. */
  readonly isOptimised?: true;
  readonly quality?: QualityRule;
  /** False is wanted too: it makes a baseline JPEG of a progressive one. */
  readonly isProgressive?: boolean;
  readonly isStripped?: true;
  /** Bytes; JPEG only. */
  readonly maxBytes?: number;
  /** With maxBytes: a JPEG that is only written anew is answered as it is where it is the smaller one. */
  readonly keepsSmaller?: true;
  /** Frames that an animated GIF keeps, with fewer colours. */
  readonly gifFrames?: number;
}

/** `format/auto` as an Accept header settled it; `autoPlain`: JPEG, PNG or GIF. */
export type AutoFormat = "autoAvif" | "autoWebp" | "autoPlain";

export type Inspection = "imageInfo" | "exif" | "imageAve";

export interface Recipe {
  readonly steps: readonly Step[];
  readonly output: Output;
  /** The answer is JSON about the result, not the result. */
  readonly inspection?: Inspection;
  /** `ignore-error/1`: the original is the answer where `mayServeOriginal` says so. */
  readonly ignoresErrors?: true;
}

/** Whether the result may have clear parts although the source has none. */
export function addsTransparency({ steps }: Recipe): boolean {
  return steps.some(
    (step) =>
      step.name === "circle" || step.name === "roundCorners" || (step.name === "rotate" && step.degrees % 90 !== 0),
  );
}

/** The URLs of the images that the recipe lays over another, without their tokens. */
export function watermarkUrls(recipe: Recipe): readonly string[] {
  return [...new Set(recipe.steps.flatMap((step) => (step.name === "imageMark" ? [step.url] : [])))];
}

/** The same as written: one image under two tokens, or two spellings, is two of these. */
export function signedWatermarkUrls(recipe: Recipe): readonly string[] {
  return [...new Set(recipe.steps.flatMap((step) => (step.name === "imageMark" ? [step.signedUrl ?? step.url] : [])))];
}

/** Whether the same may come to something another time: by a busy server, or by the marks that are there by then. */
export function isRetryable({ code, parameter }: HuiyuanError): boolean {
  if (parameter === WATERMARK_PARAMETER) return true;
  return code === "render_timeout" || code === "render_failed";
}

/** Named by every error that a mark's image is to blame for. */
export const WATERMARK_PARAMETER = "watermark/image";

/** Whether `ignore-error/1` covers this failure: one of the image or of its processing, not of the server's state. */
export function mayServeOriginal(recipe: Recipe, error: HuiyuanError): boolean {
  if (!recipe.ignoresErrors) return false;
  // Whatever its origin says: the image itself is there.
  if (error.parameter === WATERMARK_PARAMETER) return true;
  switch (error.code) {
    case "processing_invalid":
    case "image_not_processable":
    case "image_too_heavy":
    case "image_too_large":
    case "output_too_large":
    case "render_timeout":
    case "render_failed":
      return true;
    default:
      return false;
  }
}
