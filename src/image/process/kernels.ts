// How blurring and sharpening are asked of libvips, so that flat colours keep their value and edges beside clear parts
// theirs. Options and one detour over pixels; when what is done is the canvas's affair.
import sharp, { type BlurOptions, type Sharp, type SharpenOptions } from "sharp";
import type { Pixels } from "../pixels/pixels.ts";

/** A blur as the grammar has it. */
export interface Blur {
  /** Pixels at which the curve ends, 1–50. */
  readonly radius: number;
  /** Pixels, at least 0.3: below libvips has no blur to give. */
  readonly sigma: number;
}

/** Where libvips ends a curve that nothing else ends: the least amplitude that it takes. */
const LEAST_AMPLITUDE = 0.001;
/** Samples times reach that the exact kernel may take: about a second. */
const MAX_EXACT_WORK = 25_000_000;

/**
 * `pixels`: of all frames. libvips' quick kernel of whole numbers makes flat colours up to 3 % lighter or darker; the exact
 * one costs in proportion to its reach, so that large images with a wide blur go without.
 */
export function blurOptions({ radius, sigma }: Blur, pixels: number): BlurOptions {
  // libvips ends its kernel where the curve falls below an amplitude: here, the curve's height at the radius.
  const amplitude = Math.max(LEAST_AMPLITUDE, Math.exp(-(radius ** 2) / (2 * sigma ** 2)));
  const reach = Math.ceil(sigma * Math.sqrt(-2 * Math.log(amplitude)));
  const precision = pixels * reach <= MAX_EXACT_WORK ? "float" : "integer";
  return { sigma, minAmplitude: Math.min(1, amplitude), precision };
}

/** So much more than it takes, that rounding makes nothing of what is solid clear. */
const SOLID = 255.4;

/**
 * What a blur leaves to be done to an image of four channels; undefined: nothing. The quick kernel makes what is solid up to 2 %
 * clear, in libvips' own way: so it is asked what becomes of one solid pixel.
 */
export async function opacityRestored(options: BlurOptions): Promise<((blurred: Sharp) => Sharp) | undefined> {
  if (options.precision !== "integer") return;
  const raw = { width: 1, height: 1, channels: 4 } as const;
  const blurred = await sharp(Buffer.alloc(4, 255), { raw }).blur(options).raw().toBuffer();
  const opacity = blurred[3]!;
  return opacity === 255 ? undefined : (image) => image.linear([1, 1, 1, SOLID / opacity], [0, 0, 0, 0]);
}

/** `amount`: 10–300, 70 advised. Flat areas are left nearly as they are. */
export function sharpenOptions(amount: number): SharpenOptions {
  return { sigma: 1, m1: amount / 100, m2: amount / 35 };
}

/** Pixels that a colour is carried beyond the edge of what is not clear: more than sharpening looks around. */
const SPREAD_SIGMA = 2;

/**
 * Sharpens one frame that may have clear parts. Clear pixels are black, and an edge beside them would be made lighter as
 * if it were one in the picture: so the colours are carried on beyond it for the while. What is clear stays so.
 */
export async function sharpenWithAlpha(frame: Pixels, options: SharpenOptions): Promise<Pixels> {
  const { data, width, height } = frame;
  const clear = { width, height, channels: 4 } as const;
  const spread = await sharp(data, { raw: clear }).blur({ sigma: SPREAD_SIGMA }).raw().toBuffer();
  // In the place of what it is made of, which is longer.
  const colours = spread.subarray(0, width * height * 3);
  for (let from = 0, to = 0; to < colours.length; from += 4, to += 3) {
    const shown = data[from + 3] === 0 ? spread : data;
    colours[to] = shown[from]!;
    colours[to + 1] = shown[from + 1]!;
    colours[to + 2] = shown[from + 2]!;
  }
  const raw = { width, height, channels: 3 } as const;
  const sharpened = await sharp(colours, { raw }).sharpen(options).raw().toBuffer();
  const result = spread;
  for (let from = 0, to = 0; to < result.length; from += 3, to += 4) {
    result[to] = sharpened[from]!;
    result[to + 1] = sharpened[from + 1]!;
    result[to + 2] = sharpened[from + 2]!;
    result[to + 3] = data[to + 3]!;
  }
  return { ...frame, data: result };
}
