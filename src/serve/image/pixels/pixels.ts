// Uncompressed pixels, their conversion to sRGB, and small loops over samples: masks of round corners, opacity, tiles,
// thinning of animations. Work on large images is left to libvips.
import sharp, { type Metadata, type OverlayOptions, type Sharp } from "sharp";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Size, Window } from "../geometry/geometry.ts";
import { allocatePixels } from "./memory.ts";

/** 8 bits a sample, sRGB, straight alpha, row by row; frames below each other. */
export interface Pixels extends Size {
  readonly data: Buffer;
  readonly channels: 3 | 4;
  /** `height` is that of one frame. */
  readonly frames: number;
}

/**
 * The file itself, or for more than 8 bits with a profile an image of 8 bits. sharp ignores the profile of 16-bit grey.
 * It converts 16-bit colours to Display P3, which would be correct only if that profile were written with the result.
 */
export async function withReadableProfile(
  bytes: Buffer,
  { depth, hasProfile, channels = 3 }: Partial<Pick<Metadata, "depth" | "hasProfile" | "channels">>,
): Promise<Buffer> {
  if (depth !== "ushort" || hasProfile !== true) return bytes;
  const image = sharp(bytes, { limitInputPixels: false, failOn: "error" }); // its head was checked
  const eight = channels > 2 ? image.pipelineColourspace("srgb").keepExif() : image.toColourspace("b-w").keepMetadata();
  return eight.png({ compressionLevel: 0 }).toBuffer();
}

/**
 * The output of a pipeline in sRGB. `frames`: the frames of its image. `known`: the size of one frame, if known,
 * because sharp reports a wrong size after scale, cut and extend. Throws render_failed if the number of bytes does not
 * match.
 */
export async function toPixels(image: Sharp, frames: number, known?: Size): Promise<Pixels> {
  const { data, info } = await image.toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  const size = known ?? { width: info.width, height: info.height / frames };
  const pixels = size.width * size.height * frames;
  if (data.length !== pixels * info.channels)
    throw new HuiyuanError("render_failed", `Cannot process: ${data.length} bytes are not ${pixels} pixels`);
  // In sRGB even a grey image has three channels.
  return { data, ...size, channels: info.channels as Pixels["channels"], frames };
}

/** An image to lay over another: 4 channels, one frame. */
export type Overlay = Size & { readonly data: Buffer };

/** A part of an overlay. */
export function cutOut(overlay: Overlay, { left, top, width, height }: Window): Overlay {
  if (width === overlay.width && height === overlay.height) return overlay;
  const data = allocatePixels(width * height * 4);
  for (let row = 0; row < height; row += 1) {
    const from = ((top + row) * overlay.width + left) * 4;
    overlay.data.copy(data, row * width * 4, from, from + width * 4);
  }
  return { data, width, height };
}

/** An overlay for sharp to repeat from the upper left corner over an image that is at least as large. */
export function asTile({ data, width, height }: Overlay): OverlayOptions {
  return { input: data, raw: { width, height, channels: 4 }, tile: true, gravity: "northwest" };
}

/** Reduces the opacity of the overlay, in place, to this percentage. */
export function fade({ data }: Overlay, perCent: number): void {
  if (perCent >= 100) return;
  for (let at = 3; at < data.length; at += 4) data[at] = Math.round((data[at]! * perCent) / 100);
}

export const CORNERS = ["northwest", "northeast", "southwest", "southeast"] as const;
type Corner = (typeof CORNERS)[number];

/** Mask of a corner with these radii: white outside the arc, transparent inside, with a soft edge of one pixel. */
export function cornerMask({ width, height }: Size, corner: Corner): Overlay {
  const data = allocatePixels(width * height * 4).fill(0xff);
  const isEast = corner.endsWith("east");
  const isSouth = corner.startsWith("south");
  const least = Math.min(width, height);
  for (let y = 0; y < height; y += 1) {
    const down = (((isSouth ? y : height - 1 - y) + 0.5) * least) / height;
    for (let x = 0; x < width; x += 1) {
      const across = (((isEast ? x : width - 1 - x) + 0.5) * least) / width;
      const outside = Math.hypot(across, down) - least + 0.5;
      data[(y * width + x) * 4 + 3] = Math.round(Math.min(1, Math.max(0, outside)) * 255);
    }
  }
  return { data, width, height };
}

/**
 * Displayed milliseconds of a frame. Browsers treat a delay of at most 10 ms as unset and show 100 ms, and so does
 * this.
 */
export const displayMs = (delay: number) => (delay <= 10 ? 100 : delay);

/** `count` of the frames, evenly spread. Each also gets the time of the frames left out after it (milliseconds). */
export function thinned(
  pixels: Pixels,
  delays: readonly number[],
  count: number,
): { readonly pixels: Pixels; readonly delays: readonly number[] } {
  if (count >= pixels.frames) return { pixels, delays };
  const frameBytes = pixels.width * pixels.height * pixels.channels;
  const starts = Array.from({ length: count }, (_, index) => Math.floor((index * pixels.frames) / count));
  const data = allocatePixels(count * frameBytes);
  for (const [index, start] of starts.entries())
    pixels.data.copy(data, index * frameBytes, start * frameBytes, (start + 1) * frameBytes);
  const ends = [...starts.slice(1), pixels.frames];
  const summed = starts.map((start, index) =>
    delays.slice(start, ends[index]).reduce((sum, delay) => sum + displayMs(delay), 0),
  );
  return { pixels: { ...pixels, data, frames: count }, delays: summed };
}
