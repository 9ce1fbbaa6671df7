// The table of image operations: one row a step, and the compiler checks that it is complete. Sizes come from
// geometry.ts and pixels from canvas.ts. A new operation is a row here and a key in the grammar.
import { HuiyuanError } from "../../../core/errors.ts";
import {
  aligned,
  borderedSize,
  cornerRadii,
  coverWindow,
  extentOf,
  plainWindow,
  refuseLargeRadius,
  type Size,
  scaledSize,
  turnedSize,
} from "../geometry/geometry.ts";
import { CLEAR, isClear, type OutputFormat, type Step, type StepName, type StepOf } from "../grammar/recipe.ts";
import { CORNERS, cornerMask } from "../pixels/pixels.ts";
import { throughLibvips } from "./animation.ts";
import type { Canvas } from "./canvas-shape.ts";
import { brighten, contrast, greyed } from "./kernels.ts";
import { layImage, layText, type MarkRenderer } from "./watermark.ts";

/** The context of a step in addition to its own parameters. */
export interface Work {
  readonly canvas: Canvas;
  /** Format of the source; by the manuals some operations do not apply to all formats. */
  readonly source: OutputFormat;
  /** The output format has no transparency: white replaces it. */
  readonly isOpaque: boolean;
  /** Files of all image watermarks of the recipe by URL. */
  readonly watermarks: ReadonlyMap<string, Buffer>;
  readonly renderMark: MarkRenderer;
}

type Operation<Name extends StepName> = (step: StepOf<Name>, work: Work) => Promise<void>;

const OPERATIONS = {
  autoOrient: (_step, { canvas }) => canvas.autoOrient(),
  resize: ({ rule }, { canvas }) => canvas.resize(scaledSize(canvas.size, rule)),
  coverCrop: (step, { canvas }) => {
    const { scaled, window } = coverWindow(canvas.size, step, step.gravity);
    return canvas.resize(scaled, window);
  },
  attentionCrop: (step, { canvas }) => {
    const { scaled, window } = coverWindow(canvas.size, step, "center");
    return canvas.attentionCrop(scaled, window);
  },
  window: (step, { canvas }) => canvas.crop(plainWindow(canvas.size, step)),
  extent: async ({ colour, ...step }, { canvas, isOpaque }) => {
    const { part, size, place } = extentOf(canvas.size, step);
    await canvas.crop(part);
    await canvas.pad(size, shown(colour, isOpaque), place);
  },
  border: ({ colour, ...step }, { canvas, isOpaque }) =>
    canvas.pad(borderedSize(canvas.size, step), shown(colour, isOpaque)),
  pad: ({ width, height, colour }, { canvas }) => canvas.pad({ width, height }, colour),
  circle: async (step, work) => {
    if (work.source === "gif") return;
    refuseLargeRadius(step, work.canvas.size);
    const square = { width: step.radius * 2, height: step.radius * 2 };
    await work.canvas.crop({ ...square, ...aligned(work.canvas.size, square, "center") });
    await roundCorners({ width: step.radius, height: step.radius }, work);
  },
  roundCorners: async (step, work) => {
    if (work.source === "gif") return;
    refuseLargeRadius(step, work.canvas.size);
    await roundCorners({ width: step.radius, height: step.radius }, work);
  },
  ovalCorners: async (step, work) => {
    if (step.ofSource && work.source !== "jpeg" && work.source !== "png") refuseFormat("roundPic", work.source);
    await roundCorners(cornerRadii(work.canvas.size, step), work);
  },
  rotate: async ({ degrees, colour }, { canvas, isOpaque }) => {
    const ground = shown(colour ?? CLEAR, isOpaque);
    const whole = turnedSize(canvas.size, degrees);
    await canvas.rotate(degrees, ground);
    // Qiniu's ImageMagick rounds the new sides up, libvips to the nearest pixel.
    if (colour !== undefined) await canvas.pad(whole, ground);
  },
  flip: ({ axis }, { canvas }) =>
    canvas.work(throughLibvips((frame) => (axis === "horizontal" ? frame.flop() : frame.flip()))),
  bright: ({ amount }, { canvas }) => canvas.work(async (frame) => brighten(frame, amount)),
  contrast: ({ amount }, { canvas }) => canvas.work(async (frame) => contrast(frame, amount)),
  grayscale: (_step, { canvas }) => canvas.work(async (frame) => greyed(frame)),
  blur: async ({ radius, sigma, refusesGif }, { canvas, source }) => {
    if (source === "gif" && refusesGif) refuseFormat("imageMogr2/blur", source);
    // 0.3 is the minimum of libvips; a smaller blur would be invisible.
    if (source === "gif" || sigma < 0.3) return;
    await canvas.blur({ radius, sigma });
  },
  sharpen: ({ amount }, { canvas }) => canvas.sharpen(amount),
  textMark: (step, { canvas }) => layText(canvas, step),
  imageMark: (step, { canvas, watermarks, renderMark }) =>
    layImage(canvas, step, watermarks.get(step.url)!, renderMark),
} as const satisfies { readonly [Name in StepName]: Operation<Name> };

/** Throws processing_invalid, image_not_processable, output_too_large. */
export async function applySteps(steps: readonly Step[], work: Work): Promise<void> {
  for (const step of steps) {
    // The type of the table guarantees that the row of a step accepts that step.
    const operation = OPERATIONS[step.name] as Operation<StepName>;
    await operation(step, work);
  }
}

/** White in place of transparent if the format has no transparency. */
function shown(colour: string, isOpaque: boolean): string {
  return isOpaque && isClear(colour) ? "#ffffff" : colour;
}

function refuseFormat(parameter: string, format: OutputFormat): never {
  const wanted = parameter === "roundPic" ? "a JPEG or PNG" : "no GIF";
  const message = `Cannot process: ${parameter} of an image that is ${format}, wanted ${wanted}`;
  throw new HuiyuanError("processing_invalid", message, { parameter, wanted });
}

async function roundCorners(radii: Size, { canvas, isOpaque }: Work): Promise<void> {
  if (radii.width === 0 || radii.height === 0) return;
  for (const corner of CORNERS) {
    const mask = cornerMask(radii, corner);
    await canvas.lay(mask, aligned(canvas.size, mask, corner), isOpaque ? "over" : "cut");
  }
}
