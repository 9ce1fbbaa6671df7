// What a canvas is to those who work on one: what it begins with, and what can be done to it. How: canvas.ts.
import type { Sharp } from "sharp";
import type { Size, Window } from "../geometry/geometry.ts";
import type { Overlay, Pixels, Samples } from "../pixels/pixels.ts";
import type { Blur } from "./kernels.ts";

export interface EncodedSource {
  readonly bytes: Buffer;
  /** What libvips counts the first of its frames as. */
  readonly firstPage: number;
  readonly hasExif: boolean;
  readonly isGrey: boolean;
  readonly samples: Samples;
}

/** What a canvas begins with: an encoded image, or pixels. */
export type CanvasSource = (EncodedSource | { readonly pixels: Pixels }) & {
  readonly size: Size;
  readonly frames: number;
  /** 1–8 (EXIF). */
  readonly orientation: number;
  /** Nothing of it is clear. */
  readonly isOpaque: boolean;
};

export interface CanvasOptions {
  /** Width × height × frames of the image and of every intermediate one. */
  readonly maxPixels: number;
  /** `#rrggbb` that shows through what is transparent; absent: transparency is kept. */
  readonly background?: string;
}

/** Sizes are those of one frame, after the steps so far. */
export interface Canvas {
  readonly size: Size;
  readonly frames: number;
  /** False once it is of pixels alone. */
  readonly hasExif: boolean;
  /** Upright by EXIF, once; the tag then says so. */
  autoOrient(): Promise<void>;
  /** `window`: the part that stays, all of it by default. Throws output_too_large. */
  resize(size: Size, window?: Window): Promise<void>;
  crop(window: Window): Promise<void>;
  /**
   * Scaled and cut to the part of the window's size that draws the eye; of animations the window itself stays. `scaled` covers
   * the size as closely as may be. Throws output_too_large.
   */
  attentionCrop(scaled: Size, window: Window): Promise<void>;
  /** Centred on a ground of this size, which is at least the image's. */
  pad(size: Size, colour: string): Promise<void>;
  /** Clockwise; the corners that appear are `colour`. Throws output_too_large. */
  rotate(degrees: number, colour: string): Promise<void>;
  blur(blur: Blur): Promise<void>;
  sharpen(amount: number): Promise<void>;
  /** Clipped to the image; on every frame. `cut` makes clear what the overlay covers. */
  lay(overlay: Overlay, at: { readonly left: number; readonly top: number }, how?: "over" | "cut"): Promise<void>;
  /** The overlay, repeated from the upper left corner over the whole image. */
  tile(overlay: Overlay): Promise<void>;
  /** Everything so far as pixels. */
  pixels(): Promise<Pixels>;
  /**
   * Does everything so far. What comes opens the result, as often as it is called, to be written each time: a clone of one
   * pipeline would copy all pixels. The canvas is spent.
   */
  reopenable(): Promise<() => Sharp>;
  /** Goes on from other pixels; of the metadata nothing is left. */
  replace(pixels: Pixels): void;
  /** The pipeline with everything so far, to be written in some format. The canvas is spent. */
  finish(): Sharp;
}
