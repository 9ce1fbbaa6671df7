// Parses the watermarks of Qiniu: an image (1), a text (2), several of both (3), a tiled text (4).
import { type Draft, readFormat } from "../draft.ts";
import { findInstruction } from "../find-instruction.ts";
import { GRAVITIES, type Step, type StepOf, type WatermarkScale } from "../recipe.ts";
import { type Parameter, readDecimal, readInteger, readSigned, readWord, refuse } from "../values.ts";
import { type Find, findIn, integer, readImage, readText } from "../watermark.ts";

const MAX_SIDE = 9999;
const MAX_MARKS = 10;
/** A twentieth of a point; 72 points an inch make it a twentieth of a pixel. */
const FONT_UNIT = 1 / 20;

const PLACE_KEYS = ["gravity", "dx", "dy", "dissolve", "ws", "wst", "format"];
const TEXT_KEYS = ["text", "font", "fontsize", "fill", "dissolve"];
const TYPES: Readonly<Record<string, readonly string[]>> = {
  "1": [...PLACE_KEYS, "image"],
  "2": [...PLACE_KEYS, ...TEXT_KEYS],
  "4": [...TEXT_KEYS, "rotate", "uw", "uh", "resize", "dx", "dy", "gravity", "format"],
};

/** Throws processing_invalid: unknown type, unknown or repeated key, no text or image, or value outside its limits. */
export function readQiniuWatermark(draft: Draft, [type = "", ...rest]: readonly string[]): void {
  const marks = type === "3" ? marksOf(rest) : [{ type, segments: rest }];
  if (!marks.every((mark) => Object.hasOwn(TYPES, mark.type)))
    refuse({ name: "watermark", value: type }, "1 (an image), 2 (a text), 3 (several) or 4 (a tiled text)");
  for (const mark of marks) draft.steps.push(readMark(draft, mark));
}

interface Mark {
  readonly type: string;
  readonly segments: readonly string[];
}

/** The watermarks of type 3: `image` or `text` begins one, and the keys after it belong to it. */
function marksOf(segments: readonly string[]): readonly Mark[] {
  const marks: { type: string; segments: string[] }[] = [];
  for (let at = 0; at < segments.length; at += 2) {
    const [key = "", value = ""] = segments.slice(at, at + 2);
    if (key === "image" || key === "text") marks.push({ type: key === "image" ? "1" : "2", segments: [] });
    const last = marks.at(-1) ?? refuse({ name: `watermark/${key.slice(0, 40)}`, value }, "image or text before it");
    last.segments.push(key, value);
  }
  const found = { name: "watermark/3", value: String(marks.length) };
  return marks.length === 0 || marks.length > MAX_MARKS ? refuse(found, `1 to ${MAX_MARKS} watermarks`) : marks;
}

function readMark(draft: Draft, { type, segments }: Mark): Step {
  const find = findIn(segments, type, TYPES[type]);
  const format = find("format");
  if (format !== undefined) readFormat(draft, format, ["jpg", "jpeg", "png", "gif", "webp", "avif", "bmp", "copy"]);
  if (type === "1") return readImageMark(draft, find);
  return type === "2" ? { ...readTextLook(find, 1), ...readPlace(find) } : readTiledText(find);
}

function readImageMark(draft: Draft, find: Find): Step {
  const form = /^(?:https?:\/\/[^/]|kodo:\/\/[^/]+\/.)/i;
  const { image, written } = readImage(find, form, "http://, https:// or kodo://");
  const queryAt = written.indexOf("?");
  const { text } = findInstruction(queryAt === -1 ? "" : written.slice(queryAt + 1));
  const recipe = text === undefined ? undefined : draft.parseInner(text);
  return { ...image, ...(recipe !== undefined && { recipe }), oversize: "omit", ...readPlace(find) };
}

type TextLook = Pick<
  StepOf<"textMark">,
  "name" | "text" | "family" | "fontSize" | "colour" | "shadow" | "spacing" | "oversize"
>;

function readTextLook(find: Find, resize: number): TextLook {
  const pixels = integer(find("fontsize"), 1, MAX_SIDE, 240) * FONT_UNIT * resize;
  return {
    ...readText(find, "黑体", "#000000"),
    // Pango takes 0 for its default size.
    fontSize: Math.max(1, pixels),
    shadow: 0,
    spacing: 0,
    oversize: "omit",
  };
}

function readTiledText(find: Find): Step {
  const resize = find("resize");
  const rotate = find("rotate");
  const degrees = rotate === undefined ? 0 : readSigned(rotate, -180, 180);
  return {
    ...readTextLook(find, resize === undefined ? 1 : readDecimal(resize, 0.1, 10)),
    gravity: "northwest",
    dx: 0,
    dy: 0,
    opacity: integer(find("dissolve"), 1, 100, 100),
    degrees: (degrees + 360) % 360,
    isTiled: true,
    cell: { width: integer(find("uw"), 1, MAX_SIDE, 100), height: integer(find("uh"), 1, MAX_SIDE, 100) },
  };
}

function readPlace(find: Find): Omit<StepOf<"textMark">, keyof TextLook | "cell"> {
  const gravity = find("gravity");
  const scale = readScale(find("ws"), find("wst"));
  const shift = (parameter: Parameter | undefined) =>
    parameter === undefined ? 10 : readSigned(parameter, -MAX_SIDE, MAX_SIDE);
  return {
    gravity: gravity === undefined ? "southeast" : readWord(gravity, GRAVITIES),
    dx: shift(find("dx")),
    dy: shift(find("dy")),
    movesCentred: true,
    opacity: integer(find("dissolve"), 1, 100, 100),
    degrees: 0,
    isTiled: false,
    ...(scale !== undefined && { scale }),
  };
}

const SIDES = ["short", "long", "width", "height"] as const;

/** `ws`: share of the side `wst` of the image that the same side of the watermark gets; 0: its own size. */
function readScale(share: Parameter | undefined, side: Parameter | undefined): WatermarkScale | undefined {
  const by = SIDES[side === undefined ? 0 : readInteger(side, 0, 3)] ?? "short";
  const permille = share === undefined ? 0 : readDecimal(share, 0, 1) * 1000;
  return permille === 0 ? undefined : { by, permille };
}
