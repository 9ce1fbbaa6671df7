// Parses imageMogr2, whose keys apply from left to right. `gravity` applies to the crops after it. `pad` and `color`
// apply to all thumbnails of the same operation, before or after them. It does not know the image.
import { type Draft, type OperationReader, type OutputReader, outputKeys, readSizeLimit } from "./draft.ts";
import { readSizedCrop, readThumbnail, readWindow } from "./mogr-sizes.ts";
import { GRAVITIES, type Gravity, type Step } from "./recipe.ts";
import { type Parameter, readColour, readInteger, readSigned, readSwitch, readWord, refuse } from "./values.ts";

/** The state of one operation while its keys are read. */
export interface Mogr {
  readonly draft: Draft;
  readonly steps: Step[];
  /** Undefined until a key sets it. */
  gravity: Gravity | undefined;
  /** Colours that apply to all steps of the operation, by key. */
  readonly colours: Map<string, string>;
  isPadded: boolean;
}

export type KeyReader = (mogr: Mogr, parameter: Parameter) => void;

/** The rules of an operation whose keys apply from left to right. */
interface MogrRules {
  readonly name: string;
  readonly keys: Readonly<Record<string, KeyReader>>;
  readonly outputKeys: Readonly<Record<string, OutputReader>>;
  /** The steps once all keys are read. */
  readonly finish: (mogr: Mogr) => readonly Step[];
}

/** Keys without a value. */
const FLAGS: Readonly<Record<string, (mogr: Mogr) => void>> = {
  "auto-orient": ({ steps }) => steps.push({ name: "autoOrient" }),
  strip: ({ draft }) => {
    draft.output.isStripped = true;
  },
};

export const readGravity: KeyReader = (mogr, parameter) => {
  mogr.gravity = readWord(parameter, GRAVITIES);
};

const KEYS: Readonly<Record<string, KeyReader>> = {
  gravity: readGravity,
  thumbnail: ({ draft, steps }, parameter) => steps.push({ name: "resize", rule: readThumbnail(parameter, draft.era) }),
  pad: (mogr, parameter) => {
    mogr.isPadded = readSwitch(parameter);
  },
  color: ({ colours }, parameter) => colours.set("color", readColour(parameter)),
  crop: ({ draft, steps, gravity }, parameter) =>
    steps.push(
      parameter.value.startsWith("!")
        ? readWindow(parameter, gravity)
        : { name: "coverCrop", gravity: gravity ?? "center", ...readSizedCrop(parameter, draft.era) },
    ),
  cut: ({ steps }, parameter) => steps.push(readCut(parameter)),
  scrop: ({ draft, steps }, parameter) => steps.push({ name: "attentionCrop", ...readSizedCrop(parameter, draft.era) }),
  iradius: ({ steps }, parameter) => steps.push({ name: "circle", radius: readInteger(parameter, 1, MAX_RADIUS) }),
  rradius: ({ steps }, parameter) =>
    steps.push({ name: "roundCorners", radius: readInteger(parameter, 1, MAX_RADIUS) }),
  rotate: ({ steps }, parameter) => {
    const degrees = readInteger(parameter, 0, 360) % 360;
    if (degrees !== 0) steps.push({ name: "rotate", degrees });
  },
  flip: ({ steps }, parameter) => steps.push({ name: "flip", axis: readWord(parameter, AXES) }),
  bright: ({ steps }, parameter) => steps.push({ name: "bright", amount: readSigned(parameter, -100, 100) }),
  contrast: ({ steps }, parameter) => steps.push({ name: "contrast", amount: readSigned(parameter, -100, 100) }),
  grayscale: ({ steps }, parameter) => {
    if (readSwitch(parameter)) steps.push({ name: "grayscale" });
  },
  blur: ({ steps }, parameter) => steps.push({ name: "blur", ...readBlur(parameter) }),
  sharpen: ({ steps }, parameter) => steps.push({ name: "sharpen", amount: readInteger(parameter, 10, 300) }),
  cgif: ({ draft }, parameter) => {
    const number = readInteger(parameter, 1, 100);
    draft.output.gifFrames = number === 1 ? LIGHT_GIF_FRAMES : number;
  },
  interlace: ({ draft }, parameter) => {
    draft.output.isProgressive = readSwitch(parameter);
  },
  "size-limit": ({ draft }, parameter) => readSizeLimit(draft, parameter),
};

const AXES = ["horizontal", "vertical"] as const;
/** Frames that `cgif/1` keeps. */
const LIGHT_GIF_FRAMES = 30;
const WHITE = "#ffffff";
/** Whether a radius fits the image is checked later. */
const MAX_RADIUS = 25_000;

export const readMogr = mogrReader({
  name: "imageMogr2",
  keys: KEYS,
  outputKeys: outputKeys("quality"),
  finish: (mogr) => (mogr.isPadded ? padded(mogr) : mogr.steps),
});

/** Its result throws processing_invalid: unknown key, missing value, or value outside its limits. */
export function mogrReader({ name, keys, outputKeys, finish }: MogrRules): OperationReader {
  return (draft, segments) => {
    const mogr: Mogr = { draft, steps: [], gravity: undefined, isPadded: false, colours: new Map() };
    if (segments.length === 0) refuse({ name, value: "" }, "at least one key");
    for (let at = 0; at < segments.length; at += 1) {
      const key = segments[at] ?? "";
      if (Object.hasOwn(FLAGS, key)) {
        FLAGS[key]?.(mogr);
        continue;
      }
      at += 1;
      const parameter = { name: `${name}/${key.slice(0, 40)}`, value: segments[at] ?? "" };
      if (Object.hasOwn(keys, key)) keys[key]?.(mogr, parameter);
      else if (Object.hasOwn(outputKeys, key)) outputKeys[key]?.(draft, parameter);
      else refuse(parameter, `a key of ${name}`);
    }
    draft.steps.push(...finish(mogr));
  };
}

/** Adds to each thumbnail into a box a background that fills the box. The box is width × height in either era then. */
function padded({ steps, colours }: Mogr): Step[] {
  let isFilled = false;
  const all = steps.flatMap((step): Step[] => {
    if (step.name !== "resize" || step.rule.kind !== "within") return [step];
    const { first: width, second: height } = step.rule;
    if (width === undefined || height === undefined) return [step];
    isFilled = true;
    const rule = { kind: "within", axes: "sides", first: width, second: height } as const;
    return [
      { name: "resize", rule },
      { name: "pad", width, height, colour: colours.get("color") ?? WHITE },
    ];
  });
  return isFilled ? all : refuse({ name: "imageMogr2/pad", value: "1" }, "thumbnail/<W>x<H> beside it");
}

function readCut(parameter: Parameter): Step {
  const match = /^(\d+)x(\d+)x(\d+)x(\d+)$/.exec(parameter.value);
  if (match === null) return refuse(parameter, "<width>x<height>x<dx>x<dy>");
  const [width, height, dx, dy] = match.slice(1).map((value) => ({ ...parameter, value }));
  return {
    name: "window",
    width: readInteger(width!, 1, MAX_WINDOW),
    height: readInteger(height!, 1, MAX_WINDOW),
    dx: readInteger(dx!, 0, MAX_WINDOW),
    dy: readInteger(dy!, 0, MAX_WINDOW),
  };
}
const MAX_WINDOW = 50_000;

/** Reads `<radius>x<sigma>`; `least`: of sigma. */
export function readBlur(parameter: Parameter, least = 0.0001): { readonly radius: number; readonly sigma: number } {
  const match = /^(\d{1,4})x(\d{1,4}(?:\.\d{1,4})?)$/.exec(parameter.value);
  const [radius, sigma] = [Number(match?.[1]), Number(match?.[2])];
  if (radius >= 1 && radius <= 50 && sigma >= least && sigma <= 1000) return { radius, sigma };
  return refuse(parameter, "<radius>x<sigma>, radius from 1 to 50, sigma above 0 and at most 1000");
}
