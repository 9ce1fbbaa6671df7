// Checks whether an image may be processed and reads the claims of its head, before any decoder sees it: format by
// magic bytes, completeness of the structure, sides and frames. It refuses SVG, PDF and all other formats. It decodes
// nothing.

import { HuiyuanError } from "../../../core/errors.ts";
import { scanBmp } from "../../body/formats/bmp.ts";
import { scanGif } from "../../body/formats/gif.ts";
import { scanAvif } from "../../body/formats/iso-media.ts";
import { scanJpeg } from "../../body/formats/jpeg.ts";
import { scanPng } from "../../body/formats/png.ts";
import { type Findings, feed, nothingFound, type Scanner } from "../../body/formats/scan.ts";
import { sniff } from "../../body/formats/sniff.ts";
import { scanWebp } from "../../body/formats/webp.ts";
import type { OutputFormat } from "../grammar/recipe.ts";
import { MOST_COEFFICIENT_BYTES, readJpegHead } from "./jpeg-head.ts";
import { runScan, type ScanSteps, scanBytes } from "./yielding-scan.ts";

/** Format and size of an image; for a source these are claims of its head. */
export interface RasterFacts {
  /** Every readable format can also be written. */
  readonly format: OutputFormat;
  /** Pixels, as stored. */
  readonly width: number;
  readonly height: number;
  /** 1 for a still image. */
  readonly frames: number;
  /** Bytes a pixel that a decoder holds until the last scan of a JPEG; 0 or absent if it has one scan. */
  readonly coefficientBytes?: number;
}

export interface SourceLimits {
  /** Bytes of the file. */
  readonly sourceBytes: number;
  /** Pixels of a side. */
  readonly sourceSide: number;
  /** Width × height × frames. */
  readonly pixels: number;
  readonly frames: number;
}

const SCANNERS: Readonly<Record<OutputFormat, Scanner>> = {
  jpeg: scanJpeg,
  png: scanPng,
  gif: scanGif,
  webp: scanWebp,
  avif: scanAvif,
  bmp: scanBmp,
};

/** Facts about images that are still in memory. */
export type KnownFacts = WeakMap<Buffer, RasterFacts>;

/**
 * Reads the facts in steps, without allocating memory by the image's claims. `known`: facts found before, because
 * checking the structure reads the whole file. Throws image_too_heavy, image_not_processable (other format, cut short,
 * no size), image_too_large.
 */
export function* scanSource(bytes: Buffer, limits: SourceLimits, known?: KnownFacts): ScanSteps<RasterFacts> {
  refuseHeavy(bytes.length, limits);
  const facts = known?.get(bytes) ?? (yield* factsOf(bytes));
  known?.set(bytes, facts);
  refuseBeyond(facts, limits);
  return facts;
}

/** Throws image_too_heavy if the file has more bytes than the limit. */
export function refuseHeavy(bytes: number, { sourceBytes }: Pick<SourceLimits, "sourceBytes">): void {
  if (bytes <= sourceBytes) return;
  throw new HuiyuanError("image_too_heavy", `Cannot process: ${bytes} bytes, the limit is ${sourceBytes}`);
}

function* factsOf(bytes: Buffer): ScanSteps<RasterFacts> {
  const kind = sniff(bytes.subarray(0, 64));
  if (!isProcessable(kind)) throw unusable(`it is ${kind}`);
  const { width, height, structure, ...found } = yield* scanned(kind, bytes);
  if (structure === "incomplete") throw unusable(`its ${kind} structure is not whole`);
  if (width === undefined || height === undefined) throw unusable(`its ${kind} head has no size`);
  return {
    format: kind,
    // A frame larger than the canvas enlarges the canvas.
    width: Math.max(width, found.framesWidth),
    height: Math.max(height, found.framesHeight),
    frames: Math.max(1, found.frames),
    ...(kind === "jpeg" && { coefficientBytes: readJpegHead(bytes)?.coefficientBytes ?? MOST_COEFFICIENT_BYTES }),
  };
}

/** Whether images of this kind can be processed. */
export function isProcessable(kind: string): kind is OutputFormat {
  return Object.hasOwn(SCANNERS, kind);
}

function* scanned(format: OutputFormat, bytes: Buffer): ScanSteps<Findings> {
  const findings = nothingFound();
  yield* scanBytes(bytes, feed(SCANNERS[format], findings));
  return findings;
}

/** Frames of a complete image of this format, counted in its file; 1 for a still image. */
export function framesIn(format: OutputFormat, bytes: Buffer): number {
  return Math.max(1, runScan(scanned(format, bytes)).frames);
}

/** Throws image_too_large if the claims of an image's head exceed the limits. */
export function refuseBeyond(
  { width, height, frames }: Omit<RasterFacts, "format">,
  limits: Omit<SourceLimits, "sourceBytes">,
): void {
  const isWithin =
    Math.max(width, height) <= limits.sourceSide && frames <= limits.frames && width * height * frames <= limits.pixels;
  if (isWithin) return;
  const found = `${width}×${height} pixels in ${frames} frames`;
  const most = `sides of ${limits.sourceSide}, ${limits.frames} frames and ${limits.pixels} pixels in all`;
  throw new HuiyuanError("image_too_large", `Cannot process: ${found}, the limits are ${most}`);
}

function unusable(found: string): HuiyuanError {
  return new HuiyuanError("image_not_processable", `Cannot process the image: ${found}`);
}
