// Pictures whose pixels tell where they came from, and how to render and look at them. For tests only.
import sharp, { type Sharp } from "sharp";
import { type ImageFacts, MEDIA_TYPES } from "../../src/core/object.ts";
import { createGate } from "../../src/serve/body/gate/gate.ts";
import {
  type KnownFacts,
  type RasterFacts,
  type SourceLimits,
  scanSource,
} from "../../src/serve/image/formats/loaders.ts";
import { runScan } from "../../src/serve/image/formats/yielding-scan.ts";
import { parseInstruction } from "../../src/serve/image/grammar/grammar.ts";
import { dependsOnAccept, negotiatedAs } from "../../src/serve/image/grammar/negotiate.ts";
import type { AutoFormat, Era } from "../../src/serve/image/grammar/recipe.ts";
import { renderImage } from "../../src/serve/image/process/pipeline.ts";

export const LIMITS = {
  sourceBytes: 20 * 1024 * 1024,
  sourceSide: 30_000,
  pixels: 100_000_000,
  frames: 300,
  outputSide: 9999,
  outputBytes: 64 * 1024 * 1024,
};

export const b64 = (text: string) => Buffer.from(text).toString("base64url");

export interface RenderOptions {
  readonly era?: Era;
  readonly watermarks?: Readonly<Record<string, Buffer>>;
  /** In place of those of LIMITS. */
  readonly limits?: Partial<typeof LIMITS>;
  /** The format that `format/auto` means for the client. */
  readonly auto?: AutoFormat;
}

/** scanSource() without yielding. */
export function readSource(bytes: Buffer, limits: SourceLimits, known?: KnownFacts): RasterFacts {
  return runScan(scanSource(bytes, limits, known));
}

const NO_LIMIT = Number.POSITIVE_INFINITY;
const ANY_SIZE: SourceLimits = { sourceBytes: NO_LIMIT, sourceSide: NO_LIMIT, pixels: NO_LIMIT, frames: NO_LIMIT };

/** The result of a render, and what its bytes are. Reading `image` of JSON throws. */
export function shownAs(bytes: Buffer) {
  return {
    bytes,
    get image() {
      return readSource(bytes, ANY_SIZE);
    },
    get mediaType() {
      return bytes[0] === "{".charCodeAt(0) ? "application/json" : MEDIA_TYPES[this.image.format];
    },
  };
}

/** Renders in this process. */
export async function renderText(
  bytes: Buffer,
  text: string,
  { era = 2015, watermarks = {}, limits: other = {}, auto = "autoPlain" }: RenderOptions = {},
) {
  const asked = parseInstruction(text, { era });
  const recipe = dependsOnAccept(asked) ? negotiatedAs(asked, auto) : asked;
  const limits = { ...LIMITS, ...other };
  const facts = readSource(bytes, limits);
  return shownAs(await renderImage({ bytes, facts, recipe, watermarks: new Map(Object.entries(watermarks)), limits }));
}

/** Verifies in this process that the image can be decoded, as for an upload. */
export async function verifyHere(bytes: Buffer): Promise<void> {
  const recipe = { steps: [], output: {}, inspection: "decodable" } as const;
  await renderImage({ bytes, facts: readSource(bytes, LIMITS), recipe, watermarks: new Map(), limits: LIMITS });
}

/** The facts that the catalogue would have. */
export function claimsOf(bytes: Buffer): { readonly size: number; readonly image: ImageFacts } {
  const gate = createGate();
  gate.push(bytes);
  return { size: bytes.length, image: gate.image ?? { format: "png", width: undefined, height: undefined } };
}

type Colour = readonly [number, number, number];
export const RED: Colour = [220, 40, 40];
export const GREEN: Colour = [40, 180, 60];
export const BLUE: Colour = [40, 60, 210];
export const YELLOW: Colour = [230, 210, 40];
export const WHITE: Colour = [255, 255, 255];

/** Red, green, blue, yellow: upper left, upper right, lower left, lower right. */
export function quadrants(width: number, height: number): Sharp {
  const data = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const upper = x < width / 2 ? RED : GREEN;
      const lower = x < width / 2 ? BLUE : YELLOW;
      data.set(y < height / 2 ? upper : lower, (y * width + x) * 3);
    }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

export function solid(width: number, height: number, [r, g, b]: Colour, alpha?: number): Sharp {
  const background = alpha === undefined ? { r, g, b } : { r, g, b, alpha };
  return sharp({ create: { width, height, channels: alpha === undefined ? 3 : 4, background } });
}

/** Each frame of one colour, 100, 200, 300, … milliseconds. */
export function animation(width: number, height: number, colours: readonly Colour[]): Sharp {
  const data = Buffer.concat(
    colours.map(([r, g, b]) => {
      const frame = Buffer.alloc(width * height * 3);
      for (let at = 0; at < frame.length; at += 3) frame.set([r, g, b], at);
      return frame;
    }),
  );
  return sharp(data, { raw: { width, height: height * colours.length, channels: 3, pageHeight: height } });
}

/** The samples at a place, in parts of the sides: 0.25, 0.25 is the middle of the upper left quadrant. */
export async function colourAt(bytes: Buffer, x: number, y: number, page = 0): Promise<number[]> {
  const { data, info } = await sharp(bytes, { page }).toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  const column = Math.min(info.width - 1, Math.floor(x * info.width));
  const row = Math.min(info.height - 1, Math.floor(y * info.height));
  const at = (row * info.width + column) * info.channels;
  return [...data.subarray(at, at + info.channels)];
}

/** The largest difference of a sample of two colours; alpha counts where both have it. */
export function difference(one: readonly number[], other: readonly number[]): number {
  return Math.max(...one.slice(0, other.length).map((sample, index) => Math.abs(sample - (other[index] ?? sample))));
}

/** Mean difference of the samples of two images of one size, 0–255: near 0 where they look alike. */
export async function distance(one: Buffer, other: Buffer): Promise<number> {
  const pixels = (bytes: Buffer) =>
    sharp(bytes).flatten({ background: "#fff" }).toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  const [first, second] = await Promise.all([pixels(one), pixels(other)]);
  if (first.info.width !== second.info.width || first.info.height !== second.info.height)
    return Number.POSITIVE_INFINITY;
  const total = first.data.reduce((sum, sample, at) => sum + Math.abs(sample - (second.data[at] ?? 0)), 0);
  return total / first.data.length;
}
