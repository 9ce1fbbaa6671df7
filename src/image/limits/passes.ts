// Predicts which steps of a recipe make an intermediate image of a still image, so that its memory can be estimated. It
// repeats the rule of canvas.ts: a step that comes too late for libvips' fixed order begins a new pass. Pure: it does
// no I/O.
import { areaOf, type Size, sizeAfter } from "../geometry/geometry.ts";
import type { Step, StepName } from "../grammar/recipe.ts";

/** Sizes of the intermediate images made before a step and by the step; undefined if none is made. */
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

/** One entry a step. `mayHaveAlpha`: the image may be transparent, so that sharpening works on pixels of its own. */
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

/** libvips cuts a scaled image at another stage than an unscaled one. A circle is cut before its corners are laid. */
function beginsAt({ name }: Step, stage: number): number {
  if (name === "window" || name === "circle") return stage === TURN ? CUT : CUT_SCALED;
  return STAGES[name];
}

function endsAt({ name }: Step, begins: number): number {
  if (name === "autoOrient") return CUT;
  if (name === "coverCrop" || name === "attentionCrop") return CUT_SCALED;
  return name === "circle" ? COMPOSE : begins;
}
