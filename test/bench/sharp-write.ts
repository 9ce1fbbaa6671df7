// Encodes scaled images for the bench's bare servers with Huiyuan's settings, so that all servers do the same work.
import type { Sharp } from "sharp";

const WRITE = {
  jpeg: (image: Sharp, quality: number) => image.jpeg({ quality }),
  webp: (image: Sharp, quality: number) => image.webp({ quality, effort: 2 }),
  avif: (image: Sharp, quality: number) => image.avif({ quality, effort: 2 }),
};

/** Parses a bench path: /<width>/<quality>/<format>. */
export function readPath(path = "") {
  const [, width, quality, format = "jpeg"] = path.split("/");
  return { width: Number(width), quality: Number(quality), format: format as keyof typeof WRITE };
}

export function written(image: Sharp, { quality, format }: ReturnType<typeof readPath>): Promise<Buffer> {
  return WRITE[format](image, quality).toBuffer();
}
