// The table of image operations: one row a step, and the compiler checks that it is complete. Sizes come from
// geometry.ts and pixels from canvas.ts. A new operation is a row here and a key in the grammar.
import { aligned, coverWindow, plainWindow, refuseLargeRadius, scaledSize } from "../geometry/geometry.ts";
import { blameStep } from "../geometry/result-size.ts";
import type { Step, StepName, StepOf } from "../grammar/recipe.ts";
import { CORNERS, cornerMask } from "../pixels/pixels.ts";
import type { Canvas } from "./canvas-shape.ts";
import { layImage, layText } from "./watermark.ts";

/** The context of a step in addition to its own parameters. */
export interface Work {
  readonly canvas: Canvas;
  /** The source is a GIF; by the manual some operations do not apply to GIFs. */
  readonly isGif: boolean;
  /** The output format has no transparency: white replaces it. */
  readonly isOpaque: boolean;
  /** Files of all image watermarks of the recipe by URL. */
  readonly watermarks: ReadonlyMap<string, Buffer>;
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
  pad: ({ width, height, colour }, { canvas }) => canvas.pad({ width, height }, colour),
  circle: async (step, work) => {
    if (work.isGif) return;
    refuseLargeRadius(step, work.canvas.size);
    const square = { width: step.radius * 2, height: step.radius * 2 };
    await work.canvas.crop({ ...square, ...aligned(work.canvas.size, square, "center") });
    await roundCorners(step.radius, work);
  },
  roundCorners: async (step, work) => {
    if (work.isGif) return;
    refuseLargeRadius(step, work.canvas.size);
    await roundCorners(step.radius, work);
  },
  rotate: ({ degrees }, { canvas, isOpaque }) => canvas.rotate(degrees, isOpaque ? "#ffffff" : "#00000000"),
  blur: async ({ radius, sigma }, { canvas, isGif }) => {
    // 0.3 is the minimum of libvips; a smaller blur would be invisible.
    if (isGif || sigma < 0.3) return;
    await canvas.blur({ radius, sigma });
  },
  sharpen: ({ amount }, { canvas }) => canvas.sharpen(amount),
  textMark: (step, { canvas }) => layText(canvas, step),
  imageMark: (step, { canvas, watermarks }) => layImage(canvas, step, watermarks.get(step.url)!),
} as const satisfies { readonly [Name in StepName]: Operation<Name> };

/** Throws processing_invalid, image_not_processable, output_too_large. */
export async function applySteps(steps: readonly Step[], work: Work): Promise<void> {
  for (const step of steps) {
    // The type of the table guarantees that the row of a step accepts that step.
    const operation = OPERATIONS[step.name] as Operation<StepName>;
    await operation(step, work).catch(blameStep(step));
  }
}

async function roundCorners(radius: number, { canvas, isOpaque }: Work): Promise<void> {
  for (const corner of CORNERS) {
    const mask = cornerMask(radius, corner);
    await canvas.lay(mask, aligned(canvas.size, mask, corner), isOpaque ? "over" : "cut");
  }
}
