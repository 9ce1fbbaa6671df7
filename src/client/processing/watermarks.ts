// Writes text and image watermarks as operations of an instruction, and values of the grammar within the bounds that
// the service checks too. Draws nothing.
import { argumentError } from "../api/client-error.ts";

export const GRAVITIES = [
  "northwest",
  "north",
  "northeast",
  "west",
  "center",
  "east",
  "southwest",
  "south",
  "southeast",
] as const;
export type Gravity = (typeof GRAVITIES)[number];

export const FORMATS = ["jpg", "yjpeg", "png", "gif", "webp", "avif", "bmp", "auto"] as const;
export type Format = (typeof FORMATS)[number];

/** One of `words`; checked for callers without types. Throws argument_invalid. */
export function word<Word extends string>(name: string, value: Word, words: readonly Word[]): Word {
  if (words.includes(value)) return value;
  throw argumentError(`Cannot use ${JSON.stringify(value)} as ${name}: wanted ${words.join(", ")}`);
}

/** Both bounds inclusive. Throws argument_invalid. */
export function integer(name: string, value: number, least: number, most: number): string {
  if (Number.isInteger(value) && value >= least && value <= most) return String(value);
  throw argumentError(`Cannot use ${value} as ${name}: wanted an integer from ${least} to ${most}`);
}

/** URL-safe, without padding. Throws argument_invalid for text that is empty, too long or not well-formed. */
export function base64Url(name: string, text: string, maxBytes: number): string {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.byteLength >= 1 && bytes.byteLength <= maxBytes && text.isWellFormed()) return bytes.toString("base64url");
  throw argumentError(`Cannot use ${JSON.stringify(text.slice(0, 80))} as ${name}: wanted 1 to ${maxBytes} bytes`);
}

interface WatermarkPlace {
  /** Default southeast. */ readonly gravity?: Gravity;
  /** Pixels from the nearest edge. */ readonly dx?: number;
  readonly dy?: number;
  /** 1–100; default 100. */ readonly opacity?: number;
  /** Clockwise, 0–360; tiles only. */ readonly degrees?: number;
  /** Repeated over the whole image. */ readonly tiled?: boolean;
  /** Permille of the image's width, height (1–1000) or area (1–250). */
  readonly scale?: { readonly by: "width" | "height" | "area"; readonly permille: number };
}

export interface TextWatermark extends WatermarkPlace {
  /** Default `tahoma.ttf`; `msyh`, `simsun`, `simhei`, … for Chinese. */ readonly font?: string;
  /** Points, 1–1000; default 13. */ readonly fontSize?: number;
  /** `#rrggbb` or a CSS name; default `#3d3d3d`. */ readonly colour?: string;
  /** Opacity of the shadow, 0–100. */ readonly shadow?: number;
  /** Gap between tiles, per cent of the watermark, 0–100. */ readonly spacing?: number;
}

export interface ImageWatermark extends WatermarkPlace {
  /** Shrinks a watermark that is larger than the image, instead of clipping it. */ readonly shrink?: boolean;
}

/** `[key, value]`; undefined leaves the key out. */
type Key = readonly [name: string, value: string | undefined];

export function textWatermark(text: string, look: TextWatermark): string {
  const { font, fontSize, colour, shadow, spacing } = look;
  return watermark("2", [
    ["text", base64Url("text", text, 1024)],
    ["font", font && base64Url("font", font, 64)],
    ["fontsize", optional("fontSize", fontSize, 1, 1000)],
    ["fill", colour && base64Url("colour", colour, 32)],
    ["shadow", optional("shadow", shadow, 0, 100)],
    ["spacing", optional("spacing", spacing, 0, 100)],
    ...placeKeys(look),
  ]);
}

export function imageWatermark(url: string, look: ImageWatermark): string {
  if (!/^https?:\/\/[^/]/.test(url)) throw argumentError("Cannot add an image watermark: wanted its http or https URL");
  return watermark("1", [
    ["image", base64Url("url", url, 2048)],
    ["blogo", look.shrink ? "1" : undefined],
    ...placeKeys(look),
  ]);
}

function watermark(type: string, keys: readonly Key[]): string {
  const written = keys.flatMap(([name, value]) => (value === undefined ? [] : [`/${name}/${value}`]));
  return `watermark/${type}${written.join("")}`;
}

const SCALE_TYPES = { width: "1", height: "2", area: "3" } as const;

function placeKeys({ gravity, dx, dy, opacity = 100, degrees, tiled, scale }: WatermarkPlace): readonly Key[] {
  return [
    ["gravity", gravity && word("gravity", gravity, GRAVITIES)],
    ["dx", optional("dx", dx, 0, 50_000)],
    ["dy", optional("dy", dy, 0, 50_000)],
    // Always written, because the two eras have different defaults.
    ["dissolve", integer("opacity", opacity, 1, 100)],
    ["degree", optional("degrees", degrees, 0, 360)],
    ["batch", tiled ? "1" : undefined],
    ["scatype", scale && SCALE_TYPES[scale.by]],
    ["spcent", scale && integer("permille", scale.permille, 1, scale.by === "area" ? 250 : 1000)],
  ];
}

function optional(name: string, value: number | undefined, least: number, most: number): string | undefined {
  return value === undefined ? undefined : integer(name, value, least, most);
}
