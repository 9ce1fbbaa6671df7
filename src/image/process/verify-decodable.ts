// Whether the pixels of an image can be decoded, from the first to the last: all of them are, as coarsely as the decoder can, and
// thrown away. Runs in a render process.
import sharp from "sharp";
import { readBmp } from "../formats/bmp.ts";
import { type RasterFacts, readSource, type SourceLimits } from "../formats/loaders.ts";
import { readableFile } from "../formats/readable-file.ts";
import { translated } from "./pipeline.ts";

/** An image to be proven. `file`: the render process reads it, so that the server need not hold it. */
export type VerifyBody =
  | { readonly kind: "buffer"; readonly buffer: Buffer }
  | { readonly kind: "file"; readonly path: string };

/** Of rows that are decoded, so many become one: few are in memory at once. */
const COARSE = 32;
/** Of a file; a camera's padding is far less, the rest of lost pixels far more. */
const MOST_PADDING = 1 / 16;

/** Throws image_not_processable (also kinds that have no decoder here), image_too_large, image_too_heavy. */
export async function verifyDecodable(bytes: Buffer, limits: SourceLimits): Promise<void> {
  const facts = readSource(bytes, limits);
  try {
    if (facts.format === "bmp") {
      readBmp(bytes);
      return;
    }
    const [warning] = isLenient(facts) ? await decode(bytes, facts, "warning").then(() => [], messageOf) : [];
    if (warning !== undefined && hasLostPixels(warning, bytes.length)) throw new Error(warning);
    if (warning !== undefined || !isLenient(facts)) await decode(bytes, facts, "error");
  } catch (error) {
    throw translated(error);
  }
}

/** Their decoders make pixels of anything, and warn of it, as of much that is harmless. */
function isLenient({ format }: RasterFacts): boolean {
  return format === "jpeg" || format === "gif";
}

async function decode(
  file: Buffer,
  { format, width, height, frames }: RasterFacts,
  failOn: "warning" | "error",
): Promise<void> {
  const { bytes, firstPage } = readableFile(file, format);
  await sharp(bytes, { failOn, page: firstPage, sequentialRead: true, limitInputPixels: false, animated: frames > 1 })
    .resize(Math.ceil(width / COARSE), Math.ceil(height / COARSE), { fit: "fill" })
    .raw()
    .toBuffer();
}

function messageOf(error: unknown): [string] {
  return [error instanceof Error ? error.message : String(error)];
}

function hasLostPixels(warning: string, size: number): boolean {
  if (/premature end of data segment|bad (?:Huffman|arithmetic) code|Invalid frame data/i.test(warning)) return true;
  const padding = /(\d+) extraneous bytes/.exec(warning);
  return padding !== null && Number(padding[1]) > size * MOST_PADDING;
}
