// Parses imageMogr2, whose keys apply from left to right. `gravity` applies to the crops after it. `pad` and `color`
// apply to all thumbnails of the same operation, before or after them. It does not know the image.
import { type Draft, outputKeys } from "./draft.ts";
import { readSizedCrop, readThumbnail, readWindow } from "./mogr-sizes.ts";
import { GRAVITIES, type Gravity, type Step } from "./recipe.ts";
import { type Parameter, readColour, readInteger, readSwitch, readWord, refuse } from "./values.ts";

/** The state of one imageMogr2 while its keys are read. */
interface Mogr {
  readonly draft: Draft;
  readonly steps: Step[];
  gravity: Gravity;
  isPadded: boolean;
  padColour: string;
}

type KeyReader = (mogr: Mogr, parameter: Parameter) => void;

/** Keys without a value. */
const FLAGS: Readonly<Record<string, (mogr: Mogr) => void>> = {
  "auto-orient": ({ steps }) => steps.push({ name: "autoOrient" }),
  strip: ({ draft }) => {
    draft.output.isStripped = true;
  },
};

const KEYS: Readonly<Record<string, KeyReader>> = {
  gravity: (mogr, parameter) => {
    mogr.gravity = readWord(parameter, GRAVITIES);
  },
  thumbnail: ({ draft, steps }, parameter) => steps.push({ name: "resize", rule: readThumbnail(parameter, draft.era) }),
  pad: (mogr, parameter) => {
    mogr.isPadded = readSwitch(parameter);
  },
  color: (mogr, parameter) => {
    mogr.padColour = readColour(parameter);
  },
  crop: ({ draft, steps, gravity }, parameter) =>
    steps.push(
      parameter.value.startsWith("!")
        ? readWindow(parameter)
        : { name: "coverCrop", gravity, ...readSizedCrop(parameter, draft.era) },
    ),
  cut: ({ steps }, parameter) => steps.push(readCut(parameter)),
  scrop: ({ draft, steps }, parameter) => steps.push({ name: "attentionCrop", ...readSizedCrop(parameter, draft.era) }),
  iradius: ({ steps }, parameter) => steps.push({ name: "circle", radius: readRadius(parameter) }),
  rradius: ({ steps }, parameter) => steps.push({ name: "roundCorners", radius: readRadius(parameter) }),
  rotate: ({ steps }, parameter) => {
    const degrees = readInteger(parameter, 0, 360) % 360;
    if (degrees !== 0) steps.push({ name: "rotate", degrees });
  },
  blur: ({ steps }, parameter) => steps.push(readBlur(parameter)),
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
const OUTPUT_KEYS = outputKeys("quality");

/** Frames that `cgif/1` keeps. */
const LIGHT_GIF_FRAMES = 30;
const WHITE = "#ffffff";
const MAX_RADIUS = 25_000;

/** Throws processing_invalid: unknown key, missing value, or value outside its limits. */
export function readMogr(draft: Draft, segments: readonly string[]): void {
  const mogr: Mogr = { draft, steps: [], gravity: "center", isPadded: false, padColour: WHITE };
  if (segments.length === 0) refuse({ name: "imageMogr2", value: "" }, "at least one key");
  for (let at = 0; at < segments.length; at += 1) {
    const key = segments[at] ?? "";
    if (Object.hasOwn(FLAGS, key)) {
      FLAGS[key]?.(mogr);
      continue;
    }
    at += 1;
    const parameter = { name: `imageMogr2/${key.slice(0, 40)}`, value: segments[at] ?? "" };
    if (Object.hasOwn(KEYS, key)) KEYS[key]?.(mogr, parameter);
    else if (Object.hasOwn(OUTPUT_KEYS, key)) OUTPUT_KEYS[key]?.(draft, parameter);
    else refuse(parameter, "a key of imageMogr2");
  }
  draft.steps.push(...(mogr.isPadded ? padded(mogr) : mogr.steps));
}

/** Adds to each thumbnail into a box a background that fills the box. The box is width × height in either era then. */
function padded({ steps, padColour }: Mogr): Step[] {
  let isFilled = false;
  const all = steps.flatMap((step): Step[] => {
    if (step.name !== "resize" || step.rule.kind !== "within") return [step];
    const { first: width, second: height } = step.rule;
    if (width === undefined || height === undefined) return [step];
    isFilled = true;
    const rule = { kind: "within", axes: "sides", first: width, second: height } as const;
    return [
      { name: "resize", rule },
      { name: "pad", width, height, colour: padColour },
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

/** Whether the radius fits the image is checked later. */
function readRadius(parameter: Parameter): number {
  return readInteger(parameter, 1, MAX_RADIUS);
}

function readBlur(parameter: Parameter): Step {
  const match = /^(\d{1,4})x(\d{1,4}(?:\.\d{1,4})?)$/.exec(parameter.value);
  const [radius, sigma] = [Number(match?.[1]), Number(match?.[2])];
  const isGood = radius >= 1 && radius <= 50 && sigma > 0 && sigma <= 1000;
  return isGood
    ? { name: "blur", radius, sigma }
    : refuse(parameter, "<radius>x<sigma>, radius from 1 to 50, sigma above 0 and at most 1000");
}

const UNIT_BYTES: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 * 1024 };

function readSizeLimit(draft: Draft, parameter: Parameter): void {
  const match = /^(\d{1,9})([km]?)(!?)$/i.exec(parameter.value);
  const bytes = Number(match?.[1]) * (UNIT_BYTES[match?.[2]?.toLowerCase() ?? ""] ?? 1);
  if (!(bytes >= 1)) refuse(parameter, "<n>, <n>k or <n>m, with or without !");
  draft.output.maxBytes = bytes;
  delete draft.output.keepsSmaller;
  if (match?.[3] === "!") draft.output.keepsSmaller = true;
}
