// Loads the image files that a recipe lays over an image as watermarks, within bounds. It decodes nothing and does not
// know where the files are stored.
import { HuiyuanError } from "../../core/errors.ts";
import { type RasterFacts, scanSource } from "./formats/loaders.ts";
import { yieldingScan } from "./formats/yielding-scan.ts";
import { MAX_WATERMARK_PIXELS, WANTED_WATERMARK } from "./geometry/watermark-size.ts";
import { type Recipe, WATERMARK_PARAMETER, watermarkUrls } from "./grammar/recipe.ts";

/** Bytes of the file of an image watermark at most. */
export const MAX_WATERMARK_BYTES = 5 * 1024 * 1024;
export const WATERMARK_LIMITS = {
  sourceBytes: MAX_WATERMARK_BYTES,
  sourceSide: 10_000,
  pixels: MAX_WATERMARK_PIXELS,
  frames: 1,
};

/**
 * Files and their facts, by URL. `loadImage` returns undefined if the bucket has no such image. Throws
 * processing_invalid, and errors of `loadImage`.
 */
export async function loadWatermarks(
  recipe: Recipe,
  loadImage: (url: string) => Promise<Buffer | undefined>,
): Promise<{ readonly files: ReadonlyMap<string, Buffer>; readonly facts: ReadonlyMap<string, RasterFacts> }> {
  const files = new Map<string, Buffer>();
  const facts = new Map<string, RasterFacts>();
  for (const url of watermarkUrls(recipe)) {
    const bytes = await loadImage(url);
    if (bytes === undefined) throw badWatermark(url, "there is no such image in this bucket");
    facts.set(url, await readWatermarkImage(url, bytes));
    files.set(url, bytes);
  }
  return { files, facts };
}

async function readWatermarkImage(url: string, bytes: Buffer): Promise<RasterFacts> {
  try {
    return await yieldingScan(scanSource(bytes, WATERMARK_LIMITS));
  } catch (error) {
    const found =
      error instanceof HuiyuanError ? error.message.replace(/^Cannot process[^:]*: /, "") : "it is unreadable";
    throw badWatermark(url, found, error); // the message names the watermark, not the image
  }
}

function badWatermark(url: string, found: string, cause?: unknown): HuiyuanError {
  const message = `Cannot lay "${url}" over the image: ${found}`;
  return new HuiyuanError("processing_invalid", message, {
    parameter: WATERMARK_PARAMETER,
    wanted: WANTED_WATERMARK,
    cause,
  });
}
