// An image while steps are done to it. libvips does the parts of one pipeline in an order of its own (turn, cut, scale,
// cut, extend, blur, sharpen, compose): what comes in that order is gathered into one pass over the pixels, and only a step
// that comes too late for it makes an intermediate image. It knows no recipe and no output format.
import sharp, { type OverlayOptions, type Sharp, type SharpOptions } from "sharp";
import { HuiyuanError } from "../errors.ts";
import { type Size, visiblePart, type Window } from "./geometry.ts";
import type { Overlay, Pixels } from "./pixels.ts";

/** What a canvas begins with: an encoded image, or pixels. */
export type CanvasSource = ({ readonly bytes: Buffer; readonly hasExif: boolean } | { readonly pixels: Pixels }) & {
  readonly size: Size;
  readonly frames: number;
  /** 1–8 (EXIF). */
  readonly orientation: number;
};

export interface CanvasOptions {
  /** Width × height × frames of the image and of every intermediate one. */
  readonly maxPixels: number;
  /** `#rrggbb` that shows through what is transparent; absent: transparency is kept. */
  readonly ground?: string;
}

/** A place in libvips' own order of work. */
type Stage = (typeof STAGES)[number];
const STAGES = ["turn", "cut", "scale", "cutScaled", "extend", "blur", "sharpen", "compose"] as const;

/** Sizes are those of one frame, after the steps so far. */
export interface Canvas {
  readonly size: Size;
  readonly frames: number;
  /** Upright by EXIF, once; the tag then says so. */
  autoOrient(): Promise<void>;
  /** Throws output_too_large. */
  resize(size: Size): Promise<void>;
  crop(window: Window): Promise<void>;
  /** Scaled to cover the size and cut to the part that draws the eye; animations are cut in the middle. */
  attentionCrop(size: Size): Promise<void>;
  /** Centred on a ground of this size, which is at least the image's. */
  pad(size: Size, colour: string): Promise<void>;
  /** Clockwise; the corners that appear are `colour`. Throws output_too_large. */
  rotate(degrees: number, colour: string): Promise<void>;
  blur(sigma: number, minAmplitude: number): Promise<void>;
  sharpen(amount: number): Promise<void>;
  /** Clipped to the image; on every frame. `cut` makes clear what the overlay covers. */
  lay(overlay: Overlay, at: { readonly left: number; readonly top: number }, how?: "over" | "cut"): Promise<void>;
  /** The overlay, repeated from the upper left corner over the whole image. */
  tile(overlay: Overlay): Promise<void>;
  /** Everything so far as pixels. */
  pixels(): Promise<Pixels>;
  /** Goes on from other pixels; of the metadata nothing is left. */
  replace(pixels: Pixels): void;
  /** The pipeline with everything so far, to be written in some format. The canvas is spent. */
  finish(): Sharp;
}

export function createCanvas(source: CanvasSource, { maxPixels, ground }: CanvasOptions): Canvas {
  let { size, frames } = source;
  let orientation = source.orientation;
  // Carried through intermediate images by way of PNG; an animation's would be lost by libvips anyway.
  let carriesExif = "bytes" in source && source.hasExif && frames === 1;
  let image = "bytes" in source ? openEncoded(source.bytes) : openPixels(source.pixels);
  let stage: Stage = "turn";
  let overlays: OverlayOptions[] = [];

  function openEncoded(bytes: Buffer): Sharp {
    return onGround(sharp(bytes, { ...OPEN, limitInputPixels: maxPixels, animated: frames > 1 }));
  }

  function onGround(opened: Sharp): Sharp {
    return ground === undefined ? opened : opened.flatten({ background: ground });
  }

  function openPixels({ data, width, height, channels, frames: count }: Pixels): Sharp {
    const raw = { width, height: height * count, channels, ...(count > 1 && { pageHeight: height }) };
    return onGround(sharp(data, { limitInputPixels: maxPixels, animated: count > 1, raw }));
  }

  /** The pipeline, ready for work of this stage. */
  async function at(next: Stage, mayRepeat = false): Promise<Sharp> {
    const [now, wanted] = [STAGES.indexOf(stage), STAGES.indexOf(next)];
    if (now > wanted || (now === wanted && stage !== "turn" && !mayRepeat)) await materialise();
    stage = next;
    return image;
  }

  /** What was gathered is done now; the next step begins a new pass. */
  async function materialise(): Promise<void> {
    if (carriesExif) {
      const png = await finishPass().keepExif().png({ compressionLevel: 0 }).toBuffer({ resolveWithObject: true });
      size = { width: png.info.width, height: png.info.height };
      image = openEncoded(png.data);
    } else {
      open(await passPixels());
    }
    stage = "turn";
  }

  function open(pixels: Pixels): void {
    size = { width: pixels.width, height: pixels.height };
    frames = pixels.frames;
    image = openPixels(pixels);
    stage = "turn";
  }

  function finishPass(): Sharp {
    const laid = overlays;
    overlays = [];
    return laid.length === 0 ? image : image.composite(laid);
  }

  async function passPixels(): Promise<Pixels> {
    const { data, info } = await finishPass().toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
    if (info.channels === 3 || info.channels === 4)
      return { data, width: info.width, height: info.height / frames, channels: info.channels, frames };
    // One or two channels: grey, with or without alpha.
    return {
      data: spread(data, info.channels),
      width: info.width,
      height: info.height / frames,
      channels: info.channels === 1 ? 3 : 4,
      frames,
    };
  }

  function refuseBeyondLimit({ width, height }: Size): void {
    if (width * height * frames <= maxPixels) return;
    const found = `${width}×${height} pixels in ${frames} frames`;
    throw new HuiyuanError("output_too_large", `Cannot process: ${found}, the limit is ${maxPixels} in all`);
  }

  async function layOver(overlay: Overlay, { left, top }: { left: number; top: number }, blend: "over" | "dest-out") {
    await at("compose", true);
    const raw = { width: overlay.width, height: overlay.height, channels: 4 } as const;
    for (let frame = 0; frame < frames; frame += 1)
      overlays.push({ input: overlay.data, raw, left, top: top + frame * size.height, blend });
  }

  const canvas: Canvas = {
    get size() {
      return size;
    },
    get frames() {
      return frames;
    },
    async autoOrient() {
      if (orientation === 1 || frames > 1) return;
      (await at("turn")).autoOrient();
      stage = "cut";
      if (orientation >= 5) size = { width: size.height, height: size.width };
      orientation = 1;
    },
    async resize(wanted) {
      refuseBeyondLimit(wanted);
      if (wanted.width === size.width && wanted.height === size.height) return;
      (await at("scale")).resize(wanted.width, wanted.height, { fit: "fill" });
      size = wanted;
    },
    async crop(window) {
      if (window.width === size.width && window.height === size.height) return;
      (await at(stage === "turn" ? "cut" : "cutScaled")).extract(window);
      size = { width: window.width, height: window.height };
    },
    async attentionCrop(wanted) {
      refuseBeyondLimit(wanted);
      const position = frames > 1 ? "centre" : sharp.strategy.attention;
      (await at("scale")).resize(wanted.width, wanted.height, { fit: "cover", position });
      stage = "cutScaled";
      size = wanted;
    },
    async pad(wanted, colour) {
      refuseBeyondLimit(wanted);
      const [left, top] = [(wanted.width - size.width) >> 1, (wanted.height - size.height) >> 1];
      const [right, bottom] = [wanted.width - size.width - left, wanted.height - size.height - top];
      if (left + right + top + bottom === 0) return;
      (await at("extend")).extend({ left, top, right, bottom, background: colour });
      size = wanted;
    },
    async rotate(degrees, colour) {
      refuseBeyondLimit(turnedSize(size, degrees));
      if (frames > 1) return open(await rotateFrames(await canvas.pixels(), degrees, colour));
      // A pass of its own: where libvips turns depends on what else the pass does.
      if (stage !== "turn") await materialise();
      image.rotate(degrees, { background: colour });
      await materialise();
    },
    async blur(sigma, minAmplitude) {
      (await at("blur")).blur({ sigma, minAmplitude });
    },
    async sharpen(amount) {
      (await at("sharpen")).sharpen({ sigma: 1, m1: amount / 100, m2: amount / 35 });
    },
    async lay(overlay, place, how = "over") {
      const part = visiblePart(size, overlay, place);
      if (part === undefined) return;
      const at = { left: Math.max(0, place.left), top: Math.max(0, place.top) };
      await layOver(cutOut(overlay, part), at, how === "over" ? "over" : "dest-out");
    },
    async tile(overlay) {
      const part = visiblePart(size, overlay, { left: 0, top: 0 });
      if (part === undefined) return;
      const { data, width, height } = cutOut(overlay, part);
      const option = { input: data, raw: { width, height, channels: 4 as const }, tile: true, gravity: "northwest" };
      if (frames === 1) {
        await at("compose", true);
        overlays.push(option);
        return;
      }
      const ground = { create: { ...size, channels: 4 as const, background: { r: 0, g: 0, b: 0, alpha: 0 } } };
      await canvas.lay(
        { ...size, data: await sharp(ground).composite([option]).raw().toBuffer() },
        { left: 0, top: 0 },
      );
    },
    async pixels() {
      const pixels = await passPixels();
      carriesExif = false;
      open(pixels);
      return pixels;
    },
    replace(pixels) {
      carriesExif = false;
      open(pixels);
    },
    finish: finishPass,
  };
  return canvas;
}

// Only what is cut short or cannot be read is refused: many good photographs make decoders warn.
const OPEN = { failOn: "error", sequentialRead: true, autoOrient: false } as const satisfies SharpOptions;

/** An upper bound of the size after a turn. */
function turnedSize({ width, height }: Size, degrees: number): Size {
  const radians = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.abs(Math.cos(radians)), Math.abs(Math.sin(radians))];
  return { width: Math.ceil(width * cos + height * sin), height: Math.ceil(width * sin + height * cos) };
}

/** libvips turns no animation as a whole. */
async function rotateFrames(pixels: Pixels, degrees: number, colour: string): Promise<Pixels> {
  const { width, height, channels, frames } = pixels;
  const frameBytes = width * height * channels;
  const turned: Buffer[] = [];
  let size: Size = pixels;
  let turnedChannels: 3 | 4 = channels;
  for (let at = 0; at < pixels.data.length; at += frameBytes) {
    const input = pixels.data.subarray(at, at + frameBytes);
    const frame = sharp(input, { raw: { width, height, channels } }).rotate(degrees, { background: colour });
    const { data, info } = await frame.raw().toBuffer({ resolveWithObject: true });
    turned.push(data);
    size = { width: info.width, height: info.height };
    turnedChannels = info.channels === 4 ? 4 : 3;
  }
  return { data: Buffer.concat(turned), width: size.width, height: size.height, channels: turnedChannels, frames };
}

function cutOut(overlay: Overlay, { left, top, width, height }: Window): Overlay {
  if (width === overlay.width && height === overlay.height) return overlay;
  const data = Buffer.allocUnsafe(width * height * 4);
  for (let row = 0; row < height; row += 1) {
    const from = ((top + row) * overlay.width + left) * 4;
    overlay.data.copy(data, row * width * 4, from, from + width * 4);
  }
  return { data, width, height };
}

/** Grey → RGB, grey with alpha → RGBA. */
function spread(grey: Buffer, channels: number): Buffer {
  const pixels = grey.length / channels;
  const wide = channels === 1 ? 3 : 4;
  const data = Buffer.allocUnsafe(pixels * wide);
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    const value = grey[pixel * channels]!;
    data.fill(value, pixel * wide, pixel * wide + 3);
    if (wide === 4) data[pixel * 4 + 3] = grey[pixel * channels + 1]!;
  }
  return data;
}
