// The photograph that thumbnails are made of: 2000×1500 pixels with the detail and the grain of one, the same on every run.
import sharp from "sharp";
import { makeSamplePictures } from "../../src/image/sample-pictures.ts";
import { createRandom } from "../../src/image/scenes/brush.ts";
import { finishPixels } from "../../src/image/scenes/texture.ts";

const [WIDTH, HEIGHT] = [2000, 1500];
const GRAIN = { grain: 7, vignette: 0 };

/** A JPEG of quality 85, about a megabyte. Takes a few seconds. */
export async function photograph(): Promise<Buffer> {
  const pond = (await makeSamplePictures()).find(({ name }) => name === "lotus-pond.jpg");
  if (pond === undefined) throw new Error("Cannot draw the photograph: the sample picture has gone");
  const pixels = await sharp(pond.bytes).resize(WIDTH, HEIGHT, { kernel: "lanczos3" }).raw().toBuffer();
  // Enlarged pictures are smoother than photographs are.
  finishPixels({ pixels, width: WIDTH, height: HEIGHT }, GRAIN, createRandom(1));
  return sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}
