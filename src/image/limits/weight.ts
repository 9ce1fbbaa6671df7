// How much memory a render takes, estimated from the image's head and the recipe before anything is decoded, so that renders
// that together are too much wait for each other. Pure; factors are measured with images of 8 bits a sample, and are the most
// that was found (docs/performance.md).

import { mayBeStoredSideways, type RasterFacts, type WeighedFacts, weighedFacts } from "../formats/loaders.ts";
import type { ScanSteps } from "../formats/yielding-scan.ts";
import { areaOf, coverWindow, type Size, sizeAfter, tileSize, turnedSize } from "../geometry/geometry.ts";
import { bytesToSet, textSize } from "../geometry/text-size.ts";
import { laidSize, mayBeLaid } from "../geometry/watermark-size.ts";
import { addsTransparency, type OutputFormat, type Recipe, type Step, type StepOf } from "../grammar/recipe.ts";
import { passesOf } from "./passes.ts";

/** Bytes that decoding takes a pixel: AVIF is held whole in several forms, the others once at the most. */
export const BYTES_PER_PIXEL: Readonly<Record<OutputFormat, number>> = {
  avif: 20,
  webp: 4,
  gif: 4,
  jpeg: 4,
  png: 4,
  bmp: 8,
};
/** Of a JPEG of several scans, beside what is held of it until the last of these. */
const BESIDE_COEFFICIENTS = 1;
/** Bytes a pixel of an image that is worked on, or written, as a whole. */
const WORKED_ON = 8;
/** Beside what the pass is of, where that is held: the coefficients of such a JPEG, or an intermediate image. */
const WORKED_BESIDE = { coefficients: 4, pixels: 9, pixelsOfJpeg: 6 };
/** Of an intermediate image. */
const INTERMEDIATE = 4;
/** Of a still image that may have clear parts, which is sharpened beside them. */
const SHARPENED_CLEAR = 16;
/** Bytes a pixel of an image that is searched for what draws the eye: before it is enlarged, or after it is made smaller. */
const SEARCHED = 4;
/** Bytes a pixel of each form that a mark takes on its way: decoded, scaled, turned, clipped. */
const OVERLAY = 4;
const WRITTEN: Readonly<Record<OutputFormat, number>> = { avif: 24, webp: 8, gif: 16, jpeg: 8, png: 8, bmp: 8 };
/** What it takes of that beside what the last pass is of, where that is held. */
const WRITTEN_BESIDE: typeof WRITTEN = { avif: 22, webp: 6, gif: 15, jpeg: 4, png: 4, bmp: 7 };
/** Of a WebP that may have clear parts, which are packed without loss. */
const CLEAR_WEBP = { whole: 24, beside: 21 };
/** Of a JPEG of several scans, which is held whole. */
const SCANS_BESIDE = 7;
/** Of one that is written within a size, beside the pixels that each quality is tried on. */
const WRITTEN_WITHIN_SIZE = 13;
const ALWAYS_OPAQUE: readonly OutputFormat[] = ["jpeg", "bmp"];
/** Bytes in memory a byte of the file: it is held, and so is what a decoder copies of it, such as a large profile. */
const HELD = 4;

/** Bytes to decode an image. */
export function bytesToDecode({ format, width, height, frames, coefficientBytes }: WeighedFacts): number {
  const ofScans = coefficientBytes ? coefficientBytes + BESIDE_COEFFICIENTS : 0;
  return width * height * frames * Math.max(BYTES_PER_PIXEL[format], ofScans);
}

/** An image that has been read, not decoded: a mark, or what marks are laid over. */
export interface HeldImage {
  readonly facts: WeighedFacts;
  /** Whether its decoder may show it on its side. */
  readonly mayBeSideways: boolean;
}

export function* heldImage(facts: RasterFacts, bytes: Buffer): ScanSteps<HeldImage> {
  return { facts: yield* weighedFacts(facts, bytes), mayBeSideways: yield* mayBeStoredSideways(facts, bytes) };
}

/**
 * Bytes to lay the mark of this URL over the image wherever the recipe does so: each form that it takes in a step stays beside
 * the one before, and what is seen of it until the image is written.
 */
export function bytesToLay(watermark: HeldImage, url: string, image: HeldImage, { steps }: Recipe): number {
  const { facts } = watermark;
  const watermarks = isSizedByImage(url, steps) ? withSidesChanged(facts, watermark) : [facts];
  // An AVIF is turned by its decoder, other formats where that is asked for.
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

/** The size as it is and, where the image may lie on its side, as it is then. */
function withSidesChanged({ width, height }: Size, { mayBeSideways }: HeldImage): readonly Size[] {
  const upright = { width, height };
  return mayBeSideways ? [upright, { width: height, height: width }] : [upright];
}

/** `worked`: what scaling and turning take, beside what is decoded; what is refused takes nothing. `seen`: what lies on the image. */
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

/** Bytes of what lies on the image of a mark of this size. */
function bytesSeen(
  image: Size,
  watermark: Size,
  { isTiled, dx, dy }: StepOf<"imageMark" | "textMark">,
  gapPerCent: number,
): number {
  const { width, height } = isTiled ? tileSize(image, watermark, { dx, dy, gapPerCent }) : watermark;
  return Math.min(image.width, width) * Math.min(image.height, height) * OVERLAY;
}

/** Bytes of what a step lays over the image, beside image marks: it stays until the image is worked on or written. */
function bytesLaidBy(step: Step, image: Size): number {
  if (step.name === "textMark") return bytesSeen(image, textSize(step, image), step, step.spacing);
  const isRound = step.name === "circle" || step.name === "roundCorners";
  return isRound && step.radius * 2 < Math.min(image.width, image.height) ? 4 * step.radius ** 2 * OVERLAY : 0;
}

/** Bytes that a file takes while it is processed, whatever its pixels take. */
export function bytesToHold(fileBytes: number): number {
  return HELD * fileBytes;
}

/** Bytes to render it by the recipe: the most that any of its parts takes. */
export function bytesToRender(facts: WeighedFacts, recipe: Recipe): number {
  const { bytes, written } = bytesOfParts(facts, recipe);
  return Math.max(bytes, written);
}

/** Bytes to decode it and to do the steps. */
export function bytesBeforeWriting(facts: WeighedFacts, recipe: Recipe): number {
  return bytesOfParts(facts, recipe).bytes;
}

function bytesOfParts(facts: WeighedFacts, recipe: Recipe): { readonly bytes: number; readonly written: number } {
  const { steps, output, inspection } = recipe;
  const isUntouched = steps.length === 0 && Object.keys(output).length === 0;
  if (isUntouched && inspection !== undefined) return { bytes: bytesToDecode(facts), written: 0 };
  const format = formatOf(facts, output);
  const frames = framesOf(facts, format);
  const pixels = ({ width, height }: Size) => width * height * frames;
  // A result that knows no transparency has a ground from the start.
  const mayHaveAlpha = !isOpaque(format) && (!isOpaque(facts.format) || addsTransparency(recipe));
  const isBesideClear = frames === 1 && mayHaveAlpha;
  const passes = frames === 1 ? passesOf(steps, facts, mayHaveAlpha) : [];
  let size: Size = facts;
  let [bytes, laid] = [bytesToDecode(facts), 0];
  // What the pass is of, where that stays until its end.
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
    // Frames are gathered whole; a still image that is cut or scaled first comes through in strips.
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
  return { bytes, written: laid + Math.max(pixels(size) * whole, besideHeld(held, pixels(size) * more)) };
}

/** Of the result; what a client turns out to take is reckoned with as WebP. */
function formatOf(facts: RasterFacts, { format = facts.format }: Recipe["output"]): OutputFormat {
  return Object.hasOwn(WRITTEN, format) ? (format as OutputFormat) : "webp";
}

/** Where no animation is written the first frame counts. */
function framesOf({ frames }: RasterFacts, format: OutputFormat): number {
  return format === "gif" || format === "webp" ? frames : 1;
}

function besideHeld(held: number, more: number): number {
  return held > 0 ? held + more : 0;
}

/** What is cut from it may be a small part. */
function bytesToSearch(step: Step, size: Size, pixels: (size: Size) => number): number {
  if (step.name !== "attentionCrop") return 0;
  return Math.min(pixels(size), pixels(coverWindow(size, step, "center").scaled)) * SEARCHED;
}

function isOpaque(format: OutputFormat): boolean {
  return ALWAYS_OPAQUE.includes(format);
}

/** Bytes a pixel: with what it is made of, and beside that where that is held. */
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
  // Within a size the pixels are made before, and whatever those are made of has gone.
  if (output.maxBytes !== undefined) return { whole: Math.max(whole, WRITTEN_WITHIN_SIZE), more };
  return { whole, more: Math.max(more, SCANS_BESIDE) };
}

/** Whether the result may be one: a client may turn out to take nothing newer. */
export function mayBeJpeg(source: OutputFormat, { format = source }: Recipe["output"]): boolean {
  return format === "jpeg" || format.startsWith("auto");
}

function isReducing({ name }: Step): boolean {
  return (
    name === "autoOrient" || name === "resize" || name === "coverCrop" || name === "attentionCrop" || name === "window"
  );
}
