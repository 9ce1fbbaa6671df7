// An immutable builder of processing instructions for download URLs: each call returns a new value. Its text is in the
// grammar of imageView2, imageMogr2 and watermark, and means the same in the eras 2015 and later.
import { argumentError } from "../api/client-error.ts";
import {
  base64Url,
  FORMATS,
  type Format,
  GRAVITIES,
  type Gravity,
  type ImageWatermark,
  imageWatermark,
  integer,
  type TextWatermark,
  textWatermark,
  word,
} from "./watermarks.ts";

/** Pixels. If one side is absent, it follows from the proportions. */
export type Sides =
  | { readonly width: number; readonly height?: number }
  | { readonly width?: number; readonly height: number };

/** Pixels of the long and the short edge, for landscape and portrait alike. */
export interface Edges {
  readonly long: number;
  readonly short: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * 0–100, for lossy formats. A number: at most the quality of the source. `exactly`: this quality. `relative`: per cent
 * of the source's. `atLeast`: the source's quality, but not less than this.
 */
export type Quality =
  | number
  | { readonly exactly: number }
  | { readonly relative: number }
  | { readonly atLeast: number };

/** An instruction. Reports on the image (`info()`) have no further steps. */
export interface Instruction {
  /** Not percent-encoded. Empty if there are no steps. */ readonly text: string;
}

/** Every step throws argument_invalid for a value that every service refuses. */
export interface Processing extends Instruction {
  /** At most this large, proportional; never enlarged. */
  fit(box: Sides | Edges): Processing;
  /** At least this large, proportional. An absent side is as long as the other. */
  cover(box: Sides | Edges): Processing;
  /** Exactly this large: scaled to cover, then cropped towards `gravity` (with sides only), by default the centre. */
  fill(box: Size | Edges, gravity?: Gravity): Processing;
  /** As `fill`, but crops towards the most interesting region. */
  fillSmartly(box: Size): Processing;
  /** Exactly these sides, even if that distorts. An absent side stays proportional. */
  resize(sides: Sides): Processing;
  /** Per cent of each side. */
  scale(perCent: number): Processing;
  /** At most this many pixels in all. */
  fitArea(pixels: number): Processing;
  /** As `fit`, centred on a background of exactly this size. `colour`: `#rrggbb` or a CSS name, default white. */
  pad(box: Size, colour?: string): Processing;
  /** Crops a window. */
  cut(window: Size & { readonly x: number; readonly y: number }): Processing;
  /** Crops the circle around the centre. */
  circle(radius: number): Processing;
  roundCorners(radius: number): Processing;
  /** Degrees, clockwise. */
  rotate(degrees: number): Processing;
  /** Rotates upright, as the EXIF orientation says. */
  autoOrient(): Processing;
  flip(axis: "horizontal" | "vertical"): Processing;
  /** -100 (black) to 100 (white). */
  brightness(amount: number): Processing;
  /** -100 (grey) to 100. */
  contrast(amount: number): Processing;
  grayscale(): Processing;
  blur(radius: number, sigma: number): Processing;
  /** 10–300. */
  sharpen(amount: number): Processing;
  markText(text: string, look?: TextWatermark): Processing;
  /** `url`: an image in the same bucket. */
  markImage(url: string, look?: ImageWatermark): Processing;
  /** `auto`: the best format in the client's Accept. */
  format(format: Format): Processing;
  quality(quality: Quality): Processing;
  progressive(): Processing;
  /** Removes EXIF and other metadata. */
  strip(): Processing;
  /** Bytes, JPEG only. */
  maxBytes(bytes: number): Processing;
  /** Largest number of frames of an animated GIF. */
  gifFrames(frames: number): Processing;
  /** Serves the original if the image cannot be processed. */
  orOriginal(): Processing;
  /** JSON: format, width, height, size, md5. */
  info(): Instruction;
  /** JSON: the EXIF data. */
  exif(): Instruction;
  /** JSON: the average colour. */
  averageColour(): Instruction;
}

/** Begins an instruction without steps. */
export function processing(): Processing {
  return build([]);
}

const AXES = ["horizontal", "vertical"] as const;

function build(operations: readonly Operation[]): Processing {
  const mogr = (text: string) => build(appendMogr(operations, text));
  const view = (mode: number, keys: string) =>
    build(append(operations, { kind: "view", text: `imageView2/${mode}${keys}` }));
  const closed = (text: string) => append(operations, { kind: "closed", text });
  const output = (key: Parameters<typeof setOutput>[1], value: string) => build(setOutput(operations, key, value));
  const report = (text: string): Instruction => ({ text: instructionText(closed(text)) });
  return {
    text: instructionText(operations),
    fit: (box) => (isEdges(box) ? view(0, edges(box)) : view(2, sides(box))),
    cover: (box) => (isEdges(box) ? view(4, edges(box)) : view(3, sides(box))),
    fill(box, gravity = "center") {
      if (isEdges(box)) {
        if (gravity !== "center")
          throw argumentError("Cannot crop long and short edges towards a gravity: wanted sides");
        return view(5, edges(box));
      }
      return gravity === "center"
        ? view(1, sides(box))
        : mogr(`gravity/${word("gravity", gravity, GRAVITIES)}/crop/${cropSize(box)}`);
    },
    fillSmartly: (box) => mogr(`scrop/${cropSize(box)}`),
    resize: ({ width, height }) => {
      const w = width === undefined ? "" : side("width", width);
      const h = height === undefined ? "" : side("height", height);
      if (w === "" && h === "") throw argumentError("Cannot resize to nothing: wanted a width or a height");
      return mogr(`thumbnail/${w}x${h}${w !== "" && h !== "" ? "!" : ""}`);
    },
    scale: (perCent) => mogr(`thumbnail/!${integer("scale", perCent, 1, 1000)}p`),
    fitArea: (pixels) => mogr(`thumbnail/${integer("pixels", pixels, 1, 999_999_999)}@`),
    // `pad` applies to every thumbnail of its operation, so it gets an operation of its own.
    pad: (box, colour = "#ffffff") =>
      build(closed(`imageMogr2/thumbnail/${size(box)}/pad/1/color/${base64Url("colour", colour, 32)}`)),
    cut({ x, y, ...box }) {
      // A gravity that an earlier crop of the same operation wrote would move the window.
      const reset = operations.at(-1)?.text.includes("/gravity/") ? "gravity/northwest/" : "";
      return mogr(`${reset}crop/!${size(box)}a${offset("x", x)}a${offset("y", y)}`);
    },
    circle: (radius) => mogr(`iradius/${integer("radius", radius, 1, 25_000)}`),
    roundCorners: (radius) => mogr(`rradius/${integer("radius", radius, 1, 25_000)}`),
    rotate: (degrees) => mogr(`rotate/${integer("degrees", degrees, 0, 360)}`),
    autoOrient: () => mogr("auto-orient"),
    flip: (axis) => mogr(`flip/${word("axis", axis, AXES)}`),
    brightness: (amount) => mogr(`bright/${integer("brightness", amount, -100, 100)}`),
    contrast: (amount) => mogr(`contrast/${integer("contrast", amount, -100, 100)}`),
    grayscale: () => mogr("grayscale/1"),
    blur(radius, sigma) {
      if (!(sigma >= 0.0001 && sigma <= 1000)) throw argumentError(`Cannot blur by ${sigma}: wanted 0.0001 to 1000`);
      return mogr(`blur/${integer("radius", radius, 1, 50)}x${Number(sigma.toFixed(4))}`);
    },
    sharpen: (amount) => mogr(`sharpen/${integer("amount", amount, 10, 300)}`),
    markText: (text, look = {}) => build(closed(textWatermark(text, look))),
    markImage: (url, look = {}) => build(closed(imageWatermark(url, look))),
    format: (format) => output("format", word("format", format, FORMATS)),
    quality: (quality) => output(...qualityKey(quality)),
    progressive: () => mogr("interlace/1"),
    strip: () => mogr("strip"),
    maxBytes: (bytes) => mogr(`size-limit/${integer("bytes", bytes, 1, 999_999_999)}`),
    gifFrames: (frames) => mogr(`cgif/${integer("frames", frames, 2, 100)}`),
    orOriginal: () => mogr("ignore-error/1"),
    info: () => report("imageInfo"),
    exif: () => report("exif"),
    averageColour: () => report("imageAve"),
  };
}

function isEdges(box: Sides | Edges): box is Edges {
  return "long" in box;
}

function edges({ long, short }: Edges): string {
  return `/w/${side("long", long)}/h/${side("short", short)}`;
}

function sides({ width, height }: Sides): string {
  const w = width === undefined ? "" : `/w/${side("width", width)}`;
  const h = height === undefined ? "" : `/h/${side("height", height)}`;
  if (w + h === "") throw argumentError("Cannot scale to nothing: wanted a width or a height");
  return w + h;
}

function size({ width, height }: Size): string {
  return `${side("width", width)}x${side("height", height)}`;
}

/** The manual has narrower bounds for scaling crops. */
function cropSize({ width, height }: Size): string {
  return `${integer("width", width, 10, 16_383)}x${integer("height", height, 10, 16_383)}`;
}

function side(name: string, pixels: number): string {
  return integer(name, pixels, 1, 50_000);
}

function offset(name: string, pixels: number): string {
  return integer(name, pixels, 0, 50_000);
}

function qualityKey(quality: Quality): ["quality" | "rquality" | "lquality", string] {
  if (typeof quality === "number") return ["quality", integer("quality", quality, 0, 100)];
  if ("exactly" in quality) return ["quality", `${integer("quality", quality.exactly, 0, 100)}!`];
  if ("relative" in quality) return ["rquality", integer("quality", quality.relative, 0, 100)];
  return ["lquality", integer("quality", quality.atLeast, 0, 100)];
}

/** `closed`: takes no more keys. `written`: the output keys of an imageView2, each once. */
interface Operation {
  readonly kind: "view" | "mogr" | "closed";
  readonly text: string;
  readonly written?: Readonly<Record<string, string>>;
}

type OutputKey = "format" | "quality" | "rquality" | "lquality";

const MAX_OPERATIONS = 10;

function instructionText(operations: readonly Operation[]): string {
  return operations.map(({ text, written = {} }) => [text, ...Object.entries(written).flat()].join("/")).join("|");
}

/** Appends keys to the last imageMogr2, or begins one. Its keys apply from left to right. */
function appendMogr(operations: readonly Operation[], keys: string): readonly Operation[] {
  const last = operations.at(-1);
  if (last?.kind !== "mogr") return append(operations, { kind: "mogr", text: `imageMogr2/${keys}` });
  return [...operations.slice(0, -1), { kind: "mogr", text: `${last.text}/${keys}` }];
}

/** Sets a key of the output. A later value replaces an earlier one; the quality keys replace each other. */
function setOutput(operations: readonly Operation[], key: OutputKey, value: string): readonly Operation[] {
  const last = operations.at(-1);
  if (last?.kind !== "view") return appendMogr(operations, `${key}/${value}`);
  const { q: _, rq: __, lq: ___, ...others } = last.written ?? {};
  const unchanged = key === "format" ? last.written : others;
  // imageView2 shortens `quality` in its names.
  const viewKey = key.replace("quality", "q");
  return [...operations.slice(0, -1), { ...last, written: { ...unchanged, [viewKey]: value } }];
}

function append(operations: readonly Operation[], operation: Operation): readonly Operation[] {
  if (operations.length < MAX_OPERATIONS) return [...operations, operation];
  throw argumentError(`Cannot process in more than ${MAX_OPERATIONS} operations`);
}
