// The source photograph of the thumbnail bench: 2000×1500 pixels with realistic detail and grain, the same on every
// run.
import sharp from "sharp";
import { readSamplePictures } from "../../src/operate/trial/run/sample-site.ts";
import { createDice } from "../fault/proxy.ts";

const [WIDTH, HEIGHT] = [2000, 1500];
/** Maximum change of a channel, 0–255. */
const GRAIN = 7;
const GRAINS = 8192;

/** Returns a JPEG of quality 85, about 370 kB. It takes about a second. */
export async function photograph(): Promise<Buffer> {
  const pond = (await readSamplePictures()).find(({ name }) => name === "lotus-pond.jpg");
  if (pond === undefined) throw new Error("Cannot make the photograph: the sample picture lotus-pond.jpg is missing");
  const pixels = await sharp(pond.bytes).resize(WIDTH, HEIGHT, { kernel: "lanczos3" }).raw().toBuffer();
  // Without grain, an enlarged picture would be smoother than a photograph.
  addGrain(pixels);
  return sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}

/** Adds grain to RGB pixels in place, the same grain on every run. */
function addGrain(pixels: Uint8Array): void {
  const dice = createDice(1);
  // Reading a table from a random offset per line costs a tenth of computing each grain.
  const table = Float32Array.from({ length: GRAINS }, () => (dice() + dice() - 1) * GRAIN);
  for (let row = 0; row < HEIGHT; row += 1) {
    let at = Math.floor(dice() * GRAINS);
    for (let column = 0; column < WIDTH; column += 1) {
      const grain = table[at++ % GRAINS] ?? 0;
      const offset = (row * WIDTH + column) * 3;
      for (let channel = offset; channel < offset + 3; channel += 1) {
        pixels[channel] = Math.min(Math.max((pixels[channel] ?? 0) + grain + 0.5, 0), 255);
      }
    }
  }
}
