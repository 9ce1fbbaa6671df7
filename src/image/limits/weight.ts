// Estimates the memory of a render from the image's head and the recipe before anything is decoded, so that renders
// which would exceed the memory together wait for each other. Pure: it does no I/O. The factors are the highest values
// measured with images of 8 bits a sample (docs/performance.md).

import { mayBeStoredSideways, type RasterFacts, type WeighedFacts, weighedFacts } from "../formats/loaders.ts";
import type { ScanSteps } from "../formats/yielding-scan.ts";
import { areaOf, coverWindow, type Size, sizeAfter, tileSize, turnedSize } from "../geometry/geometry.ts";
import { bytesToSet, textSize } from "../geometry/text-size.ts";
import { laidSize, mayBeLaid } from "../geometry/watermark-size.ts";
import { addsTransparency, type OutputFormat, type Recipe, type Step, type StepOf } from "../grammar/recipe.ts";
import { passesOf } from "./passes.ts";

/** Bytes a pixel to decode: an AVIF is in memory several times as a whole, other formats at most once. */
export const BYTES_PER_PIXEL: Readonly<Record<OutputFormat, number>> = {
  avif: 20,
  webp: 4,
  gif: 4,
  jpeg: 4,
  png: 4,
  bmp: 8,
};
/** Bytes a pixel to decode a JPEG of several scans, in addition to its coefficients. */
const BESIDE_COEFFICIENTS = 1;
/** Bytes a pixel to process an image as a whole. */
const WORKED_ON = 8;
/** The same if the input stays in memory: coefficients of a JPEG of several scans, or an intermediate image. */
const WORKED_BESIDE = { coefficients: 4, pixels: 9, pixelsOfJpeg: 6 };
/** Bytes a pixel of an intermediate image. */
const INTERMEDIATE = 4;
/** Bytes a pixel to sharpen a still image that may be transparent. */
const SHARPENED_CLEAR = 16;
/** Bytes a pixel of an image searched for its point of attention: before it is enlarged, or after it is reduced. */
const SEARCHED = 4;
/** Bytes a pixel of each stage of a watermark: decoded, scaled, turned, clipped. */
const OVERLAY = 4;
/** Bytes a pixel to encode, the input included. */
const WRITTEN: Readonly<Record<OutputFormat, number>> = { avif: 24, webp: 8, gif: 16, jpeg: 8, png: 8, bmp: 8 };
/** Bytes a pixel to encode, in addition to an input that stays in memory. */
const WRITTEN_BESIDE: typeof WRITTEN = { avif: 22, webp: 6, gif: 15, jpeg: 4, png: 4, bmp: 7 };
/** The same for a WebP that may be transparent: its alpha channel is compressed without loss. */
const CLEAR_WEBP = { whole: 24, beside: 21 };
/** The same for a JPEG of several scans, which the encoder keeps in memory as a whole. */
const SCANS_BESIDE = 7;
/** Bytes a pixel to encode such a JPEG within a size limit: the pixels stay in memory while qualities are tried. */
const WRITTEN_WITHIN_SIZE = 13;
const ALWAYS_OPAQUE: readonly OutputFormat[] = ["jpeg", "bmp"];
/**
 * Bytes in memory a byte of the file: the file itself, and copies of its parts in decoders, such as a large profile.
 */
const HELD = 4;

/** Bytes to decode an image. */
export function bytesToDecode({ format, width, height, frames, coefficientBytes }: WeighedFacts): number {
  const ofScans = coefficientBytes ? coefficientBytes + BESIDE_COEFFICIENTS : 0;
  return width * height * frames * Math.max(BYTES_PER_PIXEL[format], ofScans);
}

/** A loaded image, not yet decoded: a watermark, or the image below it. */
export interface HeldImage {
  readonly facts: WeighedFacts;
  /** Whether the decoder may turn it by 90 degrees. */
  readonly mayBeSideways: boolean;
}

export function* heldImage(facts: RasterFacts, bytes: Buffer): ScanSteps<HeldImage> {
  return { facts: yield* weighedFacts(facts, bytes), mayBeSideways: yield* mayBeStoredSideways(facts, bytes) };
}

/**
 * Bytes to lay the watermark of this URL over the image in all steps of the recipe that do so. Each stage of the
 * watermark stays in memory beside the one before. Its visible part stays until the image is encoded.
 */
export function bytesToLay(watermark: HeldImage, url: string, image: HeldImage, { steps }: Recipe): number {
  const { facts } = watermark;
  const watermarks = isSizedByImage(url, steps) ? withSidesChanged(facts, watermark) : [facts];
  // The decoder turns an AVIF; other formats are turned by an autoOrient step.
  let isUpright = image.facts.format === "avif";
  let canvases = isUpright ? withSidesChanged(image.facts, image) : [image.facts];
  let [bytes, kept] = [bytesToDecode(facts), 0];
  for (const step of steps) {
    if (step.name === "imageMark" && step.url === url) {
      const ways = canvases.flatMap((canvas) => watermarks.map((size) => bytesOfWatermark(canvas, size, step)));
      bytes = Math.max(bytes, kept + bytesToDecode(facts) + Math.max(...ways.map(({ worked }) => worked)));
      kept += Math.max(...ways.map(({ seen }) => seen));
    }
    if (step.name !== "autoOrient") canvases = canvases.map((size) => sizeAfter(step, size));
    else if (!isUpright) canvases = canvases.flatMap((size) => withSidesChanged(size, image));
    isUpright ||= step.name === "autoOrient";
  }
  return bytes;
}

function isSizedByImage(url: string, steps: readonly Step[]): boolean {
  return steps.some(
    (step) => step.name === "imageMark" && step.url === url && (step.scale !== undefined || step.oversize === "shrink"),
  );
}

/** The stored size, and the swapped one if the decoder may turn the image by 90 degrees. */
function withSidesChanged({ width, height }: Size, { mayBeSideways }: HeldImage): readonly Size[] {
  const upright = { width, height };
  return mayBeSideways ? [upright, { width: height, height: width }] : [upright];
}

/**
 * `worked`: bytes to scale and turn the decoded watermark; 0 if it will be refused. `seen`: bytes of the visible part.
 */
function bytesOfWatermark(
  image: Size,
  watermark: Size,
  step: StepOf<"imageMark">,
): { readonly worked: number; readonly seen: number } {
  const laid = laidSize(image, watermark, step);
  if (!mayBeLaid(laid, step.degrees)) return { worked: 0, seen: 0 };
  const turned = turnedSize(laid, step.degrees);
  const toScale = laid.width === watermark.width && laid.height === watermark.height ? 0 : areaOf(laid);
  const toTurn = step.degrees === 0 ? 0 : areaOf(turned);
  return { worked: (toScale + toTurn) * OVERLAY, seen: bytesSeen(image, turned, step, 0) };
}

/** Bytes of the visible part of a watermark of this size. */
function bytesSeen(
  image: Size,
  watermark: Size,
  { isTiled, dx, dy }: StepOf<"imageMark" | "textMark">,
  gapPerCent: number,
): number {
  const { width, height } = isTiled ? tileSize(image, watermark, { dx, dy, gapPerCent }) : watermark;
  return Math.min(image.width, width) * Math.min(image.height, height) * OVERLAY;
}

/** Bytes of the overlay that a step other than imageMark adds; it stays until the image is processed or encoded. */
function bytesLaidBy(step: Step, image: Size): number {
  if (step.name === "textMark") return bytesSeen(image, textSize(step, image), step, step.spacing);
  const isRound = step.name === "circle" || step.name === "roundCorners";
  return isRound && step.radius * 2 < Math.min(image.width, image.height) ? 4 * step.radius ** 2 * OVERLAY : 0;
}

/** Bytes that the file itself takes while it is processed, apart from its pixels. */
export function bytesToHold(fileBytes: number): number {
  return HELD * fileBytes;
}

/** Bytes to render the image by the recipe: the maximum over decoding, each step and encoding. */
export function bytesToRender(facts: WeighedFacts, recipe: Recipe): number {
  const { steps, output, inspection } = recipe;
  const isUntouched = steps.length === 0 && Object.keys(output).length === 0;
  if (isUntouched && inspection !== undefined) return bytesToDecode(facts);
  const format = formatOf(facts, output);
  const frames = framesOf(facts, format);
  const pixels = ({ width, height }: Size) => width * height * frames;
  // For an opaque output format the decoded image is flattened at once.
  const mayHaveAlpha = !isOpaque(format) && (!isOpaque(facts.format) || addsTransparency(recipe));
  const isBesideClear = frames === 1 && mayHaveAlpha;
  const passes = frames === 1 ? passesOf(steps, facts, mayHaveAlpha) : [];
  let size: Size = facts;
  let [bytes, laid] = [bytesToDecode(facts), 0];
  // Bytes of the pass's input, if it stays in memory until the pass ends.
  let [held, beside] = [facts.coefficientBytes ? bytes : 0, WORKED_BESIDE.coefficients];
  const besidePixels = facts.format === "jpeg" ? WORKED_BESIDE.pixelsOfJpeg : WORKED_BESIDE.pixels;
  const made = (intermediate: Size | undefined) => {
    if (intermediate !== undefined) [held, beside] = [areaOf(intermediate) * INTERMEDIATE, besidePixels];
  };
  for (const [index, step] of steps.entries()) {
    const next = sizeAfter(step, size);
    made(passes[index]?.before);
    if (step.name === "textMark") bytes = Math.max(bytes, laid + bytesToSet(step, size));
    laid += bytesLaidBy(step, size);
    // All frames of an animation are in memory. A still image that is cut or scaled first is decoded in strips.
    const isWhole = !isReducing(step) || frames > 1;
    const worked = [
      isWhole ? Math.max(pixels(size) * WORKED_ON, besideHeld(held, pixels(size) * beside)) : 0,
      step.name === "autoOrient" ? 0 : pixels(next) * WORKED_ON,
      step.name === "sharpen" && isBesideClear ? pixels(size) * SHARPENED_CLEAR : 0,
    ];
    bytes = Math.max(bytes, laid + Math.max(...worked), bytesToSearch(step, size, pixels));
    made(passes[index]?.after);
    size = next;
  }
  const { whole, more } = bytesToWrite(facts.format, format, output, mayHaveAlpha);
  return Math.max(bytes, laid + Math.max(pixels(size) * whole, besideHeld(held, pixels(size) * more)));
}

/** Format of the result. A format chosen by Accept is estimated as WebP. */
function formatOf(facts: RasterFacts, { format = facts.format }: Recipe["output"]): OutputFormat {
  return Object.hasOwn(WRITTEN, format) ? (format as OutputFormat) : "webp";
}

/** Frames of the result; formats without animation take the first frame only. */
function framesOf({ frames }: RasterFacts, format: OutputFormat): number {
  return format === "gif" || format === "webp" ? frames : 1;
}

function besideHeld(held: number, more: number): number {
  return held > 0 ? held + more : 0;
}

/** Bytes to search the image for its point of attention; the part that stays may be much smaller. */
function bytesToSearch(step: Step, size: Size, pixels: (size: Size) => number): number {
  if (step.name !== "attentionCrop") return 0;
  return Math.min(pixels(size), pixels(coverWindow(size, step, "center").scaled)) * SEARCHED;
}

function isOpaque(format: OutputFormat): boolean {
  return ALWAYS_OPAQUE.includes(format);
}

/** Bytes a pixel to encode. `whole`: the input included. `more`: in addition to an input that stays in memory. */
function bytesToWrite(
  source: OutputFormat,
  format: OutputFormat,
  output: Recipe["output"],
  mayHaveAlpha: boolean,
): { readonly whole: number; readonly more: number } {
  if (format === "webp" && mayHaveAlpha) return { whole: CLEAR_WEBP.whole, more: CLEAR_WEBP.beside };
  const [whole, more] = [WRITTEN[format], WRITTEN_BESIDE[format]];
  const hasScans = output.isProgressive === true || output.isOptimised === true;
  if (!hasScans || !mayBeJpeg(source, output)) return { whole, more };
  // With a size limit all pixels are rendered first, and the input is released before encoding.
  if (output.maxBytes !== undefined) return { whole: Math.max(whole, WRITTEN_WITHIN_SIZE), more };
  return { whole, more: Math.max(more, SCANS_BESIDE) };
}

/** True if the result can be a JPEG. With `format/auto` it can, because some clients accept no newer format. */
function mayBeJpeg(source: OutputFormat, { format = source }: Recipe["output"]): boolean {
  return format === "jpeg" || format.startsWith("auto");
}

function isReducing({ name }: Step): boolean {
  return (
    name === "autoOrient" || name === "resize" || name === "coverCrop" || name === "attentionCrop" || name === "window"
  );
}
