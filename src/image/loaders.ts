// Which images are processed at all, and what their heads claim, told from the bytes alone before any decoder sees them:
// the format by its magic, the structure's wholeness, sides and frames. SVG, PDF and all other kinds are refused here.
import { scanBmp } from "../body/formats/bmp.ts";
import { scanGif } from "../body/formats/gif.ts";
import { scanAvif } from "../body/formats/iso-media.ts";
import { scanJpeg } from "../body/formats/jpeg.ts";
import { scanPng } from "../body/formats/png.ts";
import { type Findings, feed, type Scanner } from "../body/formats/scan.ts";
import { sniff } from "../body/formats/sniff.ts";
import { scanWebp } from "../body/formats/webp.ts";
import { HuiyuanError } from "../errors.ts";
import { mayBeTurned } from "./exif.ts";
import { type Animation, gifFrames, webpFrames } from "./frames.ts";
import { readJpegHead } from "./jpeg-head.ts";
import type { OutputFormat } from "./recipe.ts";

/** What an image is; of a source, what its head claims. */
export interface RasterFacts {
  /** Every format that can be read can be written. */
  readonly format: OutputFormat;
  /** Pixels, as stored. */
  readonly width: number;
  readonly height: number;
  /** 1 for a still image. */
  readonly frames: number;
}

/** What only a file tells besides. */
export interface WeighedFacts extends RasterFacts {
  /** Bytes a pixel that a JPEG of several scans is held as until the last of these is read. */
  readonly coefficientBytes?: number;
}

/** `bytes`: of the file. */
export function weighedFacts(facts: RasterFacts, bytes: Buffer): WeighedFacts {
  return facts.format === "jpeg" ? { ...facts, coefficientBytes: readJpegHead(bytes).coefficientBytes } : facts;
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

/** What has been found out about images that are still in memory. */
export type KnownFacts = WeakMap<Buffer, RasterFacts>;

/**
 * Allocates nothing that depends on what the image claims. `known`: where it is looked up first, since to find a structure
 * whole takes a walk through all of it. Throws image_too_heavy, image_not_processable (another kind, cut short, no size),
 * image_too_large.
 */
export function readSource(bytes: Buffer, limits: SourceLimits, known?: KnownFacts): RasterFacts {
  refuseHeavy(bytes.length, limits);
  const facts = known?.get(bytes) ?? factsOf(bytes);
  known?.set(bytes, facts);
  refuseBeyond(facts, limits);
  return facts;
}

/** Throws image_too_heavy. */
export function refuseHeavy(bytes: number, { sourceBytes }: Pick<SourceLimits, "sourceBytes">): void {
  if (bytes <= sourceBytes) return;
  throw new HuiyuanError("image_too_heavy", `Cannot process: ${bytes} bytes, the limit is ${sourceBytes}`);
}

function factsOf(bytes: Buffer): RasterFacts {
  const kind = sniff(bytes.subarray(0, 64));
  if (!isAllowed(kind)) throw unusable(`it is ${kind}`);
  return readFacts(kind, bytes);
}

function isAllowed(kind: string): kind is OutputFormat {
  return Object.hasOwn(SCANNERS, kind);
}

function readFacts(format: OutputFormat, bytes: Buffer): RasterFacts {
  const findings: Findings = { width: undefined, height: undefined, structure: "incomplete" };
  feed(SCANNERS[format](findings))(bytes);
  const { width, height, structure } = findings;
  if (structure === "incomplete") throw unusable(`its ${format} structure is not whole`);
  if (width === undefined || height === undefined) throw unusable(`its ${format} head has no size`);
  const animation = ANIMATIONS[format]?.(bytes);
  return {
    format,
    // A frame that is larger than the canvas enlarges it.
    width: Math.max(width, animation?.width ?? 0),
    height: Math.max(height, animation?.height ?? 0),
    frames: Math.max(1, animation?.frames ?? 1),
  };
}

/** Frames of a whole image of this format, counted in its file; 1 for a still one. */
export function framesIn(format: OutputFormat, bytes: Buffer): number {
  return Math.max(1, ANIMATIONS[format]?.(bytes).frames ?? 1);
}

/** Whether its decoder may show it on its side. Looks through the file, unless it is a JPEG. */
export function mayLieOnItsSide({ format }: RasterFacts, bytes: Buffer): boolean {
  if (format !== "jpeg") return (TURNED_BY[format] ?? []).some((sign) => bytes.includes(sign, 0, "latin1"));
  const { exif } = readJpegHead(bytes);
  return exif !== undefined && mayBeTurned(exif);
}

/** What stands in a file that says so: EXIF, or of an AVIF a property. */
const TURNED_BY: Readonly<Partial<Record<OutputFormat, readonly string[]>>> = {
  png: ["eXIf", "Raw profile type"],
  webp: ["EXIF"],
  avif: ["irot"],
};

const ANIMATIONS: Readonly<Partial<Record<OutputFormat, (bytes: Buffer) => Animation>>> = {
  gif: gifFrames,
  webp: webpFrames,
};

/** What the head of an image claims. Throws image_too_large. */
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
