// The types of a canvas: its source, its options and its operations. The implementation is canvas.ts.
import type { Sharp } from "sharp";
import type { Size, Window } from "../geometry/geometry.ts";
import type { Overlay, Pixels } from "../pixels/pixels.ts";
import type { FrameWork } from "./animation.ts";
import type { Blur } from "./kernels.ts";

/** The initial content of a canvas: an encoded image, or pixels. */
export type CanvasSource = (
  | { readonly bytes: Buffer; readonly hasExif: boolean; readonly isGrey: boolean }
  | { readonly pixels: Pixels }
) & {
  readonly size: Size;
  readonly frames: number;
  /** 1–8 (EXIF). */
  readonly orientation: number;
  /** True if no pixel is transparent. */
  readonly isOpaque: boolean;
};

export interface CanvasOptions {
  /** Width × height × frames of the image and of every intermediate one. */
  readonly maxPixels: number;
  /** `#rrggbb` below transparent pixels; absent: transparency is kept. */
  readonly background?: string;
}

/** Sizes are sizes of one frame after the steps so far. Every step is applied to all frames. */
export interface Canvas {
  readonly size: Size;
  readonly frames: number;
  /** False once the EXIF is lost because the image became plain pixels. */
  readonly hasExif: boolean;
  /** Turns the image upright by its EXIF and resets the tag. A second call has no effect. */
  autoOrient(): Promise<void>;
  /** Scales to `size` and keeps the part `window`, by default the whole. Throws output_too_large. */
  resize(size: Size, window?: Window): Promise<void>;
  crop(window: Window): Promise<void>;
  /**
   * Scales to `scaled`, which must cover the window, and keeps the most interesting part of the window's size. An
   * animation and an enlarged image keep the window itself. Throws output_too_large.
   */
  attentionCrop(scaled: Size, window: Window): Promise<void>;
  /** Lays the image, by default in the centre, on a background that covers it. Throws output_too_large. */
  pad(size: Size, colour: string, at?: { readonly left: number; readonly top: number }): Promise<void>;
  /** Turns clockwise and fills the new corners with `colour`. Throws output_too_large. */
  rotate(degrees: number, colour: string): Promise<void>;
  /** Work on the decoded pixels of each frame, which it may change; it keeps the number of channels. */
  work(work: FrameWork): Promise<void>;
  blur(blur: Blur): Promise<void>;
  sharpen(amount: number): Promise<void>;
  /** Lays the overlay on every frame, clipped to the image. `cut` makes the covered pixels transparent. */
  lay(overlay: Overlay, at: { readonly left: number; readonly top: number }, how?: "over" | "cut"): Promise<void>;
  /** Repeats the overlay over the whole image, starting at the upper left corner. */
  tile(overlay: Overlay): Promise<void>;
  /** Applies the steps so far and returns the pixels. */
  pixels(): Promise<Pixels>;
  /**
   * Applies the steps so far. Each call of the returned function opens the result for one encoding; a clone of a
   * pipeline would copy all pixels. The canvas must not be used afterwards.
   */
  reopenable(): Promise<() => Sharp>;
  /** Replaces the content by other pixels; the metadata is lost. */
  replace(pixels: Pixels): void;
  /** The pipeline with the steps so far, ready for one encoding. The canvas must not be used afterwards. */
  finish(): Sharp;
}
