// An image while steps are applied to it. libvips runs the parts of one pipeline in a fixed order (turn, cut, scale,
// cut, extend, blur, sharpen, compose). Steps in this order share one pass over the pixels; only a step that
// comes too late makes an intermediate image. It knows no recipe and no output format.
import sharp, { type OverlayOptions, type Sharp, type SharpOptions } from "sharp";
import { aligned, areaOf, type Size, turnedSize, visiblePart } from "../geometry/geometry.ts";
import { refuseManyPixels } from "../geometry/result-size.ts";
import { isClear } from "../grammar/recipe.ts";
import { collectPixels } from "../pixels/memory.ts";
import { asTile, cutOut, type Overlay, type Pixels, toPixels } from "../pixels/pixels.ts";
import { eachEncodedFrame, eachFrame, type FrameWork, throughLibvips } from "./animation.ts";
import type { Canvas, CanvasOptions, CanvasSource } from "./canvas-shape.ts";
import { blurOptions, sharpenOptions } from "./kernels.ts";

/** A position in the fixed order of libvips. */
type Stage = (typeof STAGES)[number];
const STAGES = ["turn", "cut", "scale", "cutScaled", "extend", "blur", "sharpen", "compose"] as const;

export function createCanvas(source: CanvasSource, { maxPixels, background }: CanvasOptions): Canvas {
  let orientation = source.orientation;
  // EXIF survives intermediate images because these are PNGs then. libvips loses the EXIF of an animation anyway.
  let carriesExif = "bytes" in source && source.hasExif && source.frames === 1;
  let image: Sharp;
  /** True while the pipeline reads the source file itself. */
  let isEncoded: boolean;
  /** Opens the input of the pipeline again, without its pending steps; a clone would copy the bytes. */
  let reopen: () => Sharp;
  /** The file of an animation, until the first step. */
  let untouched = "bytes" in source && source.frames > 1 ? source : undefined;
  /** True if the input of the pipeline is grey. */
  let isGrey = "bytes" in source && source.isGrey;
  let isOpaque = source.isOpaque || background !== undefined;
  let stage: Stage = "turn";
  let overlays: OverlayOptions[] = [];
  let bytesHeld = 0;

  function opened(): SharpOptions {
    return { ...OPEN, limitInputPixels: maxPixels };
  }

  function openEncoded(bytes: Buffer): Sharp {
    return onBackground(sharp(bytes, { ...opened(), animated: canvas.frames > 1 }));
  }

  function onBackground(opened: Sharp): Sharp {
    return background === undefined ? opened : opened.flatten({ background });
  }

  function openPixels({ data, width, height, channels, frames: count }: Pixels): Sharp {
    const raw = { width, height: height * count, channels, ...(count > 1 && { pageHeight: height }) };
    return onBackground(sharp(data, { limitInputPixels: maxPixels, animated: count > 1, raw }));
  }

  /** Begins a pass. `bytes`: size of the intermediate image that is its input; 0 for the source. */
  function begin(openAnew: () => Sharp, bytes = 0): void {
    reopen = openAnew;
    isEncoded = false;
    image = reopen();
    bytesHeld = bytes;
    collectPixels(bytes);
  }

  /** The pipeline, ready for a step of this stage; begins a new pass if the stage is over. */
  async function at(next: Stage, mayRepeat = false): Promise<Sharp> {
    const [now, wanted] = [STAGES.indexOf(stage), STAGES.indexOf(next)];
    if (now > wanted || (now === wanted && stage !== "turn" && !mayRepeat)) await materialise();
    untouched = undefined;
    stage = next;
    return image;
  }

  /** Runs the pending steps and begins a new pass. `isTurned`: the new size is known only to libvips. */
  async function materialise(isTurned = false): Promise<void> {
    if (carriesExif) {
      const png = finishPass().keepExif().png({ compressionLevel: 0 });
      const { data, info } = await png.toBuffer({ resolveWithObject: true });
      if (isTurned) canvas.size = { width: info.width, height: info.height };
      begin(() => openEncoded(data), data.length);
      [isGrey, stage] = [false, "turn"];
    } else {
      open(await passPixels(isTurned ? undefined : canvas.size));
    }
  }

  function open(pixels: Pixels): void {
    canvas.size = { width: pixels.width, height: pixels.height };
    canvas.frames = pixels.frames;
    begin(() => openPixels(pixels), pixels.data.length);
    canvas.hasExif = false;
    [isGrey, isOpaque, untouched, stage] = [false, pixels.channels === 3, undefined, "turn"];
  }

  function finishPass(): Sharp {
    // The function that made this pass's input has returned, so the input of the previous pass is garbage by now.
    collectPixels(bytesHeld);
    const laid = overlays;
    overlays = [];
    return laid.length === 0 ? image : composed(image, laid);
  }

  /** libvips adds an alpha channel for overlays, even if the result is opaque. */
  function composed(below: Sharp, laid: OverlayOptions[]): Sharp {
    return isOpaque ? below.composite(laid).removeAlpha() : below.composite(laid);
  }

  function passPixels(known: Size | undefined): Promise<Pixels> {
    return toPixels(finishPass(), canvas.frames, known);
  }

  /** Applies work that reads neighbouring pixels to each frame of an animation alone. */
  async function perFrame(work: FrameWork): Promise<void> {
    if (untouched === undefined) return open(await eachFrame(beginWithPixels(await passPixels(canvas.size)), work));
    const { bytes } = untouched;
    const encoded = {
      open: (part: object) => onBackground(sharp(bytes, { ...opened(), ...part })),
      size: canvas.size,
      frames: canvas.frames,
    };
    open(await eachEncodedFrame(encoded, work));
  }

  /** Replaces the image by the result of work outside libvips' pipeline, which has the same size; EXIF stays. */
  async function replaceWith(work: FrameWork): Promise<void> {
    if (!carriesExif) return open(await work(beginWithPixels(await passPixels(canvas.size))));
    await materialise();
    // sharp keeps only EXIF of the image that it opens. One pixel carries it, and the result is laid over that.
    const carrier = await reopen().extract({ left: 0, top: 0, width: 1, height: 1 }).keepExif().png().toBuffer();
    const { data, width, height, channels } = await work(beginWithPixels(await toPixels(reopen(), 1, canvas.size)));
    begin(() => openEncoded(carrier).resize(width, height, { fit: "fill", kernel: "nearest" }), data.length);
    stage = "compose";
    overlays.push({ input: data, raw: { width, height, channels }, blend: "source" });
  }

  /** Makes the pixels the input for now, so that the memory of the previous input can be freed. */
  function beginWithPixels(pixels: Pixels): Pixels {
    begin(() => openPixels(pixels), pixels.data.length);
    return pixels;
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

  // Fields, not getters: V8 makes a slow object of a literal with a getter, and keeps everything alive that it refers
  // to.
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
      // A search in an enlarged image would need far more memory.
      if (canvas.frames > 1 || areaOf(scaled) > areaOf(canvas.size)) return canvas.resize(scaled, window);
      (await at("scale")).resize(width, height, { fit: "cover", position: sharp.strategy.attention });
      stage = "cutScaled";
      canvas.size = { width, height };
    },
    async pad(wanted, colour, { left, top } = aligned(wanted, canvas.size, "center")) {
      refuseBeyondLimit(wanted);
      const [right, bottom] = [wanted.width - canvas.size.width - left, wanted.height - canvas.size.height - top];
      if (left + right + top + bottom === 0) return;
      // On a grey image libvips would make the background grey, too.
      if (isGrey) await materialise();
      (await at("extend")).extend({ left, top, right, bottom, background: colour });
      [canvas.size, isOpaque] = [wanted, isOpaque && !isClear(colour)];
    },
    async rotate(degrees, colour) {
      refuseBeyondLimit(turnedSize(canvas.size, degrees));
      const turn = (from: Sharp) => from.rotate(degrees, { background: colour });
      if (canvas.frames > 1) return perFrame(throughLibvips(turn));
      // A pass of its own, because the stage in which libvips turns depends on the other steps of the pass.
      if (stage !== "turn") await materialise();
      turn(image);
      await materialise(true);
      if (degrees % 90 !== 0 && isClear(colour)) isOpaque = false;
    },
    work: (work) => (canvas.frames > 1 ? perFrame(work) : replaceWith(work)),
    async blur(blur) {
      const options = blurOptions(blur, canvas.size.width * canvas.size.height * canvas.frames);
      const soften = (from: Sharp) => from.blur(options);
      if (canvas.frames > 1) return perFrame(throughLibvips(soften));
      soften(await at("blur"));
    },
    async sharpen(amount) {
      const options = sharpenOptions(amount);
      if (canvas.frames > 1) return perFrame(throughLibvips((from) => from.sharpen(options)));
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
      const tile = asTile(cutOut(overlay, part));
      if (canvas.frames > 1) return perFrame(throughLibvips((frame) => composed(frame, [tile])));
      await at("compose", true);
      overlays.push(tile);
    },
    async pixels() {
      const pixels = await passPixels(canvas.size);
      carriesExif = false;
      open(pixels);
      return pixels;
    },
    async reopenable() {
      // At stage `turn` no steps are pending, and an intermediate image need not be made again.
      if (stage !== "turn" || isEncoded) await materialise();
      return reopen;
    },
    replace(pixels) {
      carriesExif = false;
      open(pixels);
    },
    finish: finishPass,
  };
  begin(() => ("bytes" in source ? openEncoded(source.bytes) : openPixels(source.pixels)));
  isEncoded = "bytes" in source;
  return canvas;
}

// Only truncated or unreadable images are refused, because decoders warn about many good photographs.
const OPEN = { failOn: "error", sequentialRead: true, autoOrient: false } as const satisfies SharpOptions;
