// Finds the point of attention of an image by the search of libvips. It crops and scales nothing itself.
import sharp, { type Sharp } from "sharp";
import type { Size } from "../geometry/geometry.ts";

/**
 * The centre of the most interesting part of the scaled image, in pixels of the scaled image. The search runs on the
 * unscaled one. `image` must be opened for this call, which consumes it.
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
  // libvips reports no point if the part is the whole image.
  const { attentionX = (size.width - 1) / 2, attentionY = (size.height - 1) / 2 } = info;
  return { x: (attentionX + 0.5) * across, y: (attentionY + 0.5) * down };
}
