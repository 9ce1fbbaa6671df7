// Options for blurring and sharpening in libvips, chosen so that flat colours stay. It also changes the samples of a
// frame in place: brightness, contrast, grey. The canvas decides when each runs.
import type { BlurOptions, SharpenOptions } from "sharp";
import type { StepOf } from "../grammar/recipe.ts";
import type { Pixels } from "../pixels/pixels.ts";

/** `radius`: pixels at which the curve ends. `sigma`: pixels, at least 0.3, the minimum of libvips. */
export type Blur = Pick<StepOf<"blur">, "radius" | "sigma">;

/** The smallest amplitude that libvips accepts as the end of a kernel. */
const LEAST_AMPLITUDE = 0.001;
/** Pixels × reach that the exact kernel may process, which takes about a second. */
const MAX_EXACT_WORK = 25_000_000;

/**
 * `pixels`: of all frames. The fast integer kernel of libvips makes flat colours up to 3 % lighter or darker. The cost
 * of the exact kernel grows with its reach, so large images with a wide blur use the fast one, which also makes solid
 * pixels up to 2 % transparent.
 */
export function blurOptions({ radius, sigma }: Blur, pixels: number): BlurOptions {
  // libvips ends its kernel when the curve falls below an amplitude: here the curve's height at the radius.
  const amplitude = Math.max(LEAST_AMPLITUDE, Math.exp(-(radius ** 2) / (2 * sigma ** 2)));
  const reach = Math.ceil(sigma * Math.sqrt(-2 * Math.log(amplitude)));
  const precision = pixels * reach <= MAX_EXACT_WORK ? "float" : "integer";
  return { sigma, minAmplitude: Math.min(1, amplitude), precision };
}

/** `amount`: 10–300, recommended 70. Flat areas hardly change. */
export function sharpenOptions(amount: number): SharpenOptions {
  return { sigma: 1, m1: amount / 100, m2: amount / 35 };
}

/** `amount`: -100 (black) to 100 (white), added to each sample. */
export function brighten(frame: Pixels, amount: number): Pixels {
  return mapped(frame, (sample) => sample + (amount * 255) / 100);
}

/** `amount`: -100 (grey) to 100 (black and white). The slope is ImageMagick's: 1 at 0, steeper above. */
export function contrast(frame: Pixels, amount: number): Pixels {
  const slope = Math.tan(((amount / 100 + 1) * Math.PI) / 4);
  return mapped(frame, (sample) => (sample - 127.5) * slope + 127.5);
}

function mapped(frame: Pixels, map: (sample: number) => number): Pixels {
  // A clamped array rounds and limits values to 0–255.
  const table = Uint8ClampedArray.from({ length: 256 }, (_, sample) => map(sample));
  const { data, channels } = frame;
  for (let at = 0; at < data.length; at += channels)
    for (let sample = at; sample < at + 3; sample += 1) data[sample] = table[data[sample]!]!;
  return frame;
}

/** Grey by luma (ITU-R BT.709). */
export function greyed(frame: Pixels): Pixels {
  const { data, channels } = frame;
  for (let at = 0; at < data.length; at += channels)
    data.fill(Math.round(0.2126 * data[at]! + 0.7152 * data[at + 1]! + 0.0722 * data[at + 2]!), at, at + 3);
  return frame;
}
