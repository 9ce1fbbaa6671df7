// How the bare servers of the bench write what they have scaled: as Huiyuan does, so that all make the same bytes' worth.
import type { Sharp } from "sharp";

const WRITE = {
  jpeg: (image: Sharp, quality: number) => image.jpeg({ quality }),
  webp: (image: Sharp, quality: number) => image.webp({ quality, effort: 2 }),
  avif: (image: Sharp, quality: number) => image.avif({ quality, effort: 2 }),
};

/** `path`: /<width>/<quality>/<format>, as the bench asks. */
export function readPath(path = "") {
  const [, width, quality, format = "jpeg"] = path.split("/");
  return { width: Number(width), quality: Number(quality), format: format as keyof typeof WRITE };
}

export function written(image: Sharp, { quality, format }: ReturnType<typeof readPath>): Promise<Buffer> {
  return WRITE[format](image, quality).toBuffer();
}
