// Draws the shadow behind a text watermark. The shadow is black, so only its opacity, a single channel, is blurred.
import sharp from "sharp";
import { allocatePixels } from "../pixels/memory.ts";
import type { Overlay } from "../pixels/pixels.ts";

/** Puts a soft black copy behind the watermark, a twentieth of the font size to the lower right. */
export async function withShadow(watermark: Overlay, perCent: number, fontSize: number): Promise<Overlay> {
  const distance = Math.max(1, Math.round(fontSize / 20));
  const width = watermark.width + distance * 3;
  const height = watermark.height + distance * 3;
  const data = allocatePixels(width * height * 4);
  const dark = await blurred(silhouette(watermark, perCent), watermark, distance);
  for (let y = 0, at = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1, at += 4) {
      const from = x < watermark.width && y < watermark.height ? (y * watermark.width + x) * 4 : -1;
      const opacity = from === -1 ? 0 : watermark.data[from + 3]!;
      // The watermark composed over black.
      const both = opacity + (dark[at / 4]! * (255 - opacity)) / 255;
      data[at + 3] = Math.round(both);
      for (let channel = 0; channel < 3; channel += 1)
        data[at + channel] = opacity === 0 ? 0 : Math.round((watermark.data[from + channel]! * opacity) / both);
    }
  return { data, width, height };
}

/** The opacity of each pixel, reduced to this percentage. */
function silhouette({ data, width, height }: Overlay, perCent: number): Buffer {
  const opacity = allocatePixels(width * height);
  for (let at = 0; at < opacity.length; at += 1) opacity[at] = Math.round((data[at * 4 + 3]! * perCent) / 100);
  return opacity;
}

/** The blurred opacity, moved to the lower right, with space for the blur around it. */
async function blurred(opacity: Buffer, { width, height }: Overlay, distance: number): Promise<Buffer> {
  const [near, far] = [distance, distance * 2];
  return sharp(opacity, { raw: { width, height, channels: 1 } })
    .extend({ top: near, left: near, bottom: far, right: far, background: "#000000" })
    .blur(0.3 + distance / 2)
    .toColourspace("b-w")
    .raw()
    .toBuffer();
}
