// Renders rows of a manual's table and tells size, format and place of the result, or the refused parameter. The test
// picture tells of each pixel where it was. For tests only.
import sharp from "sharp";
import { HuiyuanError } from "../../src/core/errors.ts";
import type { Era } from "../../src/serve/image/grammar/recipe.ts";
import { type RenderOptions, renderText, solid, WHITE } from "./rendering.ts";

/**
 * The instruction, the expected result, its source, and the source picture in place of a PNG of 640×427. The result:
 * `300x200 png @30,100` (the upper left corner lies at 30,100 of the source, unscaled), `300x200 jpeg`, `the source`,
 * the extent of a watermark on a white picture (`mark 20x10 @30,40`, `no mark`), JSON, or the refused parameter after
 * `400`.
 */
export type Row = readonly [instruction: string, expected: string, from: string, source?: string];

/** A picture whose red and green tell the place coarsely, and whose blue tells it exactly if it is not scaled. */
async function mapPicture(width: number, height: number, format: string): Promise<Buffer> {
  const data = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1)
      data.set(
        [(x * 255) / (width - 1), (y * 255) / (height - 1), (x % 16) * 16 + (y % 16)].map(Math.round),
        (y * width + x) * 3,
      );
  const [name = "png", quality] = format.split("-");
  const picture = sharp(data, { raw: { width, height, channels: 3 } });
  if (name === "white") return solid(width, height, WHITE).png().toBuffer();
  if (name === "turned") return picture.withMetadata({ orientation: 6 }).jpeg({ quality: 90 }).toBuffer();
  return picture.toFormat(name as "png", quality === undefined ? {} : { quality: Number(quality) }).toBuffer();
}

/** `640x427 png` → such a picture; made once each. */
function pictureOf(name: string): Promise<Buffer> {
  const [size = "", format = "png"] = name.split(" ");
  const [width = 0, height = 0] = size.split("x").map(Number);
  const made = PICTURES.get(name) ?? mapPicture(width, height, format);
  PICTURES.set(name, made);
  return made;
}
const PICTURES = new Map<string, Promise<Buffer>>();

/** The result of the instruction in the words of a row; `expected` tells whether a place is wanted. */
export async function resultOf(
  [instruction, expected, , source = "640x427 png"]: Row,
  era: Era,
  watermarks: RenderOptions["watermarks"] = {},
): Promise<string> {
  const file = await pictureOf(source);
  try {
    const rendered = await renderText(file, instruction, { era, watermarks });
    const { bytes } = rendered;
    if (rendered.mediaType === "application/json") return bytes.toString();
    if (expected === "the source" && bytes.equals(file)) return expected;
    if (expected.includes("mark")) return await markOf(bytes);
    const { image } = rendered;
    const { width, height } = image.format === "bmp" ? bmpSize(bytes) : await sharp(bytes).metadata();
    const size = `${width}x${height} ${image.format}`;
    return expected.includes("@") ? `${size} @${await placeOf(bytes, source)}` : size;
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    return `400 ${error.parameter ?? error.code}`;
  }
}

function bmpSize(bytes: Buffer): { readonly width: number; readonly height: number } {
  return { width: bytes.readInt32LE(18), height: Math.abs(bytes.readInt32LE(22)) };
}

/** Extent of the pixels that are not white. */
async function markOf(bytes: Buffer): Promise<string> {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  let [left, top, right, bottom] = [info.width, info.height, -1, -1];
  for (let at = 0; at < data.length; at += 3) {
    if (Math.min(...data.subarray(at, at + 3)) > 240) continue;
    const [x, y] = [(at / 3) % info.width, Math.floor(at / 3 / info.width)];
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  return right < 0 ? "no mark" : `mark ${right - left + 1}x${bottom - top + 1} @${left},${top}`;
}

/** The place in the source of the first pixel. */
async function placeOf(bytes: Buffer, source: string): Promise<string> {
  const data = await sharp(bytes).raw().toBuffer();
  const [width = 0, height = 0] = source.split(/[x ]/).map(Number);
  const fine = data[2] ?? 0;
  const exact = (coarse: number, length: number, low: number) => {
    const near = (coarse * (length - 1)) / 255;
    return Math.round((near - low) / 16) * 16 + low;
  };
  const x = exact(data[0] ?? 0, width, fine >> 4);
  const y = exact(data[1] ?? 0, height, fine & 15);
  return `${x},${y}`;
}
