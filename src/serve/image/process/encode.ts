// Encodes a finished canvas in the format and quality that the recipe requests, within its size limit if it has one. It
// does not choose the format.
import type { Sharp } from "sharp";
import { HuiyuanError } from "../../../core/errors.ts";
import { writeBmp } from "../formats/bmp.ts";
import type { Output, OutputFormat, QualityRule } from "../grammar/recipe.ts";
import { displayMs } from "../pixels/pixels.ts";
import type { Canvas } from "./canvas-shape.ts";

export interface Encoding {
  readonly format: OutputFormat;
  readonly output: Output;
  /** Bytes of the source's file. */
  readonly sourceBytes: number;
  /** Pixels of the source for each pixel of the result. */
  readonly reduction: number;
  /** Colours of a GIF or PNG, a power of two; undefined: as many as the format allows. */
  readonly colours: number | undefined;
  /** 1–100; undefined if the source's format has no quality or the file does not tell it. */
  readonly sourceQuality: number | undefined;
  readonly hasExif: boolean;
  /** True if no step changed the pixels, so that a GIF may keep its palette. */
  readonly isUnworked: boolean;
  /** True for a large result, where time and memory matter more than the last byte. */
  readonly isLarge: boolean;
  /** Milliseconds of each frame of an animation; empty for a still image. */
  readonly delays: readonly number[];
  /** Number of repetitions of an animation; 0 means endless. */
  readonly loop: number;
}

/** Quality if the recipe sets none, and the assumed quality of a source that does not tell its own. */
const DEFAULT_QUALITY = 85;
/** The scale of AVIF differs: this value looks like a JPEG of quality 85. */
const DEFAULT_AVIF_QUALITY = 60;
/** The quality that a source counts as at most, however much it is reduced; better sources count in full. */
const MAX_SCALED_QUALITY = 90;
/** Qualities tried for a size limit: enough to bisect 1–100 to a single value. */
const SIZE_TRIES = 7;

/** Longest side that a format can hold, in pixels. */
const FORMAT_SIDES: Readonly<Partial<Record<OutputFormat, number>>> = {
  webp: 16_383,
  avif: 16_384,
  gif: 65_535,
  jpeg: 65_535,
};

/** Throws output_too_large. */
export async function encode(canvas: Canvas, encoding: Encoding): Promise<Buffer> {
  const { format, output } = encoding;
  const { width, height } = canvas.size;
  const most = FORMAT_SIDES[format] ?? Number.POSITIVE_INFINITY;
  if (Math.max(width, height) > most) {
    const wanted = `sides of at most ${most} pixels as ${format}`;
    throw new HuiyuanError("output_too_large", `Cannot write ${width}×${height} pixels, wanted ${wanted}`, { wanted });
  }
  if (format === "bmp") return writeBmp(await canvas.pixels());
  if (format === "jpeg" && output.maxBytes !== undefined)
    return encodeWithin(
      await canvas.reopenable(),
      encoding,
      output.maxBytes === "source" ? encoding.sourceBytes : output.maxBytes,
    );
  return toFile(write(canvas.finish(), encoding, qualityFor(encoding)), encoding);
}

/** A JFIF segment of version 1.1 without a thumbnail, up to its densities, which are in dots per inch. */
const JFIF = Buffer.from("ffe000104a46494600010101", "hex");

async function toFile(image: Sharp, { format, output: { density } }: Encoding): Promise<Buffer> {
  const bytes = await image.toBuffer();
  if (format !== "jpeg" || density === undefined) return bytes;
  // libvips writes no density into a JPEG without a profile.
  const densities = Buffer.alloc(6);
  densities.writeUInt16BE(density, 0);
  densities.writeUInt16BE(density, 2);
  return Buffer.concat([bytes.subarray(0, 2), JFIF, densities, bytes.subarray(2)]);
}

/** The quality by the recipe's rule, 1–100. */
function qualityFor({ format, output, sourceQuality, reduction }: Encoding): number {
  const standard = format === "avif" ? DEFAULT_AVIF_QUALITY : DEFAULT_QUALITY;
  const known = sourceQuality ?? standard;
  const quality =
    output.quality === undefined
      ? Math.min(standard, known)
      : ruled(output.quality, known, { quality: sourceQuality, reduction });
  return Math.min(output.slimQuality ?? 100, Math.max(1, Math.round(quality)));
}

function ruled(
  { kind, value }: QualityRule,
  known: number,
  source: { readonly quality: number | undefined; readonly reduction: number },
): number {
  switch (kind) {
    case "exactly":
      return value;
    case "atMost":
      return Math.min(value, source.quality ?? 100);
    case "scaled":
      if (source.quality === undefined || source.quality > MAX_SCALED_QUALITY) return value;
      return Math.min(value, MAX_SCALED_QUALITY, source.quality * Math.sqrt(source.reduction));
    case "relative":
      return (known * value) / 100;
    case "atLeast":
      return Math.max(value, known);
  }
}

function write(image: Sharp, encoding: Encoding, quality: number): Sharp {
  const { format, output, hasExif, colours, delays, loop } = encoding;
  const kept = hasExif && output.isStripped === undefined ? image.keepExif() : image;
  if (output.density !== undefined) hidden(kept).withMetadataDensity = output.density;
  // Encoders merge equal neighbouring frames and add up the delays they are given, so these must be the displayed ones.
  const shown = delays.map((delay) => atMost(displayMs(delay)));
  const animation = delays.length > 0 ? { delay: shown, loop: atMost(loop) } : {};
  switch (format) {
    case "jpeg":
      return kept.jpeg({
        quality,
        progressive: output.isProgressive === true,
        // Optimised Huffman tables save 6 % of the bytes, but take three times as long and 6 bytes of memory a pixel.
        optimiseCoding: !encoding.isLarge,
        ...(output.isOptimised === true && optimised(output.isProgressive ?? true)),
      });
    case "png":
      if (colours === undefined && output.slimQuality === undefined) return kept.png({ compressionLevel: 6 });
      return kept.png({ compressionLevel: 6, palette: true, colours: colours ?? 256 });
    case "webp":
      return kept.webp({ quality, effort: encoding.isLarge ? 0 : 2, ...animation });
    case "avif":
      // Chroma of half the size, as in JPEG: full size would take 34 bytes of memory a pixel instead of 22.
      return kept.avif({ quality, effort: encoding.isLarge ? 0 : 2, ...(encoding.isLarge && HALF_COLOUR) });
    case "gif":
      if (colours === undefined)
        // Otherwise libvips would map new colours to the palette that the decoder found.
        return kept.gif({ effort: 3, reuse: encoding.isUnworked, ...animation });
      // sharp's own option knows only the bit depths of PNG and would make 16 or 256 colours.
      hidden(kept).gifBitdepth = Math.log2(colours);
      return kept.gif({ effort: 3, reuse: false, ...animation });
    case "bmp":
      throw new Error("libvips writes no BMP");
  }
}

/** The options behind sharp's `mozjpeg`; optimised scans always make a progressive JPEG. */
const optimised = (progressive: boolean) => ({
  progressive,
  optimiseScans: progressive,
  trellisQuantisation: true,
  overshootDeringing: true,
  quantisationTable: 3,
});

/** Largest frame delay (milliseconds) and number of repetitions that sharp accepts. */
const MAX_ANIMATION_VALUE = 65_535;
const atMost = (value: number) => Math.min(MAX_ANIMATION_VALUE, value);

const HALF_COLOUR = { chromaSubsampling: "4:2:0" };

/** Options of sharp that are not part of its declared interface. */
interface HiddenOptions {
  gifBitdepth: number;
  withMetadataDensity: number;
}

function hidden(image: Sharp): HiddenOptions {
  return (image as Sharp & { readonly options: HiddenOptions }).options;
}

/** The highest quality up to the rule's that fits; if none fits, the lowest quality. */
async function encodeWithin(open: () => Sharp, encoding: Encoding, maxBytes: number): Promise<Buffer> {
  const at = (quality: number) => toFile(write(open(), encoding, quality), encoding);
  let best = await at(qualityFor(encoding));
  if (best.length <= maxBytes) return best;
  let [low, high] = [1, qualityFor(encoding) - 1];
  best = await at(low);
  for (let tries = 0; tries < SIZE_TRIES && low < high; tries += 1) {
    const middle = Math.ceil((low + high) / 2);
    const bytes = await at(middle);
    if (bytes.length > maxBytes) high = middle - 1;
    else [low, best] = [middle, bytes];
  }
  return best;
}
