// The recipe, which is the meaning of a processing instruction: a bounded list of steps and the output, independent of
// spelling and era. The names of steps and fields are hashed into the names of stored variants, so they must not
// change. No pixels here.
import type { HuiyuanError } from "../../core/errors.ts";

/** The manual that applies if the two differ. */
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

/** Pixels. An absent side follows from the other. */
export interface Box {
  readonly axes: Axes;
  readonly first?: number;
  readonly second?: number;
}

/** The rule that computes the scaled size from the source's size. */
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
  /** At most this many pixels in all. */
  | { readonly kind: "area"; readonly pixels: number };

/** Size of a watermark as a permille of the image's width, height or area. */
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
  /** Repeated over the whole image. */
  readonly isTiled: boolean;
  readonly scale?: WatermarkScale;
}

/** One operation on pixels. Sizes are pixels of the image at that point of the recipe. */
export type Step =
  | { readonly name: "autoOrient" }
  | { readonly name: "resize"; readonly rule: SizeRule }
  /** Scaled to cover the box, then cut to it; an absent side of the box is the source's. */
  | ({ readonly name: "coverCrop"; readonly gravity: Gravity } & Box)
  /** The same, but it keeps the most interesting part. */
  | ({ readonly name: "attentionCrop" } & Box)
  /** A plain cut. Negative offsets start at 0 and shorten that side; an absent side is the source's. */
  | {
      readonly name: "window";
      readonly width?: number;
      readonly height?: number;
      readonly dx: number;
      readonly dy: number;
    }
  /** Centred on a background of this size; colour `#rrggbb`. */
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
      /** A font family of fonts.ts. */
      readonly family: string;
      /** Points, which equal pixels at 72 dots an inch. */
      readonly fontSize: number;
      /** `#rrggbb` */
      readonly colour: string;
      /** Opacity of the shadow, 0–100. */
      readonly shadow: number;
      /** Gap between tiles in per cent of the watermark's own size. */
      readonly spacing: number;
    } & WatermarkPlace)
  | ({
      readonly name: "imageMark";
      /** The URL as `watermarkName` returns it; the caller of the renderer finds the object in its own bucket. */
      readonly url: string;
      /** The URL as written, if different. Its token authorizes the client and has no effect on the result. */
      readonly signedUrl?: string;
      /** Treatment of a watermark larger than the image. `clip` cuts off the part outside the image. */
      readonly oversize: "clip" | "shrink";
    } & WatermarkPlace);

export type StepName = Step["name"];
export type StepOf<Name extends StepName> = Extract<Step, { readonly name: Name }>;

/** `value`: 0–100; for `relative` it is per cent of the source's quality. Lossless formats ignore it. */
export interface QualityRule {
  readonly kind: "atMost" | "exactly" | "relative" | "atLeast";
  readonly value: number;
}

/** Format and encoding of the result. */
export interface Output {
  /** Absent: the source's format. `auto` must be replaced with `negotiatedAs` before a variant is named. */
  readonly format?: OutputFormat | "auto" | AutoFormat;
  /** `yjpeg`: a smaller file at the same quality; encoding is slower. */
  readonly isOptimised?: true;
  readonly quality?: QualityRule;
  /** False differs from absent: it makes a baseline JPEG of a progressive one. */
  readonly isProgressive?: boolean;
  readonly isStripped?: true;
  /** Bytes; JPEG only. */
  readonly maxBytes?: number;
  /** With maxBytes: the source JPEG is the answer if it is only encoded again and is smaller than the result. */
  readonly keepsSmaller?: true;
  /** Frames that an animated GIF keeps, with fewer colours. */
  readonly gifFrames?: number;
}

/** `format/auto` as negotiated by an Accept header; `autoPlain`: JPEG, PNG or GIF. */
export type AutoFormat = "autoAvif" | "autoWebp" | "autoPlain";

/** `decodable`, which no instruction has: an empty answer if the image can be decoded to its last pixel. */
export type Inspection = "imageInfo" | "exif" | "imageAve" | "decodable";

export interface Recipe {
  readonly steps: readonly Step[];
  readonly output: Output;
  /** The answer is JSON about the result, not the result. */
  readonly inspection?: Inspection;
  /** `ignore-error/1`: after an error the original is the answer if `mayServeOriginal` allows it. */
  readonly ignoresErrors?: true;
}

/** Whether nothing is processed: the image is inspected, or answered as it is. */
export function isUntouched({ steps, output }: Recipe): boolean {
  return steps.length === 0 && Object.keys(output).length === 0;
}

/** Whether the format has no transparency. */
export function isAlwaysOpaque(format: OutputFormat): boolean {
  return format === "jpeg" || format === "bmp";
}

/** Frames that are written of an image of so many; formats without animation take the first one only. */
export function framesWritten(format: OutputFormat, frames: number): number {
  return format === "gif" || format === "webp" ? frames : 1;
}

/** Whether the result may be transparent although the source is opaque. */
export function addsTransparency({ steps }: Recipe): boolean {
  return steps.some(
    (step) =>
      step.name === "circle" || step.name === "roundCorners" || (step.name === "rotate" && step.degrees % 90 !== 0),
  );
}

/** URLs of the recipe's image watermarks without tokens, each once. */
export function watermarkUrls(recipe: Recipe): readonly string[] {
  return [...new Set(recipe.steps.flatMap((step) => (step.name === "imageMark" ? [step.url] : [])))];
}

/** The same URLs as written: one image with two tokens or two spellings counts twice. */
export function signedWatermarkUrls(recipe: Recipe): readonly string[] {
  return [...new Set(recipe.steps.flatMap((step) => (step.name === "imageMark" ? [step.signedUrl ?? step.url] : [])))];
}

/** Whether a retry may succeed: on a server that is less busy, or once the watermark's image exists. */
export function isRetryable({ code, parameter }: HuiyuanError): boolean {
  if (parameter === WATERMARK_PARAMETER) return true;
  return code === "render_timeout" || code === "render_failed";
}

/** The parameter of every error caused by the image of a watermark. */
export const WATERMARK_PARAMETER = "watermark/image";

/** Whether `ignore-error/1` covers this failure: one of the image or of its processing, not of the server's state. */
export function mayServeOriginal(recipe: Recipe, error: HuiyuanError): boolean {
  if (!recipe.ignoresErrors) return false;
  // For any error of the watermark's image: the original itself exists.
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
