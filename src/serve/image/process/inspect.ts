// Makes the JSON answers of imageInfo, exif and imageAve in the documented form: every value of imageInfo is a string.
// It also verifies that an upload can be decoded. It decodes only for that, and for average colours.
import { createHash } from "node:crypto";
import sharp, { type Sharp } from "sharp";
import { readBmp } from "../formats/bmp.ts";
import { readExif } from "../formats/exif.ts";
import type { RasterFacts } from "../formats/loaders.ts";
import { readableFile } from "../formats/readable-file.ts";
import type { Inspection } from "../grammar/recipe.ts";

/** An encoded image and its facts. */
export interface Inspected extends RasterFacts {
  readonly bytes: Buffer;
  readonly exif: Buffer | undefined;
}

/**
 * Longest side of the reduced image that is averaged. Not proportional: a thin image would be left with a row or two.
 */
const SAMPLED_SIDE = 64;

/** `open` opens the pixels for sharp, also of formats that sharp cannot read; called only if pixels are needed. */
export async function inspect(inspection: Inspection, image: Inspected, open: () => Sharp): Promise<string> {
  switch (inspection) {
    case "decodable":
      await verifyDecodable(image.bytes, image);
      return "";
    case "exif":
      return JSON.stringify((image.exif && readExif(image.exif)) ?? { error: "no exif data" });
    case "imageAve":
      return JSON.stringify({ RGB: await averageColour(open(), image) });
    case "numericInfo":
      return JSON.stringify(await numericInfo(image, open()));
    case "imageInfo":
      return JSON.stringify({
        format: image.format,
        width: String(image.width),
        height: String(image.height),
        size: String(image.bytes.length),
        md5: createHash("md5").update(image.bytes).digest("hex"),
        frame_count: String(image.frames),
        photo_rgb: await averageColour(open(), image),
      });
  }
}

/** As Qiniu answers; `frameNumber` for a GIF only, `orientation` if the file tells it. */
async function numericInfo({ bytes, format, width, height, frames }: Inspected, opened: Sharp): Promise<object> {
  const { channels = 3, hasAlpha, orientation } = await opened.metadata();
  const isPhoto = format === "jpeg" || format === "webp" || format === "avif";
  const colours = hasAlpha ? "nrgba" : isPhoto ? "ycbcr" : "rgba";
  const other = format === "gif" ? "palette256" : channels < 3 ? "gray" : undefined;
  return {
    ...{ size: bytes.length, format, width, height },
    colorModel: other ?? (format === "jpeg" && channels > 3 ? "cmyk" : colours),
    ...(orientation !== undefined && { orientation: ORIENTATIONS[orientation - 1] }),
    ...(format === "gif" && { frameNumber: frames }),
  };
}

/** EXIF 1–8. */
const ORIENTATIONS = "Top-left Top-right Bottom-right Bottom-left Left-top Right-top Right-bottom Left-bottom".split(
  " ",
);

/** The average colour of the first frame on white, as `0xrrggbb`. */
async function averageColour(image: Sharp, { width, height }: Pick<Inspected, "width" | "height">): Promise<string> {
  const data = await image
    .flatten({ background: "#ffffff" })
    .resize(Math.min(SAMPLED_SIDE, width), Math.min(SAMPLED_SIDE, height), { fit: "fill" })
    .toColourspace("srgb")
    .raw()
    .toBuffer();
  const sums = [0, 0, 0];
  for (const [at, value] of data.entries()) sums[at % 3]! += value;
  const pixels = data.length / 3;
  const hex = sums.map((sum) =>
    Math.round(sum / pixels)
      .toString(16)
      .padStart(2, "0"),
  );
  return `0x${hex.join("")}`;
}

/** Decoded rows and columns that are reduced to one, so that few rows are in memory at once. */
const COARSE = 32;
/** Share of a file that may be padding. The padding of cameras is far less, and bytes of lost pixels are far more. */
const MOST_PADDING = 1 / 16;

/** Throws image_not_processable, and errors of libvips. */
async function verifyDecodable(bytes: Buffer, facts: RasterFacts): Promise<void> {
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
  const open = { failOn, sequentialRead: true, limitInputPixels: false, animated: frames > 1 } as const;
  await sharp(readableFile(file, format), open)
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
