// Verifies that an image can be decoded from its first to its last pixel: it decodes all of them as coarsely as the
// decoder can, and drops them. It runs in a render process.
import sharp from "sharp";
import { readBmp } from "../formats/bmp.ts";
import type { RasterFacts } from "../formats/loaders.ts";
import { readableFile } from "../formats/readable-file.ts";

/** Decoded rows and columns that are reduced to one, so that few rows are in memory at once. */
const COARSE = 32;
/** Share of a file that may be padding. The padding of cameras is far less, and bytes of lost pixels are far more. */
const MOST_PADDING = 1 / 16;

/** Throws image_not_processable, and errors of libvips. */
export async function verifyDecodable(bytes: Buffer, facts: RasterFacts): Promise<void> {
  if (facts.format === "bmp") return void readBmp(bytes);
  const [warning] = isLenient(facts) ? await decode(bytes, facts, "warning").then(() => [], messageOf) : [];
  if (warning !== undefined && hasLostPixels(warning, bytes.length)) throw new Error(warning);
  if (warning !== undefined || !isLenient(facts)) await decode(bytes, facts, "error");
}

/** Decoders of these formats make pixels of any bytes and only warn, and they warn about harmless things, too. */
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
