// Where an image draws the eye, by libvips' own search.
import sharp, { type Sharp } from "sharp";
import type { Size } from "../geometry/geometry.ts";

/**
 * The middle of the part of the scaled image that draws the eye, in pixels of that; nothing is scaled for it. `image`: opened
 * for this alone, and spent.
 */
export async function attentionPoint(
  { image, size }: { readonly image: Sharp; readonly size: Size },
  scaled: Size,
  part: Size,
): Promise<{ readonly x: number; readonly y: number }> {
  const [across, down] = [scaled.width / size.width, scaled.height / size.height];
  const [width, height] = [Math.ceil(part.width / across), Math.ceil(part.height / down)];
  const cropped = image.resize(width, height, { fit: "cover", position: sharp.strategy.attention }).raw();
  const { info } = await cropped.toBuffer({ resolveWithObject: true });
  // Nothing is told where all of it is kept.
  const { attentionX = (size.width - 1) / 2, attentionY = (size.height - 1) / 2 } = info;
  return { x: (attentionX + 0.5) * across, y: (attentionY + 0.5) * down };
}
