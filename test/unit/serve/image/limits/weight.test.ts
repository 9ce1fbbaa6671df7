import { describe, expect, test } from "vitest";
import type { RasterFacts } from "../../../../../src/serve/image/formats/loaders.ts";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import { bytesToHold, bytesToRender } from "../../../../../src/serve/image/limits/weight.ts";
import { b64 } from "../../../../helpers/rendering.ts";

const MEGA = 1_000_000;
const photo: RasterFacts = { format: "jpeg", width: 4000, height: 3000, frames: 1 };
const clear: RasterFacts = { ...photo, format: "png" };
/** A JPEG whose coefficients stay in memory until the last scan is read. */
const scans = (coefficientBytes: number): RasterFacts => ({ ...photo, coefficientBytes });
const film: RasterFacts = { format: "gif", width: 500, height: 400, frames: 100 };
const tiny: RasterFacts = { format: "png", width: 1, height: 1, frames: 1 };

const recipeOf = (text: string) => parseInstruction(text, { era: 2015 });
/** The recipe's own bytes in MB. */
const weigh = (facts: RasterFacts, text: string) => bytesToRender(facts, recipeOf(text)) / MEGA;

describe("bytesToRender() covers the measured bytes a pixel", () => {
  // The measured peaks of docs/internals/performance-record.md.
  test.each([
    [photo, "imageView2/2/w/300", 0.6],
    [scans(3), "imageView2/2/w/300", 3.4],
    [scans(6), "imageView2/2/w/300", 6.4],
    [scans(8), "imageView2/2/w/300", 8.7],
    [{ ...photo, format: "avif" }, "imageView2/2/w/300", 20],
    [photo, "imageView2/2/q/50", 1.2],
    [photo, "imageMogr2/interlace/1", 7],
    [scans(3), "imageMogr2/interlace/1", 10],
    [scans(6), "imageMogr2/format/yjpeg", 13],
    [scans(8), "imageMogr2/interlace/1", 15.6],
    [scans(6), "imageMogr2/format/webp", 11.5],
    [scans(6), "imageMogr2/format/avif", 27],
    [photo, "imageMogr2/format/webp", 5.7],
    [photo, "imageMogr2/format/png", 2.8],
    [photo, "imageMogr2/format/bmp", 6.8],
    [photo, "imageMogr2/format/gif", 14.5],
    [photo, "imageMogr2/format/avif", 22],
    [photo, "imageMogr2/blur/3x5", 4],
    [photo, "imageMogr2/rotate/90", 6.7],
    [scans(6), "imageMogr2/rotate/90", 9.8],
    [scans(8), "imageMogr2/blur/3x5", 12.2],
    [photo, "imageMogr2/rotate/90/rotate/90", 10.4],
    [clear, "imageMogr2/rotate/90/rotate/90", 13],
    [clear, "imageMogr2/sharpen/70", 2.3],
  ] as const)("%o by %s: %d", (facts, text, measured) => {
    const perPixel = bytesToRender(facts, recipeOf(text)) / (facts.width * facts.height);
    expect(perPixel).toBeGreaterThanOrEqual(measured);
  });
});

test.each([
  "imageView2/2/w/300",
  "imageMogr2/auto-orient/thumbnail/300x300/format/auto",
  "imageMogr2/crop/!300x300a10a10/rotate/30",
  "imageInfo",
  "imageView2/2/w/300|watermark/2/text/aGk",
])("bytesToRender() of %s is that of decoding", (text) => {
  expect(weigh(photo, text)).toBeCloseTo(4 * 12, 0);
});

describe("bytesToRender() counts", () => {
  const text = (characters: number, look: string) => `watermark/2/text/${b64("字".repeat(characters))}${look}`;
  test.each([
    ["all frames", film, "imageView2/2/w/50", 160],
    ["one frame for a format without animation", film, "imageView2/2/w/50/format/jpg", 80],
    ["transparency for WebP", clear, "imageMogr2/format/webp", 24 * 12],
    ["added transparency", photo, "imageMogr2/rradius/10/format/webp", 24 * 12],
    ["an enlarged size", tiny, "imageMogr2/thumbnail/5000x5000!", 200],
    ["an enlarged size that is reduced again", tiny, "imageMogr2/thumbnail/5000x5000!/thumbnail/9x9", 200],
    ["an enlarged stripe without the rest", tiny, "imageMogr2/scrop/9999x11", 0.8],
    ["a size before a text", photo, `${text(10, "/fontsize/400")}|imageView2/2/w/9`, 96],
    ["a text that is set", tiny, text(10, "/fontsize/100"), 1.2],
    ["a text that is turned", tiny, text(20, "/fontsize/200/degree/45/batch/1"), 5 * 9.2],
    ["the visible part of each text", photo, `${text(10, "/fontsize/400")}|${text(10, "/fontsize/400")}`, 96 + 19],
  ])("%s", (_what, facts, instruction, wanted) => {
    expect(weigh(facts, instruction)).toBeGreaterThanOrEqual(wanted * 0.99);
    expect(weigh(facts, instruction)).toBeLessThan(wanted * 2);
  });
});

describe("bytesToRender() adds an image watermark", () => {
  const URL = "http://h/m.png";
  const png = (width: number, height: number): RasterFacts => ({ format: "png", width, height, frames: 1 });
  const added = (mark: RasterFacts, image: RasterFacts, look: string, before = "") => {
    const recipe = recipeOf(`${before}watermark/1/image/${b64(URL)}${look}`);
    return (bytesToRender(image, recipe, new Map([[URL, mark]])) - bytesToRender(image, recipe)) / MEGA;
  };
  const WHOLE = "/scatype/1/spcent/1000";
  test.each([
    ["as it is", png(1000, 1000), photo, "", 4 + 4],
    ["turned", png(1000, 1000), png(1000, 1000), "/degree/90/batch/1", 4 + 4 + 4],
    ["scaled", png(100, 100), photo, WHOLE, 64 + 48],
    ["to the limit", png(5000, 5000), png(3999, 1), `/degree/45/batch/1${WHOLE}`, 100 + 64 + 128],
    ["that may be stored on its side", png(1000, 500), png(1000, 1000), WHOLE, 2 + 4 * 2],
    ["over an image that may be stored on its side", png(10, 10), png(10, 2000), WHOLE, 4 * 4],
    ["over an image turned later", png(10, 10), tiny, WHOLE, 4 * 4, "imageMogr2/thumbnail/10x2000!/auto-orient|"],
  ])("%s", (_what, mark, image, look, wanted, before = "") => {
    expect(added(mark, image, look, before)).toBeGreaterThanOrEqual(wanted * 0.99);
    expect(added(mark, image, look, before)).toBeLessThan(wanted * 2 + 1);
  });
});

test("bytesToHold() counts a file and the copies that decoders make", () => {
  expect(bytesToHold(15 * MEGA)).toBe(60 * MEGA);
});
