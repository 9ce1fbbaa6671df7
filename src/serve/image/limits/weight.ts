// Estimates the memory of a render from the image's head and the recipe before anything is decoded, so that renders
// which would exceed the memory together wait for each other. A few factors, the highest values measured for each kind
// of work (docs/internals/performance.md), stand for all recipes. Pure: it does no I/O.

import type { RasterFacts } from "../formats/loaders.ts";
import { areaOf, type Size, sizeAfter, turnedSize } from "../geometry/geometry.ts";
import { bytesToSet, laidSize, MAX_TURNED_PIXELS, MAX_WATERMARK_PIXELS, textSize } from "../geometry/watermark-size.ts";
import {
  addsTransparency,
  framesWritten,
  isAlwaysOpaque,
  isUntouched,
  type OutputFormat,
  type Recipe,
  type Step,
  type StepOf,
} from "../grammar/recipe.ts";

/** Bytes a pixel to decode: an AVIF is in memory several times as a whole, other formats at most once. */
const BYTES_PER_PIXEL: Readonly<Record<OutputFormat, number>> = {
  avif: 20,
  webp: 4,
  gif: 4,
  jpeg: 4,
  png: 4,
  bmp: 8,
};
/** Bytes a pixel to encode, the input included. */
const ENCODED: typeof BYTES_PER_PIXEL = { avif: 26, webp: 10, gif: 19, jpeg: 8, png: 8, bmp: 11 };
/** The same for a WebP that may be transparent: its alpha channel is compressed without loss. */
const ENCODED_CLEAR_WEBP = 25;
/** The same for a JPEG of several scans, which the encoder keeps in memory as a whole. */
const ENCODED_SCANS = 13;
/** Bytes a pixel to process an image as a whole, the input included. */
const PROCESSED = 8;
/** The same for a step after such a step, whose result may stay in memory. */
const PROCESSED_AGAIN = 13;
/** Bytes a pixel of the input in all these factors, and of each stage of an overlay: decoded, scaled, turned. */
const PIXEL = 4;
/** Bytes in memory a byte of the file: the file, and copies of its parts in decoders, such as a large profile. */
const HELD = 4;

/** Steps that libvips runs while it decodes, unless they enlarge: only their result is in memory. */
const REDUCING: readonly Step["name"][] = ["autoOrient", "resize", "coverCrop", "attentionCrop", "window"];

/** Bytes that the file itself takes while it is processed, apart from its pixels. */
export function bytesToHold(fileBytes: number): number {
  return HELD * fileBytes;
}

/** Bytes to decode all frames at once. */
function bytesToDecode({ format, width, height, frames, coefficientBytes }: RasterFacts): number {
  const ofScans = coefficientBytes ? coefficientBytes + 1 : 0;
  return width * height * frames * Math.max(BYTES_PER_PIXEL[format], ofScans);
}

/**
 * Bytes to render the image by the recipe: the maximum over decoding, each step and encoding, and the largest overlay
 * while it is made. `watermarks`: facts of the image watermarks by URL; one without facts is not counted.
 */
export function bytesToRender(
  facts: RasterFacts,
  recipe: Recipe,
  watermarks: ReadonlyMap<string, RasterFacts> = new Map(),
): number {
  const { steps, output, inspection } = recipe;
  const read = bytesToDecode(facts);
  // Frames that are only looked at are decoded one after the other.
  if (isUntouched(recipe) && inspection !== undefined) return bytesToDecode({ ...facts, frames: 1 });
  const format = formatOf(facts, output);
  const frames = framesWritten(format, facts.frames);
  // For an opaque output format the decoded image is flattened at once.
  const mayHaveAlpha = !isAlwaysOpaque(format) && (!isAlwaysOpaque(facts.format) || addsTransparency(recipe));
  // Coefficients stay in memory in place of the input until the last scan is read, and so may an intermediate image.
  let held = facts.coefficientBytes ? read : 0;
  const all = (size: Size, bytesPerPixel: number) => {
    const pixels = areaOf(size) * frames;
    return Math.max(pixels * bytesPerPixel, held && held + pixels * (bytesPerPixel - PIXEL));
  };
  let size: Size = facts;
  let [bytes, made, laid, hasPassed] = [read, 0, 0, false];
  for (const [index, step] of steps.entries()) {
    const next = sizeAfter(step, size);
    const overlay = bytesOfOverlay(step, size, watermarks);
    made = Math.max(made, overlay.made);
    laid += overlay.seen;
    const isWhole = !REDUCING.includes(step.name) || areaOf(next) > areaOf(size);
    const largest = (isWhole || frames > 1) && areaOf(size) > areaOf(next) ? size : next;
    // A late turn has a pass of its own.
    const isAgain = frames === 1 && (hasPassed || (index > 0 && step.name === "rotate"));
    bytes = Math.max(bytes, laid + all(largest, bytesToProcess(step, isAgain)));
    if (isWhole && frames === 1) held = Math.max(held, areaOf(largest) * PIXEL);
    hasPassed ||= isWhole || index > 0;
    size = next;
  }
  return Math.max(bytes, laid + all(size, bytesToEncode(facts.format, format, output, mayHaveAlpha))) + made;
}

/** Bytes a pixel of the larger one of the images before and after the step. */
function bytesToProcess({ name }: Step, isAgain: boolean): number {
  if (name === "autoOrient") return 0;
  return isAgain ? PROCESSED_AGAIN : PROCESSED;
}

/** `made`: bytes to make an overlay. `seen`: bytes of its visible part, which stays until the image is encoded. */
interface OverlayBytes {
  readonly made: number;
  readonly seen: number;
}

function bytesOfOverlay(step: Step, image: Size, watermarks: ReadonlyMap<string, RasterFacts>): OverlayBytes {
  if (step.name === "textMark")
    return { made: bytesToSet(step, image), seen: bytesSeen(image, textSize(step, image), step) };
  if (step.name === "ovalCorners") return { made: 0, seen: areaOf(image) * PIXEL };
  if (step.name === "circle" || step.name === "roundCorners")
    return { made: 0, seen: Math.min(areaOf(image), 4 * step.radius ** 2) * PIXEL };
  const facts = step.name === "imageMark" ? watermarks.get(step.url) : undefined;
  return step.name === "imageMark" && facts ? bytesOfWatermark(image, facts, step) : { made: 0, seen: 0 };
}

/** Bytes to decode, scale and turn an image watermark, and of its visible part. */
function bytesOfWatermark(image: Size, facts: RasterFacts, step: StepOf<"imageMark">): OverlayBytes {
  // Decoders may turn the image or the watermark by 90 degrees; a square of the longer side covers both canvases.
  const side = Math.max(image.width, image.height);
  const canvas = { width: side, height: side };
  const ofRecipe = step.recipe === undefined ? 0 : bytesToRender(facts, step.recipe);
  const watermark = step.recipe?.steps.reduce<Size>((size, inner) => sizeAfter(inner, size), facts) ?? facts;
  const { width, height } = watermark;
  const ways = [watermark, { width: height, height: width }].map((mark) => laidSize(canvas, mark, step));
  const turned = ways.map((laid) => turnedSize(laid, step.degrees));
  const largest = (sizes: readonly Size[], most: number) => Math.min(most, Math.max(...sizes.map(areaOf)));
  const laidPixels = largest(ways, MAX_WATERMARK_PIXELS);
  const scaledPixels = laidPixels === width * height ? 0 : laidPixels;
  const turnedPixels = step.degrees === 0 ? 0 : largest(turned, MAX_TURNED_PIXELS);
  const seen = Math.max(...turned.map((one) => bytesSeen(image, one, step)));
  return {
    made: Math.max(ofRecipe, bytesToDecode({ ...facts, width, height })) + (scaledPixels + turnedPixels) * PIXEL,
    seen,
  };
}

/** Upper bound: tiles cover the whole image. */
function bytesSeen(image: Size, watermark: Size, { isTiled }: StepOf<"imageMark" | "textMark">): number {
  return Math.min(areaOf(image), isTiled ? areaOf(image) : areaOf(watermark)) * PIXEL;
}

/** Format of the result. A format chosen by Accept is estimated as WebP. */
function formatOf(facts: RasterFacts, { format = facts.format }: Recipe["output"]): OutputFormat {
  return Object.hasOwn(ENCODED, format) ? (format as OutputFormat) : "webp";
}

/** Bytes a pixel. With `format/auto` the result can be a JPEG, because some clients accept no newer format. */
function bytesToEncode(
  source: OutputFormat,
  format: OutputFormat,
  output: Recipe["output"],
  mayHaveAlpha: boolean,
): number {
  if (format === "webp" && mayHaveAlpha) return ENCODED_CLEAR_WEBP;
  if (format === "png" && (output.colours ?? output.slimQuality) !== undefined) return ENCODED.gif;
  const mayBeJpeg = (output.format ?? source) === "jpeg" || output.format?.startsWith("auto") === true;
  const hasScans = output.isProgressive === true || output.isOptimised === true;
  return hasScans && mayBeJpeg ? Math.max(ENCODED[format], ENCODED_SCANS) : ENCODED[format];
}
