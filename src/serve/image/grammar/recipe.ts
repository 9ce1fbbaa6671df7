// The recipe, which is the meaning of a processing instruction: a bounded list of steps and the output, independent of
// spelling and era. The names of steps and fields are hashed into the names of stored variants, so they must not
// change. No pixels here.
import { errorKind, errorRow, type HuiyuanError } from "../../../core/errors.ts";

/** The manual that applies if the two differ. */
export type Era = 2015 | "later" | "qiniu";

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

/** Whether a gravity names a vertical edge (west or east), and a horizontal one (north or south). */
export function edgesOf(gravity: Gravity): { readonly isBeside: boolean; readonly isAbove: boolean } {
  return { isBeside: /[we][ea]st$/.test(gravity), isAbove: /^(?:nor|sou)th/.test(gravity) };
}

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
  /** As large as fits into the box, proportional. */
  | ({ readonly kind: "fit" } & Box)
  /** At most the box, proportional, only ever enlarged. */
  | ({ readonly kind: "growWithin" } & Box)
  /** At least the box, proportional. */
  | ({ readonly kind: "cover"; readonly onlyShrinks?: true } & Box)
  /** Exact sides; proportional when one is absent. */
  | { readonly kind: "exact"; readonly width?: number; readonly height?: number }
  /** Per cent of each side; an absent side is kept. */
  | { readonly kind: "percent"; readonly x?: number; readonly y?: number }
  /** At most this many pixels in all. */
  | { readonly kind: "area"; readonly pixels: number; readonly enlarges?: true };

/** Size of a watermark as a permille of the image's area, or its side as a permille of the same side of the image. */
export interface WatermarkScale {
  readonly by: "width" | "height" | "area" | "short" | "long";
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
  /** `dx` and `dy` also move a centred watermark, to the right and down. */
  readonly movesCentred?: true;
}

/** Pixels, or per cent of a side. */
export type Length = { readonly pixels: number } | { readonly perCent: number };

/** One operation on pixels. Sizes are pixels of the image at that point of the recipe. */
export type Step =
  | { readonly name: "autoOrient" }
  | { readonly name: "resize"; readonly rule: SizeRule }
  /** Scaled to cover the box, then cut to it; an absent side of the box is the source's. */
  | ({ readonly name: "coverCrop"; readonly gravity: Gravity; readonly onlyShrinks?: true } & Box)
  /** The same, but it keeps the most interesting part. */
  | ({ readonly name: "attentionCrop" } & Box)
  /**
   * A plain cut, clipped to the image; an absent side is the source's. Offsets count inward from the edges that the
   * gravity names, else to the right and down. Absent gravity: northwest.
   */
  | {
      readonly name: "window";
      readonly width?: number;
      readonly height?: number;
      readonly dx: number;
      readonly dy: number;
      readonly gravity?: Gravity;
    }
  /**
   * The image on a canvas that starts at `at` of the image, or around its centre; an absent side is the image's. Parts
   * outside the canvas are cut off. Colour `#rrggbb`, or with an alpha of 0.
   */
  | {
      readonly name: "extent";
      readonly width?: number;
      readonly height?: number;
      readonly at?: { readonly x: number; readonly y: number };
      readonly colour: string;
    }
  /** Adds this many pixels on both sides of each axis. */
  | { readonly name: "border"; readonly across: number; readonly down: number; readonly colour: string }
  /** Centred on a background of this size; colour `#rrggbb`. */
  | { readonly name: "pad"; readonly width: number; readonly height: number; readonly colour: string }
  | { readonly name: "circle"; readonly radius: number }
  | { readonly name: "roundCorners"; readonly radius: number }
  /** Elliptic corners, at most half of each side. `ofSource`: the source must be a JPEG or PNG. */
  | { readonly name: "ovalCorners"; readonly x: Length; readonly y: Length; readonly ofSource: boolean }
  /** Clockwise, 1–359. Absent colour of the corners: transparent, or white if the format is opaque. */
  | { readonly name: "rotate"; readonly degrees: number; readonly colour?: string }
  | { readonly name: "flip"; readonly axis: "horizontal" | "vertical" }
  /** -100 to 100. */
  | { readonly name: "bright"; readonly amount: number }
  | { readonly name: "contrast"; readonly amount: number }
  | { readonly name: "grayscale" }
  /** `refusesGif`: otherwise a GIF stays as it is. */
  | { readonly name: "blur"; readonly radius: number; readonly sigma: number; readonly refusesGif?: true }
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
      /** Size of a tile in pixels; absent: that of the watermark and its gap. */
      readonly cell?: { readonly width: number; readonly height: number };
      /** A text larger than the image is left out; absent: clipped. */
      readonly oversize?: "omit";
    } & WatermarkPlace)
  | ({
      readonly name: "imageMark";
      /** The URL as `watermarkName` returns it; the caller of the renderer finds the object in its own bucket. */
      readonly url: string;
      /** The URL as written, if different. Its token authorizes the client and has no effect on the result. */
      readonly signedUrl?: string;
      /** The processing of the watermark itself, which has no image watermark. */
      readonly recipe?: Recipe;
      /** Treatment of a watermark larger than the image. `clip` cuts off the part outside the image. */
      readonly oversize: "clip" | "shrink" | "omit";
    } & WatermarkPlace);

export type StepName = Step["name"];
export type StepOf<Name extends StepName> = Extract<Step, { readonly name: Name }>;

/**
 * `value`: 0–100; for `relative` it is per cent of the source's quality. `scaled`: at most the source's, which counts
 * more the smaller the result is. Lossless formats ignore it.
 */
export interface QualityRule {
  readonly kind: "atMost" | "exactly" | "relative" | "atLeast" | "scaled";
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
  /** Bytes, or as many as the source has; JPEG only. */
  readonly maxBytes?: number | "source";
  /** The source is the answer unless the result is smaller; JPEG only, or with `slimQuality`. */
  readonly returnsSmaller?: true;
  /** Quality of a JPEG at most; a PNG gets a palette. */
  readonly slimQuality?: number;
  /** Formats of a source that is answered as it is. */
  readonly unchanged?: readonly OutputFormat[];
  /** Colours of a GIF or PNG, a power of two. */
  readonly colours?: number;
  /** Colours of a GIF whose source is one, too, unless `colours` is set. */
  readonly gifColours?: number;
  /** Dots per inch that the file claims. */
  readonly density?: number;
  /** Frames that an animated GIF keeps, with fewer colours. */
  readonly gifFrames?: number;
}

/** `format/auto` as negotiated by an Accept header; `autoPlain`: JPEG, PNG or GIF. */
export type AutoFormat = "autoAvif" | "autoWebp" | "autoPlain";

/**
 * `numericInfo`: the imageInfo of Qiniu. `decodable`, which no instruction has: an empty answer if the image can be
 * decoded to its last pixel.
 */
export type Inspection = "imageInfo" | "numericInfo" | "exif" | "imageAve" | "decodable";

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
  return steps.some((step) => {
    if (step.name === "rotate") return step.degrees % 90 !== 0 && isClear(step.colour ?? CLEAR);
    if (step.name === "extent" || step.name === "border") return isClear(step.colour);
    return step.name === "circle" || step.name === "roundCorners" || step.name === "ovalCorners";
  });
}

/** The colour of transparent pixels. */
export const CLEAR = "#00000000";

/** Whether a colour is transparent. */
export function isClear(colour: string): boolean {
  return colour.length > "#rrggbb".length;
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
  return parameter === WATERMARK_PARAMETER || errorRow(code).retry === "helps";
}

/** The parameter of every error caused by the image of a watermark. */
export const WATERMARK_PARAMETER = "watermark/image";

/** Whether `ignore-error/1` covers this failure: one of the image or of its processing, not of the server's state. */
export function mayServeOriginal(recipe: Recipe, error: HuiyuanError): boolean {
  if (!recipe.ignoresErrors) return false;
  // For any error of the watermark's image: the original itself exists.
  return error.parameter === WATERMARK_PARAMETER || errorKind(error) === "image";
}
