// Renders an image by a recipe: decode once, apply the steps, encode once. It runs in a render process. Limits on the
// head's claims were checked before (loaders.ts); the server that started the process limits time, and the process its
// memory.
import sharp, { type Metadata, type Sharp } from "sharp";
import { HuiyuanError } from "../../../core/errors.ts";
import { readBmp } from "../formats/bmp.ts";
import { mayBeTurned } from "../formats/exif.ts";
import { readJpegHead } from "../formats/jpeg-head.ts";
import { framesIn, type RasterFacts, scanSource } from "../formats/loaders.ts";
import { exifPlaces, readableFile, refuseCroppedGif, withoutThumbnail } from "../formats/readable-file.ts";
import { runScan } from "../formats/yielding-scan.ts";
import { areaOf } from "../geometry/geometry.ts";
import { refuseHeavyResult, refuseLargeResult } from "../geometry/result-size.ts";
import { outputFormat } from "../grammar/negotiate.ts";
import {
  addsTransparency,
  framesWritten,
  isAlwaysOpaque,
  isUntouched,
  type OutputFormat,
  type Recipe,
} from "../grammar/recipe.ts";
import { type Pixels, thinned, withReadableProfile } from "../pixels/pixels.ts";
import { WATERMARK_LIMITS } from "../watermark-files.ts";
import { createCanvas } from "./canvas.ts";
import type { Canvas, CanvasSource } from "./canvas-shape.ts";
import { encode } from "./encode.ts";
import { inspect } from "./inspect.ts";
import { applySteps } from "./operations.ts";

export interface PipelineLimits {
  /** Width × height × frames of the source and of every intermediate image. */
  readonly pixels: number;
  /** Pixels of a side of the result. */
  readonly outputSide: number;
  /** Bytes of the result. */
  readonly outputBytes: number;
}

export interface PipelineRequest {
  readonly bytes: Buffer;
  readonly facts: RasterFacts;
  readonly recipe: Recipe;
  /** Files of the recipe's image watermarks by URL; their limits were checked before. */
  readonly watermarks: ReadonlyMap<string, Buffer>;
  readonly limits: PipelineLimits;
}

/** The opened source and the facts beyond its head's claims. */
interface Source {
  /** The file, or a copy corrected for sharp: colour profile, and EXIF that would take too long. */
  readonly bytes: Buffer;
  readonly facts: RasterFacts;
  readonly pixels: Pixels | undefined;
  /** Grey, with or without alpha. */
  readonly isGrey: boolean;
  /** Quality of a JPEG, 1–100; undefined if unknown. */
  readonly quality: number | undefined;
  readonly metadata: Partial<Pick<Metadata, "hasAlpha" | "orientation" | "exif" | "delay" | "loop">>;
}

/** Configures sharp for a render process: decoders of allowed formats only, one thread, no cache between images. */
export function restrictDecoders(): void {
  sharp.cache(false);
  sharp.concurrency(1);
  sharp.block({ operation: ["VipsForeignLoad"] });
  sharp.unblock({ operation: DECODERS });
}

const DECODERS = [
  "VipsForeignLoadJpegBuffer",
  "VipsForeignLoadPngBuffer",
  "VipsForeignLoadNsgifBuffer",
  "VipsForeignLoadWebpBuffer",
  "VipsForeignLoadHeifBuffer",
];

/**
 * An image or, for an inspection, JSON. Throws processing_invalid, image_not_processable, image_too_large,
 * output_too_large.
 */
export async function renderImage(request: PipelineRequest): Promise<Buffer> {
  try {
    const source = await open(request);
    const isKept = request.recipe.output.unchanged?.includes(source.facts.format);
    const made = isUntouched(request.recipe) || isKept ? undefined : await processImage(request, source);
    return await answer(request, source, made);
  } catch (error) {
    throw translated(error);
  }
}

async function open({ bytes: file, facts, recipe, limits }: PipelineRequest): Promise<Source> {
  // It is decoded by inspect(), from the file itself.
  if (recipe.inspection === "decodable") return { ...NOTHING_KNOWN, bytes: file, facts };
  const bytes = readableFile(file, facts.format);
  if (facts.format === "bmp") {
    if (isUntouched(recipe) && recipe.inspection === "exif") return { ...NOTHING_KNOWN, bytes, facts };
    const pixels = readBmp(bytes);
    return { ...NOTHING_KNOWN, bytes, facts, pixels, metadata: { hasAlpha: pixels.channels === 4 } };
  }
  // The head of a JPEG has nearly all facts. Reading them by libvips would add 1 % to the time of a thumbnail.
  const head = facts.format === "jpeg" ? readJpegHead(bytes) : undefined;
  const quality = head?.quality;
  const [{ block: exif } = {}] = head === undefined ? [] : exifPlaces(bytes, "jpeg");
  if (head !== undefined && !(exif && mayBeTurned(exif))) {
    const metadata = { hasAlpha: false, ...(exif && { exif }) };
    return { ...NOTHING_KNOWN, bytes, facts, isGrey: head.isGrey, quality, metadata };
  }
  const shown = { limitInputPixels: limits.pixels, animated: facts.frames > 1 };
  const metadata = await sharp(bytes, shown).metadata();
  // The decoder turns an AVIF, and the decoder's size is the real one in any format.
  const { width, height } = { width: metadata.width, height: metadata.pageHeight ?? metadata.height };
  refuseCroppedGif(bytes, { width, height });
  const known = { facts: { ...facts, width, height }, isGrey: metadata.channels < 3, quality, metadata };
  return { ...NOTHING_KNOWN, ...known, bytes: await withReadableProfile(bytes, metadata) };
}

/** A processed image that is encoded. */
interface Made {
  readonly bytes: Buffer;
  readonly image: RasterFacts;
}

/** Undefined: the source is the answer. */
async function processImage(request: PipelineRequest, source: Source): Promise<Made | undefined> {
  const { recipe, limits, watermarks } = request;
  const { facts, metadata } = source;
  const isOpaqueSource = !metadata.hasAlpha;
  const shown = {
    format: facts.format,
    isAnimated: facts.frames > 1,
    isOpaque: isOpaqueSource && !addsTransparency(recipe),
  };
  const format = outputFormat(recipe.output.format, shown);
  const isOpaque = isAlwaysOpaque(format);
  const canvas = createCanvas(canvasSource(source, format), {
    maxPixels: limits.pixels,
    ...(isOpaque && !isOpaqueSource && { background: WHITE }),
  });
  const renderMark = (bytes: Buffer, inner: Recipe) => renderFile(bytes, inner, limits);
  await applySteps(recipe.steps, { canvas, source: facts.format, isOpaque, watermarks, renderMark });
  refuseLargeResult(canvas.size, limits.outputSide);
  const pixels = canvas.size.width * canvas.size.height * canvas.frames;
  const written = writtenAs(format, recipe.output.format, { ...shown, pixels });
  // An AVIF stores the orientation outside EXIF, and some decoders ignore it.
  if (written === "avif") await canvas.autoOrient();
  // The size of a BMP is known before it is encoded.
  if (format === "bmp") refuseHeavyResult(pixels * 3, limits.outputBytes);
  const delays = await keepGifFrames(canvas, format, recipe, metadata.delay ?? []);
  const encoded = await encode(canvas, {
    format: written,
    isLarge: pixels > LARGE_PIXELS,
    output: recipe.output,
    sourceBytes: request.bytes.length,
    reduction: areaOf(facts) / areaOf(canvas.size),
    colours: coloursOf(recipe.output, facts.format),
    sourceQuality: source.quality,
    hasExif: canvas.hasExif,
    isUnworked: recipe.steps.length === 0,
    delays: canvas.frames > 1 ? delays : [],
    loop: metadata.loop ?? 0,
  });
  refuseHeavyResult(encoded.length, limits.outputBytes);
  if (mayReturnSource(recipe.output, written) && request.bytes.length <= encoded.length) return undefined;
  // Encoders merge equal neighbouring frames, so the frames of an animation are counted in the result.
  const frames = canvas.frames === 1 ? 1 : framesIn(written, encoded);
  return { bytes: encoded, image: { format: written, ...canvas.size, frames } };
}

/** `size-limit/<n>!`: the source is the answer unless the result is smaller or its metadata must go. */
function mayReturnSource(
  { returnsSmaller, isStripped, slimQuality }: Recipe["output"],
  written: OutputFormat,
): boolean {
  return returnsSmaller === true && !isStripped && (written === "jpeg" || slimQuality !== undefined);
}

/** Colours that `cgif` leaves of each frame. */
const LIGHT_GIF_COLOURS = 64;

function coloursOf({ gifFrames, colours, gifColours }: Recipe["output"], source: OutputFormat): number | undefined {
  if (gifFrames !== undefined) return LIGHT_GIF_COLOURS;
  return colours ?? (source === "gif" ? gifColours : undefined);
}

/** Renders the file of a watermark. */
async function renderFile(bytes: Buffer, recipe: Recipe, limits: PipelineLimits): Promise<Buffer> {
  const facts = runScan(scanSource(bytes, WATERMARK_LIMITS));
  return renderImage({ bytes, facts, recipe, watermarks: new Map(), limits });
}

const NOTHING_KNOWN = { pixels: undefined, isGrey: false, quality: undefined, metadata: {} } as const;
const WHITE = "#ffffff";
/** AVIF takes about a second a megapixel; clients that did not request it should not wait longer than this. */
const MAX_AUTO_AVIF_PIXELS = 2_000_000;
/**
 * WebP takes 6 bytes of memory a pixel, transparent WebP 20; larger images use another format rather than be refused.
 */
const MAX_AUTO_WEBP_PIXELS = { opaque: 20_000_000, clear: 8_000_000 };

/**
 * The format that is really written: for `format/auto`, a large image gets a cheaper format that its client accepts,
 * too.
 */
function writtenAs(
  format: OutputFormat,
  wanted: Recipe["output"]["format"],
  { pixels, ...shown }: Parameters<typeof outputFormat>[1] & { readonly pixels: number },
): OutputFormat {
  if (wanted !== "autoAvif" && wanted !== "autoWebp") return format;
  const most = MAX_AUTO_WEBP_PIXELS[shown.isOpaque ? "opaque" : "clear"];
  if (!shown.isAnimated && pixels > most) return outputFormat("autoPlain", shown);
  return format === "avif" && pixels > MAX_AUTO_AVIF_PIXELS ? "webp" : format;
}
const LARGE_PIXELS = 1_000_000;

function canvasSource(source: Source, format: OutputFormat): CanvasSource {
  const { bytes, facts, pixels, isGrey, metadata } = source;
  const size = { width: facts.width, height: facts.height };
  const isOpaque = !metadata.hasAlpha;
  if (pixels !== undefined) return { pixels, size, frames: 1, orientation: 1, isOpaque };
  const frames = framesWritten(format, facts.frames);
  const [hasExif, orientation] = [metadata.exif !== undefined, metadata.orientation ?? 1];
  const file = metadata.exif === undefined ? bytes : withoutThumbnail(bytes, facts.format);
  return { bytes: file, hasExif, isGrey, size, frames, orientation, isOpaque };
}

/** `cgif`: drops frames of a GIF that stays a GIF. Returns the delays of the remaining frames. */
async function keepGifFrames(
  canvas: Canvas,
  format: OutputFormat,
  { output }: Recipe,
  delays: readonly number[],
): Promise<readonly number[]> {
  const { gifFrames } = output;
  if (gifFrames === undefined || format !== "gif" || canvas.frames <= gifFrames) return delays;
  const kept = thinned(await canvas.pixels(), delays, gifFrames);
  canvas.replace(kept.pixels);
  return kept.delays;
}

/** `made`: undefined if the source is the answer. */
async function answer(
  { bytes: file, recipe, limits }: PipelineRequest,
  source: Source,
  made: Made | undefined,
): Promise<Buffer> {
  const { inspection } = recipe;
  const { bytes, image } = made ?? { bytes: file, image: source.facts };
  if (inspection === undefined) return bytes;
  const shown = made === undefined ? source : { bytes, pixels: undefined };
  const exif = made === undefined ? source.metadata.exif : await exifOf(bytes, image.format);
  return Buffer.from(await inspect(inspection, { ...image, bytes, exif }, () => readable(shown, image.format, limits)));
}

async function exifOf(bytes: Buffer, format: OutputFormat): Promise<Buffer | undefined> {
  return format === "bmp" ? undefined : (await sharp(bytes).metadata()).exif;
}

function readable(
  { bytes, pixels }: Pick<Source, "bytes" | "pixels">,
  format: OutputFormat,
  limits: PipelineLimits,
): Sharp {
  if (format !== "bmp") return sharp(bytes, { limitInputPixels: limits.pixels, failOn: "error" });
  const { data, width, height, channels } = pixels ?? readBmp(bytes);
  return sharp(data, { raw: { width, height, channels } });
}

/** Translates an error of libvips, which does not tell its cause. The image nearly always is, so that is assumed. */
function translated(error: unknown): HuiyuanError {
  if (error instanceof HuiyuanError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const isOurs = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
  if (isOurs) return new HuiyuanError("render_failed", `Cannot process: ${message}`, { cause: error });
  const isTooLarge = message.includes("exceeds pixel limit");
  return new HuiyuanError(isTooLarge ? "image_too_large" : "image_not_processable", `Cannot process: ${message}`, {
    cause: error,
  });
}
