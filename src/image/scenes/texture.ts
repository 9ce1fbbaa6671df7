// Clouds, haze, aurora and grain: what SVG cannot say well is computed pixel by pixel here, small, and stretched by the
// scene that uses it.
import sharp from "sharp";
import type { Random } from "./brush.ts";

/** One pixel to be set: red, green, blue, alpha, 0–255; out-of-range values are clamped. */
type Texel = [number, number, number, number];

/** Paints one pixel; `u` and `v` run from 0 to 1 across and down. The texel is reused: it holds the last pixel's values. */
export type TexturePaint = (texel: Texel, u: number, v: number) => void;

/** A PNG as a data URI, ready for an SVG image element. */
export async function texture(columns: number, rows: number, paint: TexturePaint): Promise<string> {
  const pixels = new Uint8ClampedArray(columns * rows * 4);
  const texel: Texel = [0, 0, 0, 0];
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      paint(texel, column / (columns - 1), row / (rows - 1));
      pixels.set(texel, (row * columns + column) * 4);
    }
  }
  const raw = { width: columns, height: rows, channels: 4 as const };
  const png = await sharp(pixels, { raw }).png({ compressionLevel: 1 }).toBuffer();
  return `data:image/png;base64,${png.toString("base64")}`;
}

/** What makes a drawing look photographed. `grain`: greatest change of a channel, 0–255. `vignette`: 0–1 at the corners. */
export interface Finish {
  readonly grain: number;
  readonly vignette: number;
}

/** Darkens the corners and adds grain, in place. Grain also hides the bands of an 8-bit gradient. */
export function finishPixels(
  image: { readonly pixels: Uint8Array; readonly width: number; readonly height: number },
  finish: Finish,
  random: Random,
): void {
  const { pixels, width, height } = image;
  // A table of grain read at a random offset for each line costs a tenth of drawing each grain anew.
  const table = Float32Array.from(
    { length: 8192 },
    () => (random.between(-1, 1) + random.between(-1, 1)) * 0.5 * finish.grain,
  );
  for (let row = 0; row < height; row += 1) {
    const down = (row / height - 0.5) * 2;
    let at = Math.floor(random.between(0, 8192));
    for (let column = 0; column < width; column += 1) {
      const across = (column / width - 0.5) * 2;
      const distance = across * across + down * down;
      const light = 1 - finish.vignette * 0.25 * distance * distance;
      const grain = table[at++ & 8191] ?? 0;
      const offset = (row * width + column) * 3;
      for (let channel = offset; channel < offset + 3; channel += 1) {
        const value = (pixels[channel] ?? 0) * light + grain;
        pixels[channel] = value < 0 ? 0 : value > 255 ? 255 : value + 0.5;
      }
    }
  }
}
