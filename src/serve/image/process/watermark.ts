// Makes watermarks and lays them on a canvas, once or as tiles: a text set by pango, or an image of the bucket, scaled,
// turned, faded and with a shadow. The caller loads the bytes of an image.
import sharp, { type Sharp } from "sharp";
import { HuiyuanError } from "../../../core/errors.ts";
import { sniff } from "../../body/formats/sniff.ts";
import { readBmp } from "../formats/bmp.ts";
import { readableFile, refuseCroppedGif } from "../formats/readable-file.ts";
import { type Size, watermarkPosition, watermarkSize } from "../geometry/geometry.ts";
import {
  laidSize,
  MAX_WATERMARK_PIXELS,
  refuseLargeText,
  refuseLargeWatermark,
  tileSize,
  tooLargeText,
} from "../geometry/watermark-size.ts";
import { type Recipe, type StepOf, WATERMARK_PARAMETER } from "../grammar/recipe.ts";
import { allocatePixels } from "../pixels/memory.ts";
import { cutOut, fade, type Overlay, withReadableProfile } from "../pixels/pixels.ts";
import type { Canvas } from "./canvas-shape.ts";

type TextWatermark = StepOf<"textMark">;
type ImageWatermark = StepOf<"imageMark">;

/** At this resolution a point is a pixel. */
const DOTS_PER_INCH = 72;

/** Lays a text watermark. Throws processing_invalid: nothing to draw, or too large. */
export async function layText(canvas: Canvas, step: TextWatermark): Promise<void> {
  const draw = async (fontSize: number, isScaled: boolean) => {
    const text = await drawText(step, fontSize, isScaled);
    return step.shadow > 0 ? withShadow(text, step.shadow, fontSize) : text;
  };
  let watermark = await draw(step.fontSize, false);
  if (step.scale !== undefined) {
    const wanted = watermarkSize(canvas.size, watermark, step.scale);
    refuseLargeWatermark(wanted, step);
    // Set again at the final size, because enlarged letters are blurred.
    const fontSize = Math.max(1, Math.round((step.fontSize * wanted.width) / watermark.width));
    watermark = await resized(await draw(fontSize, true), wanted);
  }
  refuseLargeWatermark(watermark, step);
  await lay(canvas, watermark, step, step.spacing);
}

/** Renders the file of a watermark by its own recipe. */
export type MarkRenderer = (bytes: Buffer, recipe: Recipe) => Promise<Buffer>;

/**
 * Lays an image watermark. `bytes`: its file, whose limits were checked. Throws processing_invalid: too large or not
 * decodable.
 */
export async function layImage(
  canvas: Canvas,
  step: ImageWatermark,
  bytes: Buffer,
  renderMark: MarkRenderer,
): Promise<void> {
  const file = step.recipe === undefined ? bytes : await renderMark(bytes, step.recipe).catch(refuseMark(step.url));
  await lay(canvas, await atLaidSize(canvas.size, step, file), step, 0);
}

/** A function of its own, so that the decoded watermark becomes garbage when it returns. */
async function atLaidSize(image: Size, step: ImageWatermark, bytes: Buffer): Promise<Overlay> {
  const watermark = await decoded(bytes, step.url);
  const laid = laidSize(image, watermark, step);
  refuseLargeWatermark(laid, step);
  return resized(watermark, laid);
}

/** Consumes the watermark: its pixels are changed in place. */
async function lay(
  canvas: Canvas,
  watermark: Overlay,
  step: TextWatermark | ImageWatermark,
  gapPerCent: number,
): Promise<void> {
  fade(watermark, step.opacity);
  const turned = step.degrees === 0 ? watermark : await toOverlay(fromOverlay(watermark).rotate(step.degrees, CLEAR));
  const { width, height } = canvas.size;
  if (!step.isTiled) {
    if (step.oversize === "omit" && (turned.width > width || turned.height > height)) return;
    return canvas.lay(turned, watermarkPosition(canvas.size, turned, step));
  }
  const { dx, dy } = step;
  const cell = step.name === "textMark" ? step.cell : undefined;
  const tile =
    cell === undefined
      ? tileSize(canvas.size, turned, { dx, dy, gapPerCent })
      : { width: Math.min(cell.width, width), height: Math.min(cell.height, height) };
  const seen = { width: Math.min(tile.width, turned.width), height: Math.min(tile.height, turned.height) };
  const shown = fromOverlay(cutOut(turned, { left: 0, top: 0, ...seen }));
  const gaps = { right: tile.width - seen.width, bottom: tile.height - seen.height };
  await canvas.tile(await toOverlay(shown.extend({ ...gaps, ...CLEAR })));
}

/**
 * Throws processing_invalid, which names the parameter that makes the text too large: for a scaled text
 * `watermark/spcent`.
 */
async function drawText(step: TextWatermark, fontSize: number, isScaled: boolean): Promise<Overlay> {
  const sizedBy = isScaled ? "watermark/spcent" : "watermark/fontsize";
  // One line, because its size is computed for one: line and paragraph separators would break it as line feeds do.
  const text = step.text.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+/gu, " ");
  refuseLargeText(text, fontSize, sizedBy);
  const markup = `<span foreground="${step.colour}">${escapeMarkup(text)}</span>`;
  const options = { text: markup, font: `${step.family} ${fontSize}`, dpi: DOTS_PER_INCH, rgba: true };
  try {
    return await toOverlay(sharp({ text: options }));
  } catch (error) {
    // Cairo draws at most 32767 pixels across.
    if (String(error).includes("too big")) throw tooLargeText(text, fontSize, sizedBy, error);
    // The text has only blanks, or characters without a glyph.
    const details = { parameter: "watermark/text", wanted: "letters that can be seen", cause: error };
    throw new HuiyuanError("processing_invalid", "Cannot make a watermark: there is nothing to draw", details);
  }
}

/** Escapes text for pango's markup, so that `<b>` is printed as `<b>`. */
function escapeMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

async function decoded(file: Buffer, url: string): Promise<Overlay> {
  try {
    const bytes = readableFile(file, sniff(file.subarray(0, 64)));
    if (bytes.toString("latin1", 0, 2) === "BM") {
      const { data, width, height, channels } = readBmp(bytes);
      return await toOverlay(sharp(data, { raw: { width, height, channels } }));
    }
    const open = { limitInputPixels: MAX_WATERMARK_PIXELS, failOn: "error" } as const;
    const metadata = await sharp(bytes, open).metadata();
    refuseCroppedGif(bytes, metadata);
    return await toOverlay(sharp(await withReadableProfile(bytes, metadata), open).autoOrient());
  } catch (error) {
    return refuseMark(url)(error);
  }
}

/** Returns an error handler that always throws. */
function refuseMark(url: string): (cause: unknown) => never {
  return (cause) => {
    const wanted = "an image of this bucket that can be decoded";
    const message = `Cannot lay "${url}" over the image: it cannot be decoded`;
    throw new HuiyuanError("processing_invalid", message, { parameter: WATERMARK_PARAMETER, wanted, cause });
  };
}

async function resized(watermark: Overlay, size: Size): Promise<Overlay> {
  if (watermark.width === size.width && watermark.height === size.height) return watermark;
  return toOverlay(fromOverlay(watermark).resize(size.width, size.height, { fit: "fill" }));
}

const CLEAR = { background: { r: 0, g: 0, b: 0, alpha: 0 } } as const;

function fromOverlay({ data, width, height }: Overlay): Sharp {
  return sharp(data, { raw: { width, height, channels: 4 } });
}

async function toOverlay(image: Sharp): Promise<Overlay> {
  const { data, info } = await image.toColourspace("srgb").ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** Puts a soft black copy behind the watermark, a twentieth of the font size to the lower right. */
async function withShadow(watermark: Overlay, perCent: number, fontSize: number): Promise<Overlay> {
  const distance = Math.max(1, Math.round(fontSize / 20));
  const [near, far] = [distance, distance * 2];
  const dark = { ...watermark, data: allocatePixels(watermark.data.length).fill(0) };
  for (let at = 3; at < dark.data.length; at += 4) dark.data[at] = watermark.data[at]!;
  fade(dark, perCent);
  const shadow = fromOverlay(dark).extend({ top: near, left: near, bottom: far, right: far, ...CLEAR });
  const { width, height } = watermark;
  const above = { input: watermark.data, raw: { width, height, channels: 4 }, left: 0, top: 0 } as const;
  return toOverlay(shadow.blur(0.3 + distance / 2).composite([above]));
}
