// How much memory a render takes, estimated from the image's head and the recipe before anything is decoded, so that renders
// that together are too much wait for each other. Pure; factors are measured with images of 8 bits a sample, and are the most
// that was found (docs/performance.md).
import { HuiyuanError } from "../errors.ts";
import { areaOf, boxSize, coverWindow, plainWindow, type Size, scaledSize, tileSize, turnedSize } from "./geometry.ts";
import { mayLieOnItsSide, type RasterFacts } from "./loaders.ts";
import { laidSize, mayBeLaid } from "./mark-size.ts";
import type { OutputFormat, Recipe, Step, StepOf } from "./recipe.ts";
import { bytesToSet, textSize } from "./text-size.ts";

/** Bytes that decoding takes a pixel: AVIF is held whole in several forms, the others once at the most. */
export const BYTES_PER_PIXEL: Readonly<Record<OutputFormat, number>> = {
  avif: 20,
  webp: 4,
  gif: 4,
  jpeg: 4,
  png: 4,
  bmp: 8,
};
/** Bytes a pixel of an image that is worked on, or written, as a whole. */
const WORKED_ON = 8;
/** Of a still image that may have clear parts, which is sharpened beside them. */
const SHARPENED_CLEAR = 16;
/** Bytes a pixel of an image that is searched for what draws the eye: before it is enlarged, or after it is made smaller. */
const SEARCHED = 4;
/** Bytes a pixel of each form that a mark takes on its way: decoded, scaled, turned, clipped. */
const OVERLAY = 4;
const WRITTEN: Readonly<Record<OutputFormat, number>> = { avif: 24, webp: 8, gif: 16, jpeg: 8, png: 8, bmp: 8 };
/** Of a WebP that may have clear parts, which are packed without loss. */
const WRITTEN_CLEAR_WEBP = 24;
/** Of a JPEG of several passes that is written within a size: it is held whole, beside the pixels that each quality is tried on. */
const WRITTEN_WITHIN_SIZE = 13;
const ALWAYS_OPAQUE: readonly OutputFormat[] = ["jpeg", "bmp"];
/** Bytes in memory a byte of the file: it is held, and so is what a decoder copies of it, such as a large profile. */
const HELD = 4;

/** Bytes to decode an image. */
export function bytesToDecode({ format, width, height, frames }: RasterFacts): number {
  return width * height * frames * BYTES_PER_PIXEL[format];
}

/** An image that has been read, not decoded. */
export interface HeldImage {
  readonly facts: RasterFacts;
  /** Whether its decoder may show it on its side. Its file is looked through when that is first asked. */
  readonly mayLie: () => boolean;
}

export function heldImage(facts: RasterFacts, bytes: Buffer): HeldImage {
  let known: boolean | undefined;
  const mayLie = () => {
    known ??= mayLieOnItsSide(facts, bytes);
    return known;
  };
  return { facts, mayLie };
}

/**
 * Bytes to lay the mark of this URL over the image wherever the recipe does so: each form that it takes in a step stays beside
 * the one before, and what is seen of it until the image is written.
 */
export function bytesToLay(mark: HeldImage, url: string, image: HeldImage, { steps }: Recipe): number {
  const { facts } = mark;
  const marks = isSizedByImage(url, steps) ? withSidesChanged(facts, mark) : [facts];
  // An AVIF is turned by its decoder, other formats where that is asked for.
  let isUpright = image.facts.format === "avif";
  let canvases = isUpright ? withSidesChanged(image.facts, image) : [image.facts];
  let [bytes, kept] = [bytesToDecode(facts), 0];
  for (const step of steps) {
    if (step.name === "imageMark" && step.url === url) {
      const ways = canvases.flatMap((canvas) => marks.map((size) => bytesOfMark(canvas, size, step)));
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
function withSidesChanged({ width, height }: Size, { mayLie }: HeldImage): readonly Size[] {
  const upright = { width, height };
  return mayLie() ? [upright, { width: height, height: width }] : [upright];
}

/** `worked`: what scaling and turning take, beside what is decoded; what is refused takes nothing. `seen`: what lies on the image. */
function bytesOfMark(
  image: Size,
  mark: Size,
  step: StepOf<"imageMark">,
): { readonly worked: number; readonly seen: number } {
  const laid = laidSize(image, mark, step);
  if (!mayBeLaid(laid, step.degrees)) return { worked: 0, seen: 0 };
  const turned = turnedSize(laid, step.degrees);
  const toScale = laid.width === mark.width && laid.height === mark.height ? 0 : areaOf(laid);
  const toTurn = step.degrees === 0 ? 0 : areaOf(turned);
  return { worked: (toScale + toTurn) * OVERLAY, seen: bytesSeen(image, turned, step, 0) };
}

/** Bytes of what lies on the image of a mark of this size. */
function bytesSeen(
  image: Size,
  mark: Size,
  { isTiled, dx, dy }: StepOf<"imageMark" | "textMark">,
  gapPerCent: number,
): number {
  const { width, height } = isTiled ? tileSize(image, mark, { dx, dy, gapPerCent }) : mark;
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
export function bytesToRender(facts: RasterFacts, recipe: Recipe): number {
  const { bytes, written } = bytesOfParts(facts, recipe);
  return Math.max(bytes, written);
}

/** Bytes to decode it and to do the steps. */
export function bytesBeforeWriting(facts: RasterFacts, recipe: Recipe): number {
  return bytesOfParts(facts, recipe).bytes;
}

function bytesOfParts(
  facts: RasterFacts,
  { steps, output, inspection }: Recipe,
): { readonly bytes: number; readonly written: number } {
  const isUntouched = steps.length === 0 && Object.keys(output).length === 0;
  if (isUntouched && inspection !== undefined) return { bytes: bytesToDecode(facts), written: 0 };
  const { format: wanted = facts.format } = output;
  const format = Object.hasOwn(WRITTEN, wanted) ? (wanted as OutputFormat) : "webp";
  // Elsewhere the first frame counts.
  const frames = format === "gif" || format === "webp" ? facts.frames : 1;
  const pixels = ({ width, height }: Size) => width * height * frames;
  let size: Size = facts;
  let [bytes, laid] = [bytesToDecode(facts), 0];
  // A result that knows no transparency has a ground from the start.
  const mayBeClear = ![facts.format, format].some((each) => ALWAYS_OPAQUE.includes(each));
  for (const step of steps) {
    const next = sizeAfter(step, size);
    if (step.name === "textMark") bytes = Math.max(bytes, laid + bytesToSet(step, size));
    laid += bytesLaidBy(step, size);
    // Frames are gathered whole; a still image that is cut or scaled first comes through in strips.
    if (!isReducing(step) || frames > 1) bytes = Math.max(bytes, laid + pixels(size) * WORKED_ON);
    bytes = Math.max(bytes, step.name === "autoOrient" ? 0 : laid + pixels(next) * WORKED_ON);
    if (step.name === "sharpen" && frames === 1 && mayBeClear)
      bytes = Math.max(bytes, laid + pixels(size) * SHARPENED_CLEAR);
    // What is cut from it may be a small part.
    if (step.name === "attentionCrop") {
      const searched = Math.min(pixels(size), pixels(coverWindow(size, step, "center").scaled));
      bytes = Math.max(bytes, searched * SEARCHED);
    }
    size = next;
  }
  return { bytes, written: laid + pixels(size) * bytesToWrite(facts.format, format, output) };
}

/** Bytes a pixel. */
function bytesToWrite(source: OutputFormat, format: OutputFormat, output: Recipe["output"]): number {
  const mayBeClear = format === "webp" && !ALWAYS_OPAQUE.includes(source);
  const written = mayBeClear ? WRITTEN_CLEAR_WEBP : WRITTEN[format];
  const { maxBytes, isProgressive, isOptimised } = output;
  const hasPasses = isProgressive === true || isOptimised === true;
  const isWithinSize = hasPasses && maxBytes !== undefined && mayBeJpeg(source, output);
  return isWithinSize ? Math.max(written, WRITTEN_WITHIN_SIZE) : written;
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

/** As operations.ts has it, but for an image that lies on its side. */
export function sizeAfter(step: Step, size: Size): Size {
  switch (step.name) {
    case "resize":
      return scaledSize(size, step.rule);
    case "coverCrop":
      return coverWindow(size, step, step.gravity).window;
    case "attentionCrop":
      return boxSize(size, step);
    case "window":
      return cutSize(size, step);
    case "pad":
      return step;
    case "circle":
      return { width: step.radius * 2, height: step.radius * 2 };
    case "rotate":
      return turnedSize(size, step.degrees);
    default:
      return size;
  }
}

function cutSize(size: Size, step: Extract<Step, { readonly name: "window" }>): Size {
  try {
    return plainWindow(size, step);
  } catch (error) {
    // Nothing is left of it, which the render says; or there would be, were it upright.
    if (error instanceof HuiyuanError) return size;
    throw error;
  }
}
