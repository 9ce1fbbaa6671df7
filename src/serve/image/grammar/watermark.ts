// Parses watermark/1 (an image) and watermark/2 (text). Keys may have any order, each at most once. Blind watermarks
// (3, 4) are not supported.
import type { Draft } from "./draft.ts";
import { DEFAULT_FONT, fontFamily } from "./fonts.ts";
import { type Era, GRAVITIES, type Step, type StepOf, type WatermarkScale } from "./recipe.ts";
import {
  MAX_SIDE,
  type Parameter,
  readBase64,
  readColour,
  readInteger,
  readSwitch,
  readWord,
  refuse,
} from "./values.ts";
import { keyedValues } from "./view.ts";
import { watermarkName } from "./watermark-token.ts";

const MAX_TEXT_BYTES = 1024;
const MAX_URL_BYTES = 2048;
const MAX_FONT_BYTES = 64;
const MAX_FONT_SIZE = 1000;
const DEFAULT_FONT_SIZE = 13;
const DEFAULT_COLOUR = "#3d3d3d";
const DEFAULT_SPACING = 10;
/** Default opacity of the later manual; in 2015 watermarks are opaque. */
const LATER_OPACITY = 90;

const PLACE_KEYS = ["gravity", "dx", "dy", "dissolve", "batch", "degree", "scatype", "spcent"];
const KEYS: Readonly<Record<string, readonly string[]>> = {
  "1": [...PLACE_KEYS, "image", "blogo"],
  "2": [...PLACE_KEYS, "text", "font", "fontsize", "fill", "shadow", "spacing"],
};

/** Returns a parameter of one watermark by its key. */
export type Find = (key: string) => Parameter | undefined;

/** Throws processing_invalid: unknown type, unknown or repeated key, no text or image, or value outside its limits. */
export function readWatermark(draft: Draft, [type = "", ...rest]: readonly string[]): void {
  const known = Object.hasOwn(KEYS, type) ? KEYS[type] : undefined;
  if (known === undefined) refuse({ name: "watermark", value: type }, "1 (an image) or 2 (text)");
  const find = findIn(rest, type, known);
  draft.steps.push(type === "1" ? readImageWatermark(find, draft.era) : readTextWatermark(find, draft.era));
}

/** Throws processing_invalid for a repeated key, and for one that is not among the `known` of this type. */
export function findIn(segments: readonly string[], type: string, known: readonly string[] = []): Find {
  const values = keyedValues("watermark", segments);
  for (const [key, value] of values)
    if (!known.includes(key)) refuse({ name: `watermark/${key.slice(0, 40)}`, value }, `a key of watermark/${type}`);
  return (key) => {
    const value = values.get(key);
    return value === undefined ? undefined : { name: `watermark/${key}`, value };
  };
}

function readImageWatermark(find: Find, era: Era): Step {
  const { image } = readImage(find, /^https?:\/\/[^/]/i, "http:// or https://");
  const oversize = integer(find("blogo"), 1, 2, 2) === 1 ? "shrink" : "clip";
  return { ...image, oversize, ...readPlace(find, era) };
}

/** Reads `image/…`: the fields of the step, and the URL as written. */
export function readImage(find: Find, form: RegExp, beginnings: string) {
  const image = find("image") ?? refuse({ name: "watermark/image", value: "" }, "the URL of an image in this bucket");
  const written = readBase64(image, MAX_URL_BYTES);
  if (!form.test(written)) return refuse(image, `Base64 of a URL that begins with ${beginnings}`);
  const url = watermarkName(written);
  return { image: { name: "imageMark", url, ...(url !== written && { signedUrl: written }) }, written } as const;
}

function readTextWatermark(find: Find, era: Era): Step {
  return {
    ...readText(find, DEFAULT_FONT, DEFAULT_COLOUR),
    fontSize: integer(find("fontsize"), 1, MAX_FONT_SIZE, DEFAULT_FONT_SIZE),
    shadow: integer(find("shadow"), 0, 100, 0),
    spacing: integer(find("spacing"), 0, 100, DEFAULT_SPACING),
    ...readPlace(find, era),
  };
}

/** Reads `text/…`, `font/…` and `fill/…`. */
export function readText(find: Find, defaultFont: string, defaultColour: string) {
  const text = readBase64(find("text") ?? refuse({ name: "watermark/text", value: "" }, "a text"), MAX_TEXT_BYTES);
  const [font, fill] = [find("font"), find("fill")];
  const family = fontFamily(font === undefined ? defaultFont : readBase64(font, MAX_FONT_BYTES));
  return { name: "textMark", text, family, colour: fill === undefined ? defaultColour : readColour(fill) } as const;
}

function readPlace(find: Find, era: Era): Omit<StepOf<"imageMark">, "name" | "url" | "signedUrl" | "oversize"> {
  const gravity = find("gravity");
  const batch = find("batch");
  const isTiled = batch !== undefined && readSwitch(batch);
  const degrees = integer(find("degree"), 0, 360, 0);
  const scale = readScale(find("scatype"), find("spcent"));
  return {
    gravity: gravity === undefined ? "southeast" : readWord(gravity, GRAVITIES),
    dx: integer(find("dx"), 0, MAX_SIDE, 0),
    dy: integer(find("dy"), 0, MAX_SIDE, 0),
    opacity: integer(find("dissolve"), 1, 100, era === 2015 ? 100 : LATER_OPACITY),
    // By the manual only tiles are turned.
    degrees: isTiled ? degrees % 360 : 0,
    isTiled,
    ...(scale !== undefined && { scale }),
  };
}

const SCALED_BY = ["width", "height", "area"] as const;

function readScale(type: Parameter | undefined, share: Parameter | undefined): WatermarkScale | undefined {
  if (type === undefined && share === undefined) return undefined;
  if (type === undefined) return refuse({ name: "watermark/scatype", value: "" }, "1, 2 or 3 beside spcent");
  if (share === undefined) return refuse({ name: "watermark/spcent", value: "" }, "a permille beside scatype");
  const by = SCALED_BY[readInteger(type, 1, 3) - 1] ?? "area";
  return { by, permille: readInteger(share, 1, by === "area" ? 250 : 1000) };
}

export function integer(parameter: Parameter | undefined, least: number, most: number, otherwise: number): number {
  return parameter === undefined ? otherwise : readInteger(parameter, least, most);
}
