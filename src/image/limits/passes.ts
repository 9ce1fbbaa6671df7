// In which steps of a recipe an intermediate image is made of a still one: those that come too late for libvips' own order of work.
// As canvas.ts does it, for who reckons with its memory. Pure.
import { areaOf, type Size, sizeAfter } from "../geometry/geometry.ts";
import type { Step, StepName } from "../grammar/recipe.ts";

/** Sizes of the images that are made before a step and by it. */
interface Pass {
  readonly before: Size | undefined;
  readonly after: Size | undefined;
}

const [TURN, CUT, SCALE, CUT_SCALED, EXTEND, BLUR, SHARPEN, COMPOSE] = [0, 1, 2, 3, 4, 5, 6, 7];

const STAGES: Readonly<Record<StepName, number>> = {
  autoOrient: TURN,
  rotate: TURN,
  window: CUT,
  resize: SCALE,
  coverCrop: SCALE,
  attentionCrop: SCALE,
  pad: EXTEND,
  blur: BLUR,
  sharpen: SHARPEN,
  circle: COMPOSE,
  roundCorners: COMPOSE,
  textMark: COMPOSE,
  imageMark: COMPOSE,
};

/** One for each step. `mayBeClear`: sharpening is done beside clear parts, to pixels. */
export function passesOf(steps: readonly Step[], image: Size, mayHaveAlpha: boolean): readonly Pass[] {
  let [size, stage] = [image, TURN];
  return steps.map((step) => {
    const [now, next] = [size, sizeAfter(step, size)];
    const begins = beginsAt(step, stage);
    const isLate = begins < stage || (begins === stage && begins !== TURN && begins !== COMPOSE);
    const isEnlarged = STAGES[step.name] === SCALE && areaOf(next) > areaOf(now);
    const isOfItsOwn = step.name === "rotate" || isEnlarged || (step.name === "sharpen" && mayHaveAlpha);
    size = next;
    stage = isOfItsOwn ? TURN : endsAt(step, begins);
    return { before: isLate ? now : undefined, after: isOfItsOwn ? next : undefined };
  });
}

/** What is cut after it was scaled is cut at another stage, and a circle is cut before it is laid. */
function beginsAt({ name }: Step, stage: number): number {
  if (name === "window" || name === "circle") return stage === TURN ? CUT : CUT_SCALED;
  return STAGES[name];
}

function endsAt({ name }: Step, begins: number): number {
  if (name === "autoOrient") return CUT;
  if (name === "coverCrop" || name === "attentionCrop") return CUT_SCALED;
  return name === "circle" ? COMPOSE : begins;
}
