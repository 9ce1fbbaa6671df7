// Writes a finished canvas in the format and quality that the recipe asks for, within a size where it names one.
import type { Sharp } from "sharp";
import { HuiyuanError } from "../../core/errors.ts";
import { writeBmp } from "../formats/bmp.ts";
import type { Output, OutputFormat, QualityRule } from "../grammar/recipe.ts";
import { displayMs } from "../pixels/pixels.ts";
import type { Canvas } from "./canvas-shape.ts";

export interface Encoding {
  readonly format: OutputFormat;
  readonly output: Output;
  /** 1–100; undefined where the source's format has none, or does not tell. */
  readonly sourceQuality: number | undefined;
  readonly hasExif: boolean;
  /** The source's pixels are as they were, and so may the palette of a GIF be. */
  readonly isUnworked: boolean;
  /** Where time and memory count more than the last byte. */
  readonly isLarge: boolean;
  /** Milliseconds a frame, of an animation. */
  readonly delays: readonly number[];
  /** How often an animation is played; 0: for ever. */
  readonly loop: number;
}

/** What a picture is saved with when nobody says, and what an unknown source quality is taken for. */
const DEFAULT_QUALITY = 85;
/** AVIF's scale is another: this looks like a JPEG of 85. */
const DEFAULT_AVIF_QUALITY = 60;
/** How often a size limit tries another quality: enough to halve 1–100 down to one. */
const SIZE_TRIES = 7;

/** Sides that a format can hold. */
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
    return encodeWithin(await canvas.reopenable(), encoding, output.maxBytes);
  return write(canvas.finish(), encoding, qualityFor(encoding)).toBuffer();
}

/** The quality that the rule asks for, 1–100. */
function qualityFor({ format, output, sourceQuality }: Pick<Encoding, "format" | "output" | "sourceQuality">): number {
  const standard = format === "avif" ? DEFAULT_AVIF_QUALITY : DEFAULT_QUALITY;
  const known = sourceQuality ?? standard;
  const quality =
    output.quality === undefined ? Math.min(standard, known) : ruled(output.quality, known, sourceQuality);
  return Math.min(100, Math.max(1, Math.round(quality)));
}

function ruled({ kind, value }: QualityRule, known: number, sourceQuality: number | undefined): number {
  switch (kind) {
    case "exactly":
      return value;
    case "atMost":
      return Math.min(value, sourceQuality ?? 100);
    case "relative":
      return (known * value) / 100;
    case "atLeast":
      return Math.max(value, known);
  }
}

function write(image: Sharp, encoding: Encoding, quality: number): Sharp {
  const { format, output, hasExif, delays, loop } = encoding;
  const kept = hasExif && output.isStripped === undefined ? image.keepExif() : image;
  // Encoders make one frame of neighbours that look alike, and add up what they are told.
  const shown = delays.map((delay) => atMost(displayMs(delay)));
  const animation = delays.length > 0 ? { delay: shown, loop: atMost(loop) } : {};
  switch (format) {
    case "jpeg":
      return kept.jpeg({
        quality,
        progressive: output.isProgressive === true,
        // Tables of the image's own save 6 % of the bytes, and take three times as long and 6 bytes a pixel.
        optimiseCoding: !encoding.isLarge,
        ...(output.isOptimised === true && optimised(output.isProgressive ?? true)),
      });
    case "png":
      return kept.png({ compressionLevel: 6 });
    case "webp":
      return kept.webp({ quality, effort: encoding.isLarge ? 0 : 2, ...animation });
    case "avif":
      // Colour of half the size, as in JPEG: in its whole size it would take 34 bytes a pixel in place of 22.
      return kept.avif({ quality, effort: encoding.isLarge ? 0 : 2, ...(encoding.isLarge && HALF_COLOUR) });
    case "gif":
      if (output.gifFrames !== undefined) return withFewColours(kept.gif({ effort: 3, reuse: false, ...animation }));
      // libvips would press other colours into the palette that the decoder found.
      return kept.gif({ effort: 3, reuse: encoding.isUnworked, ...animation });
    case "bmp":
      throw new Error("libvips writes no BMP");
  }
}

/** What sharp's `mozjpeg` means, of which the order of scans makes a progressive JPEG. */
const optimised = (progressive: boolean) => ({
  progressive,
  optimiseScans: progressive,
  trellisQuantisation: true,
  overshootDeringing: true,
  quantisationTable: 3,
});

/** Milliseconds of a frame, and repetitions, that sharp takes. */
const MAX_ANIMATION_VALUE = 65_535;
const atMost = (value: number) => Math.min(MAX_ANIMATION_VALUE, value);

const HALF_COLOUR = { chromaSubsampling: "4:2:0" };

/** A GIF of 64. Of libvips' depths sharp's own option means but those of a PNG, and would make 16 or 256 of it. */
function withFewColours(gif: Sharp): Sharp {
  const { options } = gif as Sharp & { readonly options: { gifBitdepth: number } }; // no part of its declared interface
  options.gifBitdepth = 6;
  return gif;
}

/** The best quality up to the rule's that fits; where none fits, the smallest there is. */
async function encodeWithin(open: () => Sharp, encoding: Encoding, maxBytes: number): Promise<Buffer> {
  const at = (quality: number) => write(open(), encoding, quality).toBuffer();
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
