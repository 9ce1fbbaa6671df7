// Makes the JSON answers of imageInfo, exif and imageAve in the documented form: every value of imageInfo is a string.
// It decodes only for average colours, and to verify an upload.
import { createHash } from "node:crypto";
import type { Sharp } from "sharp";
import { readExif } from "../formats/exif.ts";
import type { Inspection, OutputFormat } from "../grammar/recipe.ts";
import { verifyDecodable } from "./verify-decodable.ts";

/** An encoded image and its facts. Sides in pixels, as stored. */
export interface Inspected {
  readonly bytes: Buffer;
  readonly format: OutputFormat;
  readonly width: number;
  readonly height: number;
  readonly frames: number;
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

/** The average colour of the first frame on white, as `0xrrggbb`. */
async function averageColour(image: Sharp, { width, height }: Pick<Inspected, "width" | "height">): Promise<string> {
  const { data, info } = await image
    .flatten({ background: "#ffffff" })
    .resize(Math.min(SAMPLED_SIDE, width), Math.min(SAMPLED_SIDE, height), { fit: "fill" })
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  const sums = [0, 0, 0];
  for (let at = 0; at < data.length; at += info.channels)
    for (let channel = 0; channel < 3; channel += 1)
      // A grey image has one channel.
      sums[channel]! += data[at + Math.min(channel, info.channels - 1)]!;
  const pixels = data.length / info.channels;
  const hex = sums.map((sum) =>
    Math.round(sum / pixels)
      .toString(16)
      .padStart(2, "0"),
  );
  return `0x${hex.join("")}`;
}
