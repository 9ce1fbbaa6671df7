// An image while steps are done to it. libvips does the parts of one pipeline in an order of its own (turn, cut, scale,
// cut, extend, blur, sharpen, compose, opacity): what comes in that order is gathered into one pass over the pixels, and only a step
// that comes too late for it makes an intermediate image. It knows no recipe and no output format.
import sharp, { type OverlayOptions, type Sharp, type SharpOptions } from "sharp";
import { pngWithExif, splitExif } from "../formats/exif-transfer.ts";
import { centredOn, type Size, turnedSize, visiblePart, type Window } from "../geometry/geometry.ts";
import { refuseManyPixels } from "../geometry/result-size.ts";
import { collectPixels } from "../pixels/memory.ts";
import { asTile, cutOut, intoSrgb, type Overlay, type Pixels, tiled, toPixels } from "../pixels/pixels.ts";
import { eachEncodedFrame, eachFrame, type FrameWork, throughLibvips } from "./animation.ts";
import { attentionPoint } from "./attention.ts";
import type { Canvas, CanvasOptions, CanvasSource, EncodedSource } from "./canvas-shape.ts";
import { enlarged, neededPart, reducedFirst } from "./enlarge.ts";
import { blurOptions, opacityRestored, sharpenOptions, sharpenWithAlpha } from "./kernels.ts";

/** A place in libvips' own order of work. */
type Stage = (typeof STAGES)[number];
const STAGES = ["turn", "cut", "scale", "cutScaled", "extend", "blur", "sharpen", "compose", "opacity"] as const;

export function createCanvas(source: CanvasSource, { maxPixels, background }: CanvasOptions): Canvas {
  let orientation = source.orientation;
  // Carried through intermediate images by way of PNG; an animation's would be lost by libvips anyway.
  let carriesExif = "bytes" in source && source.hasExif && source.frames === 1;
  let image: Sharp;
  /** The pipeline is of the source's own file. */
  let isEncoded: boolean;
  /** Opens what the pipeline is of anew, without what was gathered: a clone would copy its bytes. */
  let reopen: () => Sharp;
  /** The animation's own file, until something is done to it. */
  let untouched = "bytes" in source && source.frames > 1 ? source : undefined;
  /** So are the pixels of the pipeline. */
  let isGrey = "bytes" in source && source.isGrey;
  let isOpaque = source.isOpaque || background !== undefined;
  let stage: Stage = "turn";
  let overlays: OverlayOptions[] = [];
  let bytesHeld = 0;

  function opened(): SharpOptions {
    return { ...OPEN, limitInputPixels: maxPixels };
  }

  function openEncoded(bytes: Buffer, { samples = {}, firstPage = 0 }: Partial<EncodedSource> = {}): Sharp {
    return onBackground(intoSrgb(sharp(bytes, { ...opened(), animated: canvas.frames > 1, page: firstPage }), samples));
  }

  function onBackground(opened: Sharp): Sharp {
    return background === undefined ? opened : opened.flatten({ background });
  }

  function openPixels({ data, width, height, channels, frames: count }: Pixels): Sharp {
    const raw = { width, height: height * count, channels, ...(count > 1 && { pageHeight: height }) };
    return onBackground(sharp(data, { limitInputPixels: maxPixels, animated: count > 1, raw }));
  }

  /** `bytes`: of the intermediate image that it is of. */
  function begin(openAnew: () => Sharp, bytes = 0): void {
    reopen = openAnew;
    isEncoded = false;
    image = reopen();
    bytesHeld = bytes;
    collectPixels(bytes);
  }

  /** The pipeline, ready for work of this stage. */
  async function at(next: Stage, mayRepeat = false): Promise<Sharp> {
    const [now, wanted] = [STAGES.indexOf(stage), STAGES.indexOf(next)];
    if (now > wanted || (now === wanted && stage !== "turn" && !mayRepeat)) await materialise();
    untouched = undefined;
    stage = next;
    return image;
  }

  /** What was gathered is done now; the next step begins a new pass. `isTurned`: only libvips knows to what size. */
  async function materialise(isTurned = false): Promise<void> {
    if (carriesExif) {
      const png = await passPng().toBuffer({ resolveWithObject: true });
      if (isTurned) canvas.size = { width: png.info.width, height: png.info.height };
      beginWithExif(png.data);
    } else {
      open(await passPixels(isTurned ? undefined : canvas.size));
    }
  }

  function beginWithExif(png: Buffer): void {
    begin(() => openEncoded(png), png.length);
    isGrey = false;
    stage = "turn";
  }

  function open(pixels: Pixels): void {
    canvas.size = { width: pixels.width, height: pixels.height };
    canvas.frames = pixels.frames;
    begin(() => openPixels(pixels), pixels.data.length);
    canvas.hasExif = false;
    [isGrey, isOpaque, untouched, stage] = [false, pixels.channels === 3, undefined, "turn"];
  }

  function finishPass(): Sharp {
    // Who made the image that the pass is of has returned, and refers no more to what that was made of.
    collectPixels(bytesHeld);
    const laid = overlays;
    overlays = [];
    if (laid.length === 0) return image;
    const composed = image.composite(laid);
    // What is laid over an image makes libvips give it clear parts that it has not.
    return isOpaque ? composed.removeAlpha() : composed;
  }

  function passPng(): Sharp {
    return finishPass().keepExif().png({ compressionLevel: 0 });
  }

  function passPixels(known: Size | undefined): Promise<Pixels> {
    return toPixels(finishPass(), canvas.frames, known);
  }

  /** What looks around a pixel is done to each frame of an animation alone. */
  async function perFrame(work: FrameWork): Promise<void> {
    if (untouched === undefined) return open(await eachFrame(beginWithPixels(await passPixels(canvas.size)), work));
    const { bytes, firstPage } = untouched;
    const encoded = {
      open: (part: object) => onBackground(sharp(bytes, { ...opened(), ...part })),
      firstPage,
      size: canvas.size,
      frames: canvas.frames,
    };
    open(await eachEncodedFrame(encoded, work));
  }

  /** What a step of our own makes of the image; EXIF stays. */
  async function replaceWith(work: FrameWork): Promise<void> {
    if (!carriesExif) return open(await work(await passPixels(canvas.size)));
    const { pixels, exif } = await splitExif(passPng(), (png) => toPixels(openEncoded(png), 1, canvas.size));
    beginWithPixels(pixels);
    const made = await work(pixels);
    canvas.size = { width: made.width, height: made.height };
    beginWithPixels(made);
    beginWithExif(await pngWithExif(made, exif));
  }

  /** For a while of nothing but pixels: what they were made of goes. */
  function beginWithPixels(pixels: Pixels): Pixels {
    begin(() => openPixels(pixels), pixels.data.length);
    return pixels;
  }

  /** The window of the image in its new size, which has a longer side. */
  async function enlarge(to: Size, window: Window): Promise<void> {
    const from = reducedFirst(canvas.size, to);
    const enlargement = { from, to, window };
    if (canvas.frames > 1) {
      const reduce = throughLibvips((frame) => frame.resize(from.width, from.height, { fit: "fill" }));
      return perFrame(async (frame) => enlarged(await reduce(frame), enlargement, { left: 0, top: 0 }));
    }
    await canvas.resize(from);
    const part = neededPart(enlargement);
    await canvas.crop(part);
    await replaceWith(async (pixels) => enlarged(pixels, enlargement, part));
  }

  function refuseBeyondLimit(size: Size): void {
    refuseManyPixels(size, canvas.frames, maxPixels);
  }

  async function layOver(overlay: Overlay, { left, top }: { left: number; top: number }, blend: "over" | "dest-out") {
    await at("compose", true);
    const raw = { width: overlay.width, height: overlay.height, channels: 4 } as const;
    for (let frame = 0; frame < canvas.frames; frame += 1)
      overlays.push({ input: overlay.data, raw, left, top: top + frame * canvas.size.height, blend });
  }

  // Fields and no getters: V8 makes a slow object of every literal with a getter, and keeps all that it refers to.
  const canvas: { -readonly [Name in keyof Canvas]: Canvas[Name] } = {
    size: source.size,
    frames: source.frames,
    hasExif: "bytes" in source && source.hasExif,
    async autoOrient() {
      if (orientation === 1 || canvas.frames > 1) return;
      (await at("turn")).autoOrient();
      stage = "cut";
      if (orientation >= 5) canvas.size = { width: canvas.size.height, height: canvas.size.width };
      orientation = 1;
    },
    async resize(wanted, window = { left: 0, top: 0, ...wanted }) {
      refuseBeyondLimit(wanted);
      const { width, height } = wanted;
      if (width === canvas.size.width && height === canvas.size.height) return canvas.crop(window);
      const isLonger = width > canvas.size.width || height > canvas.size.height;
      const bytes = window.width * window.height * (isOpaque ? 3 : 4);
      if (isLonger && bytes <= MAX_ENLARGED_BYTES) return enlarge(wanted, window);
      const scale = (from: Sharp) => from.resize(width, height, { fit: "fill" });
      if (canvas.frames > 1) return perFrame(throughLibvips((frame) => scale(frame).extract(window)));
      scale(await at("scale"));
      canvas.size = wanted;
      return canvas.crop(window);
    },
    async crop(window) {
      if (window.width === canvas.size.width && window.height === canvas.size.height) return;
      (await at(stage === "turn" ? "cut" : "cutScaled")).extract(window);
      canvas.size = { width: window.width, height: window.height };
    },
    async attentionCrop(scaled, window) {
      const { width, height } = window;
      if (canvas.frames > 1) return canvas.resize(scaled, window);
      refuseBeyondLimit(scaled);
      if (scaled.width * scaled.height > canvas.size.width * canvas.size.height) {
        // Searched before it is enlarged, when there is much less of it.
        if (stage !== "turn") await materialise();
        const point = await attentionPoint({ image: reopen(), size: canvas.size }, scaled, { width, height });
        return canvas.resize(scaled, { width, height, ...centredOn(scaled, { width, height }, point) });
      }
      (await at("scale")).resize(width, height, { fit: "cover", position: sharp.strategy.attention });
      stage = "cutScaled";
      canvas.size = { width, height };
    },
    async pad(wanted, colour) {
      refuseBeyondLimit(wanted);
      const [left, top] = [(wanted.width - canvas.size.width) >> 1, (wanted.height - canvas.size.height) >> 1];
      const [right, bottom] = [wanted.width - canvas.size.width - left, wanted.height - canvas.size.height - top];
      if (left + right + top + bottom === 0) return;
      // libvips would make the ground grey, too.
      if (isGrey) await materialise();
      (await at("extend")).extend({ left, top, right, bottom, background: colour });
      canvas.size = wanted;
    },
    async rotate(degrees, colour) {
      refuseBeyondLimit(turnedSize(canvas.size, degrees));
      const turn = (from: Sharp) => from.rotate(degrees, { background: colour });
      if (canvas.frames > 1) return perFrame(throughLibvips(turn));
      // A pass of its own: where libvips turns depends on what else the pass does.
      if (stage !== "turn") await materialise();
      turn(image);
      await materialise(true);
      if (degrees % 90 !== 0 && colour !== colour.slice(0, 7)) isOpaque = false;
    },
    async blur(blur) {
      const options = blurOptions(blur, canvas.size.width * canvas.size.height * canvas.frames);
      const restore = isOpaque ? undefined : await opacityRestored(options);
      const soften = (from: Sharp) => from.blur(options);
      const softenAlpha = restore === undefined ? soften : (from: Sharp) => restore(soften(from));
      if (canvas.frames > 1)
        return perFrame((frame) => throughLibvips(frame.channels === 4 ? softenAlpha : soften)(frame));
      // Grey with alpha has two channels.
      if (restore && isGrey) await materialise();
      softenAlpha(await at("blur"));
      if (restore) stage = "opacity";
    },
    async sharpen(amount) {
      const options = sharpenOptions(amount);
      const sharpen = throughLibvips((from) => from.sharpen(options));
      const work: FrameWork = (frame) => (frame.channels === 4 ? sharpenWithAlpha(frame, options) : sharpen(frame));
      if (canvas.frames > 1 || !(isOpaque || carriesExif)) return perFrame(work);
      if (!isOpaque) return replaceWith(work);
      (await at("sharpen")).sharpen(options);
    },
    async lay(overlay, place, how = "over") {
      const part = visiblePart(canvas.size, overlay, place);
      if (part === undefined) return;
      const at = { left: Math.max(0, place.left), top: Math.max(0, place.top) };
      await layOver(cutOut(overlay, part), at, how === "over" ? "over" : "dest-out");
      if (how === "cut") isOpaque = false;
    },
    async tile(overlay) {
      const part = visiblePart(canvas.size, overlay, { left: 0, top: 0 });
      if (part === undefined) return;
      const tile = cutOut(overlay, part);
      if (canvas.frames > 1) return canvas.lay(await tiled(tile, canvas.size), { left: 0, top: 0 });
      await at("compose", true);
      overlays.push(asTile(tile));
    },
    async pixels() {
      const pixels = await passPixels(canvas.size);
      carriesExif = false;
      open(pixels);
      return pixels;
    },
    async reopenable() {
      // At this stage nothing is gathered, and pixels need not be made of pixels.
      if (stage !== "turn" || isEncoded) await materialise();
      return reopen;
    },
    replace(pixels) {
      carriesExif = false;
      open(pixels);
    },
    finish: finishPass,
  };
  begin(() => ("bytes" in source ? openEncoded(source.bytes, source) : openPixels(source.pixels)));
  isEncoded = "bytes" in source;
  return canvas;
}

/** Of pixels that leave room in the memory of a render for any encoder; more are libvips' work, in strips. */
const MAX_ENLARGED_BYTES = 15_000_000;

// Only what is cut short or cannot be read is refused: many good photographs make decoders warn.
const OPEN = { failOn: "error", sequentialRead: true, autoOrient: false } as const satisfies SharpOptions;
