// The operations of Qiniu and their keys: what differs from the readers that both services share. It does not know the
// image.
import {
  type Draft,
  type OperationReader,
  type OutputReader,
  readFormat,
  readQuality,
  readSizeLimit,
} from "../draft.ts";
import { type KeyReader, type Mogr, mogrReader, readBlur, readGravity } from "../mogr.ts";
import { readPlacedSize, readThumbnail, windowOf } from "../mogr-sizes.ts";
import { CLEAR, type Length, type QualityRule, type SizeRule, type Step } from "../recipe.ts";
import { type Parameter, parseColour, readBase64, readInteger, readSigned, readSwitch, refuse } from "../values.ts";
import { keyedValues, type ViewRules, viewReader } from "../view.ts";
import { readQiniuWatermark } from "./watermark.ts";

const FORMATS = ["jpg", "jpeg", "png", "gif", "webp", "avif", "bmp", "auto", "copy"];
const LIMITS = { perCent: 999, side: 9999, area: 24_999_999 };
/** Any number: `imageView2` never enlarges, and the result has limits of its own. */
const ANY_SIDE = 999_999_999;
/** Strength of `sharpen/1`, whose own is not documented. */
const SHARPEN = 70;
const DEFAULT_SLIM_LEVEL = 3;

/** Quality without `q`: since 2015 by the size of the result, in the older operations that of the source. */
const QUALITY: QualityRule = { kind: "scaled", value: 75 };
const OLD_QUALITY: QualityRule = { kind: "atMost", value: 85 };

const readColours: OutputReader = ({ output }, parameter) => {
  const colours = readInteger(parameter, 2, 256);
  if (!Number.isInteger(Math.log2(colours))) refuse(parameter, "2, 4, 8, 16, 32, 64, 128 or 256");
  output.colours = colours;
};

const BASIC_OUTPUT: Readonly<Record<string, OutputReader>> = {
  format: (draft, parameter) => readFormat(draft, parameter, FORMATS),
  q: (draft, parameter) => readQuality(draft, parameter, 1, QUALITY.kind),
};

const OUTPUT: typeof BASIC_OUTPUT = {
  ...BASIC_OUTPUT,
  interlace: ({ output }, parameter) => {
    output.isProgressive = readSwitch(parameter);
  },
  colors: readColours,
  "ignore-error": (draft, parameter) => {
    draft.ignoresErrors = readSwitch(parameter);
  },
};

const MOGR_OUTPUT: typeof BASIC_OUTPUT = {
  ...OUTPUT,
  quality: (draft, parameter) => readQuality(draft, parameter, 1, QUALITY.kind),
  density: ({ output }, parameter) => {
    output.density = readInteger(parameter, 1, 1200);
  },
  "size-limit": readSizeLimit,
};

/** The keys with the quality rule of the older operations. */
function older(keys: typeof BASIC_OUTPUT): typeof BASIC_OUTPUT {
  const readOld: OutputReader = (draft, parameter) => readQuality(draft, parameter, 1, OLD_QUALITY.kind);
  return { ...keys, q: readOld, ...(keys.quality !== undefined && { quality: readOld }) };
}

/** A leading `!` only escapes `p`, `r` and `a`, so it may stand before any form. `80` is `80x`. */
const readSize: KeyReader = ({ draft, steps }, parameter) => {
  const value = parameter.value.replace(/^!(?!.*(?:px?|r)$)/, "").replace(/^(\d+)(>?)$/, "$1x$2");
  const [, side, w, h] = /^((\d+)x|x(\d+))>$/.exec(value) ?? [];
  const rule = readThumbnail({ ...parameter, value: side ?? value }, draft.era, LIMITS);
  steps.push({ name: "resize", rule: side === undefined ? enlarging(rule, value) : within(w, h) });
};

/** `400x>` and `x300>`. */
const within = (width: string | undefined, height: string | undefined): SizeRule => ({
  kind: "within",
  axes: "sides",
  ...(width !== undefined && { first: Number(width) }),
  ...(height !== undefined && { second: Number(height) }),
});

/** `<W>x<H>` and `<area>@` enlarge, too. */
function enlarging(rule: SizeRule, value: string): SizeRule {
  if (rule.kind === "area") return { ...rule, enlarges: true };
  return rule.kind === "within" && /\d$/.test(value) ? { ...rule, kind: "fit" } : rule;
}

/** In imageMogr `!50px` and `!x50p` keep the proportions. */
const readOldSize: KeyReader = (mogr, parameter) =>
  readSize(mogr, { ...parameter, value: parameter.value.replace(/^!(?:(\d+)px|x(\d+)p)$/, "!$1$2p") });

/** A side that is not given or 0 is the image's. */
const toSide = (parameter: Parameter) => (digits: string) =>
  Number(digits) === 0 ? undefined : readInteger({ ...parameter, value: digits }, 1, LIMITS.side);

/** Colours that CSS does not have, or not so. */
const OWN_COLOURS: Readonly<Record<string, string>> = { transparent: CLEAR, none: CLEAR, gray: "#7e7e7e" };

function readGround(parameter: Parameter): string {
  const text = readBase64(parameter, 32).toLowerCase();
  if (Object.hasOwn(OWN_COLOURS, text)) return OWN_COLOURS[text] as string;
  return parseColour(text) ?? refuse(parameter, "Base64 of #RRGGBB, of a colour name or of transparent");
}

const KEYS: Readonly<Record<string, KeyReader>> = {
  gravity: readGravity,
  thumbnail: readSize,
  crop: ({ steps, gravity }, parameter) => {
    const { at = { x: 0, y: 0 }, ...size } = readPlacedSize(parameter, toSide(parameter));
    steps.push(windowOf(size, at, gravity ?? "northwest"));
  },
  extent: ({ steps }, parameter) =>
    steps.push({ name: "extent", ...readPlacedSize(parameter, toSide(parameter)), colour: "" }),
  border: ({ steps }, parameter) => {
    const [, across = "", down = ""] = /^(\d+)x(\d+)$/.exec(parameter.value) ?? refuse(parameter, "<width>x<height>");
    const width = (digits: string) => readInteger({ ...parameter, value: digits }, 0, LIMITS.side);
    steps.push({ name: "border", across: width(across), down: width(down), colour: "" });
  },
  background: ({ colours }, parameter) => colours.set("background", readGround(parameter)),
  bordercolor: ({ colours }, parameter) => colours.set("bordercolor", readGround(parameter)),
  rotate: ({ steps }, parameter) => {
    const degrees = readSigned(parameter, -360, 360);
    if (degrees === 0) refuse(parameter, "an integer from 1 to 360");
    if (degrees % 360 !== 0) steps.push({ name: "rotate", degrees: (degrees + 360) % 360, colour: "" });
  },
  blur: ({ steps }, parameter) => {
    const blur = readBlur(parameter, 0);
    if (blur.sigma > 0) steps.push({ name: "blur", ...blur, refusesGif: true });
  },
  sharpen: ({ steps }, parameter) =>
    steps.push({ name: "sharpen", amount: parameter.value === "1" ? SHARPEN : readInteger(parameter, 10, 300) }),
};

/** Gives each step its colour, whose key may stand before or after it. */
function coloured({ steps, colours }: Mogr): readonly Step[] {
  const ground = colours.get("background") ?? "#ffffff";
  return steps.map((step) => {
    if (step.name === "rotate" || step.name === "extent") return { ...step, colour: ground };
    return step.name === "border" ? { ...step, colour: colours.get("bordercolor") ?? "#ffffff" } : step;
  });
}

const readMogr = mogrReader({ name: "imageMogr2", keys: KEYS, outputKeys: MOGR_OUTPUT, finish: coloured });
const readOldMogr = mogrReader({
  name: "imageMogr",
  keys: { ...KEYS, thumbnail: readOldSize },
  outputKeys: older(MOGR_OUTPUT),
  finish: coloured,
});

/** An operation whose result has a default quality and number of colours. */
function encoding(read: OperationReader, quality: QualityRule): OperationReader {
  return (draft, segments) => {
    read(draft, segments);
    draft.output.quality ??= quality;
    draft.output.gifColours = 128;
  };
}

/** The image is turned upright first; `onlyShrinks`: never enlarged. */
function uprightView(rules: ViewRules, onlyShrinks: boolean): OperationReader {
  const read = viewReader(rules);
  return (draft, segments) => {
    const before = draft.steps.push({ name: "autoOrient" });
    read(draft, segments);
    const step = draft.steps[before];
    if (onlyShrinks && step !== undefined) draft.steps[before] = shrinking(step);
  };
}

function shrinking(step: Step): Step {
  if (step.name === "coverCrop") return { ...step, onlyShrinks: true };
  if (step.name !== "resize" || step.rule.kind !== "cover") return step;
  return { ...step, rule: { ...step.rule, onlyShrinks: true } };
}

/** `imageslim[/zlevel/<n>]`: its input where that is smaller, of another format or damaged. */
function readSlim(draft: Draft, segments: readonly string[]): void {
  let level = DEFAULT_SLIM_LEVEL;
  for (const [key, value] of keyedValues("imageslim", segments)) {
    const parameter = { name: `imageslim/${key}`, value };
    level = key === "zlevel" ? readInteger(parameter, 0, 10) : refuse(parameter, "zlevel");
  }
  draft.output.slimQuality = 90 - 5 * level;
  if (!draft.isAlone) return;
  draft.output.returnsSmaller = true;
  draft.output.unchanged = ["gif", "webp", "avif", "bmp"];
  draft.ignoresErrors = true;
}

function readRoundPic(draft: Draft, segments: readonly string[]): void {
  const values = keyedValues("roundPic", segments);
  const radius = (key: string) => readRadius({ name: `roundPic/${key}`, value: values.get(key) ?? "" });
  for (const [key, value] of values)
    if (!/^radius[xy]?$/.test(key) || (key !== "radius" && values.has("radius")))
      refuse({ name: `roundPic/${key}`, value }, "radius, or radiusx and radiusy");
  const { format } = draft.output;
  if (format !== undefined && format !== "jpeg" && format !== "png")
    refuse({ name: "roundPic", value: format }, "a JPEG or PNG");
  const [x, y] = values.has("radius") ? [radius("radius"), radius("radius")] : [radius("radiusx"), radius("radiusy")];
  draft.steps.push({ name: "ovalCorners", x, y, ofSource: format === undefined });
  draft.output.format = "png";
}

function readRadius(parameter: Parameter): Length {
  const [, share] = /^!(\d{1,3}(?:\.\d{1,12})?)p$/.exec(parameter.value) ?? [];
  if (share === undefined) return { pixels: readInteger(parameter, 0, 999_999) };
  return Number(share) <= 50 ? { perCent: Number(share) } : refuse(parameter, "!0p to !50p, or pixels");
}

const readOldMogrVersion: OperationReader = (draft, [first, ...rest]) => {
  readOldMogr(draft, first === "v2" ? rest : first === undefined ? [] : [first, ...rest]);
  if (draft.isAlone) draft.output.unchanged = ["gif"];
};

export const QINIU_OPERATIONS = {
  imageView2: encoding(
    uprightView({ name: "imageView2", modes: "012345", maxSide: ANY_SIDE, keys: OUTPUT }, true),
    QUALITY,
  ),
  imageView: encoding(
    uprightView({ name: "imageView", modes: "12", maxSide: ANY_SIDE, keys: older(BASIC_OUTPUT) }, false),
    OLD_QUALITY,
  ),
  imageMogr2: encoding(readMogr, QUALITY),
  imageMogr: encoding(readOldMogrVersion, OLD_QUALITY),
  watermark: readQiniuWatermark,
  imageslim: readSlim,
  roundPic: readRoundPic,
} as const satisfies Record<string, OperationReader>;
