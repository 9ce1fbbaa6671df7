import { describe, expect, test } from "vitest";
import type { RasterFacts, WeighedFacts } from "../../../../src/image/formats/loaders.ts";
import { runScan } from "../../../../src/image/formats/yielding-scan.ts";
import { parseInstruction } from "../../../../src/image/grammar/grammar.ts";
import {
  bytesToDecode,
  bytesToHold,
  bytesToLay,
  bytesToRender,
  heldImage,
} from "../../../../src/image/limits/weight.ts";
import { b64 } from "../../../helpers/rendering.ts";

const MEGA = 1_000_000;
const photo: RasterFacts = { format: "jpeg", width: 4000, height: 3000, frames: 1 };
const clear: RasterFacts = { ...photo, format: "png" };
const tiny: RasterFacts = { format: "png", width: 1, height: 1, frames: 1 };
/** A JPEG whose coefficients stay in memory until the last scan is read. */
const scans = (coefficientBytes: number): WeighedFacts => ({ ...photo, coefficientBytes });
const film: RasterFacts = { format: "gif", width: 500, height: 400, frames: 100 };

function weigh(facts: WeighedFacts, text: string): number {
  return bytesToRender(facts, parseInstruction(text, { era: 2015 })) / MEGA;
}

const WATERMARK_URL = "http://h/m.png";
const watermark = (look: string, url = WATERMARK_URL) => `watermark/1/image/${b64(url)}${look}`;

function weighWatermark(
  facts: RasterFacts,
  image: RasterFacts,
  text: string,
  signs: readonly [string?, string?] = [],
): number {
  const [ofWatermark = "", ofImage = ""] = signs;
  const recipe = parseInstruction(text, { era: 2015 });
  const held = runScan(heldImage(facts, Buffer.from(ofWatermark)));
  return bytesToLay(held, WATERMARK_URL, runScan(heldImage(image, Buffer.from(ofImage))), recipe) / MEGA;
}

const png = (width: number, height: number): RasterFacts => ({ format: "png", width, height, frames: 1 });
const turnedBytes = (width: number, height: number) => 4 * ((width + height) / Math.SQRT2) ** 2 * 1e-6;

describe("bytesToLay()", () => {
  test.each([
    [photo, photo, watermark(""), 48],
    // A turned watermark is in memory twice.
    [photo, photo, watermark("/degree/90"), 48 + 48],
    [photo, photo, watermark("/degree/45"), 48 + turnedBytes(4000, 3000)],
    // So is a scaled one.
    [photo, photo, watermark("/scatype/1/spcent/1000"), 48],
    [png(100, 100), photo, watermark("/scatype/1/spcent/1000"), 64],
    [photo, photo, watermark("/degree/45/blogo/1"), 48 + 17.6 + turnedBytes(2424, 1818)],
    [photo, photo, watermark("/degree/45/scatype/1/spcent/100"), 48 + 0.5 + turnedBytes(400, 300)],
    [png(40, 30), photo, watermark("/degree/45/scatype/1/spcent/1000"), 48 + turnedBytes(4000, 3000)],
    [png(40, 30), photo, watermark("/degree/45/scatype/1/spcent/1000/blogo/1"), 17.6 + turnedBytes(2424, 1818)],
    // The size of the image at that step counts.
    [
      png(40, 30),
      photo,
      `imageMogr2/thumbnail/400x|${watermark("/degree/45/scatype/1/spcent/1000")}`,
      0.5 + turnedBytes(400, 300),
    ],
    [png(40, 30), tiny, `imageMogr2/thumbnail/4000x10!|${watermark("/scatype/1/spcent/1000")}`, 48],
    [png(40, 30), tiny, `${watermark("/scatype/1/spcent/1000")}|imageMogr2/thumbnail/4000x10!`, 0.0048],
    // The largest accepted watermark.
    [png(10, 10), png(3999, 1), watermark("/degree/45/scatype/1/spcent/1000"), 64 + 128],
    [png(5000, 5000), png(3999, 1), watermark("/degree/45/scatype/1/spcent/1000"), 100 + 64 + 128],
    // A refused watermark takes nothing.
    [png(10, 10), png(4001, 1), watermark("/degree/45/scatype/1/spcent/1000"), 0.0004],
    [png(10, 10), png(5001, 1), watermark("/scatype/1/spcent/1000"), 0.0004],
    [png(5000, 5000), photo, watermark("/degree/45"), 100],
    // The visible part of a watermark stays in memory while the next one is made.
    [png(2000, 1000), photo, `${watermark("/degree/90")}|${watermark("/degree/90")}`, 8 + 16],
    [png(2000, 1000), png(500, 500), `${watermark("/degree/90")}|${watermark("/degree/90")}`, 1 + 16],
    // So does a tile, including its gaps.
    [png(10, 10), photo, `${watermark("/batch/1/dx/5000/dy/5000")}|${watermark("/batch/1/dx/1990/dy/90")}`, 48],
    [
      png(10, 10),
      photo,
      `${watermark("/batch/1/dx/1990/dy/90")}|${watermark("/batch/1/dx/5000/dy/5000")}|${watermark("")}`,
      48.8,
    ],
    // Another watermark is estimated on its own.
    [png(2000, 1000), photo, `${watermark("")}|${watermark("/scatype/1/spcent/1000", "http://h/other.png")}`, 8],
  ])("of %o over %o by %s", (facts, image, text, expected) => {
    expect(weighWatermark(facts, image, text)).toBeCloseTo(expected, 0);
  });

  const WIDE = watermark("/scatype/1/spcent/1000");
  test.each([
    ["a watermark", png(1000, 500), png(1000, 1000), WIDE, ["eXIf"], 2 + 4 * 2],
    ["a watermark that has no say in it", png(1000, 500), png(1000, 1000), WIDE, [], 2],
    ["a watermark that is not scaled", png(1000, 500), png(1000, 1000), watermark("/degree/90"), ["eXIf"], 2 + 2],
    ["an image", png(10, 10), png(10, 2000), `imageMogr2/auto-orient|${WIDE}`, ["", "eXIf"], 4 * 4],
    ["an image that has no say in it", png(10, 10), png(10, 2000), `imageMogr2/auto-orient|${WIDE}`, [], 0.0004],
    ["an image that stays so", png(10, 10), png(10, 2000), WIDE, ["", "eXIf"], 0.0004],
    [
      "an image once it is scaled",
      png(10, 10),
      tiny,
      `imageMogr2/thumbnail/10x2000!/auto-orient|${WIDE}`,
      ["", "eXIf"],
      4 * 4,
    ],
    [
      "an image that is set upright again and again",
      png(10, 10),
      png(10, 2000),
      `imageMogr2${"/auto-orient".repeat(35)}|${WIDE}`,
      ["", "eXIf"],
      4 * 4,
    ],
    ["an AVIF", png(10, 10), { ...png(10, 2000), format: "avif" }, WIDE, ["", "irot"], 4 * 4],
  ] as const)("of %s that may lie on its side", (_what, facts, image, text, signs, expected) => {
    expect(weighWatermark(facts, image, text, signs)).toBeCloseTo(expected, 0);
  });
});

const text = (characters: number, look: string) => `watermark/2/text/${b64("字".repeat(characters))}${look}`;

describe("bytesToRender()", () => {
  test.each([
    // A thumbnail takes no more than its source.
    [photo, "imageView2/2/w/300", 48],
    [photo, "imageMogr2/auto-orient/thumbnail/300x", 48],
    [photo, "imageMogr2/auto-orient/thumbnail/300x300/format/auto", 48],
    [photo, "imageInfo", 48],
    [photo, "imageMogr2/crop/!300x300a10a10/rotate/30", 48],
    // Steps and encoding at full size take more.
    [photo, "imageView2/2/q/50", 96],
    [photo, "imageMogr2/auto-orient", 96],
    [photo, "watermark/2/text/aGk", 96],
    [photo, "imageMogr2/rotate/90/thumbnail/300x", 96],
    [photo, "imageMogr2/sharpen/70|imageView2/2/w/300", 96],
    // With transparency they take even more.
    [photo, "imageMogr2/sharpen/70", 96],
    [clear, "imageMogr2/sharpen/70", 192],
    [clear, "imageMogr2/sharpen/70/format/jpg", 96],
    [photo, "imageMogr2/rotate/45", 8 * (7000 / Math.SQRT2) ** 2 * 1e-6],
    [photo, "imageMogr2/format/avif", 288],
    [photo, "imageMogr2/thumbnail/2000x/format/avif", 72],
    [photo, "imageMogr2/format/webp", 96],
    [clear, "imageMogr2/format/webp", 288],
    // With a size limit the pixels stay in memory, and beside them a JPEG of several scans as a whole.
    [photo, "imageMogr2/size-limit/500k", 96],
    [photo, "imageMogr2/interlace/1/size-limit/500k", 156],
    [photo, "imageMogr2/format/yjpeg/size-limit/500k", 156],
    [photo, "imageMogr2/interlace/1/format/auto/size-limit/500k", 156],
    [photo, "imageMogr2/interlace/1/format/webp/size-limit/500k", 96],
    [photo, "imageMogr2/interlace/1", 96],
    // The coefficients of a source JPEG of several scans add to any recipe.
    [scans(3), "imageView2/2/w/300", 48],
    [scans(6), "imageView2/2/w/300", 84],
    [scans(8), "imageInfo", 108],
    [scans(6), "imageMogr2/rotate/90", 132],
    [scans(8), "imageMogr2/blur/3x5", 156],
    [scans(3), "imageMogr2/interlace/1", 132],
    [scans(6), "imageMogr2/interlace/1", 168],
    [scans(6), "imageMogr2/format/yjpeg", 168],
    [scans(6), "imageMogr2/thumbnail/2000x/interlace/1", 84 + 21],
    [scans(6), "imageMogr2/format/webp", 156],
    [scans(6), "imageMogr2/format/avif", 348],
    // They are freed once an intermediate image is made, which then stays.
    [scans(6), "imageMogr2/thumbnail/2000x/rotate/90/interlace/1", 84],
    [photo, "imageMogr2/blur/3x5/sharpen/70", 96],
    [photo, "imageMogr2/sharpen/70/blur/3x5", 120],
    [photo, "imageMogr2/rotate/90/rotate/90", 120],
    [photo, "imageMogr2/rotate/90/interlace/1", 132],
    [clear, "imageMogr2/rotate/90/rotate/90", 156],
    // A result with added transparency counts as if the source had been transparent.
    [photo, "imageMogr2/rradius/10/format/webp", 288],
    // This is so for a small source, too.
    [tiny, "imageMogr2/thumbnail/5000x5000!", 200],
    [tiny, "imageMogr2/thumbnail/5000x5000!/thumbnail/9x9", 200],
    [tiny, "imageMogr2/thumbnail/10x10/pad/1|imageMogr2/thumbnail/!1000p", 0.08],
    [tiny, "imageMogr2/crop/4000x4000", 128],
    [tiny, "imageMogr2/scrop/4000x4000", 128],
    // The attention search runs before the enlargement.
    [tiny, "imageMogr2/scrop/9999x11", 0.88],
    // All frames are in memory; for a format without animation only one counts.
    [film, "imageView2/2/w/50", 160],
    [film, "imageView2/2/w/50/format/jpg", 80],
    // A text is set as a whole, visible or not: 1 × 1.5 em a character.
    [tiny, text(10, "/fontsize/100"), 1.2],
    [tiny, text(10, "/fontsize/100/shadow/50"), 1.8],
    [tiny, text(20, "/fontsize/200/degree/45"), 5 * (4300 / Math.SQRT2) ** 2 * 1e-6],
    [tiny, text(20, "/fontsize/200/degree/90"), 1.2 * 8],
    [tiny, text(20, "/fontsize/200/degree/45|imageMogr2/strip"), 5 * (4300 / Math.SQRT2) ** 2 * 1e-6],
    // It is capped at the limit.
    [tiny, text(300, "/fontsize/1000/degree/45"), 160],
    [tiny, text(300, "/fontsize/1000/shadow/1"), 192],
    // A scaled text is set again at its final size.
    [photo, text(2, "/fontsize/10/scatype/1/spcent/1000/degree/45"), 48 + 96],
    [photo, `imageView2/2/w/10|${text(2, "/fontsize/10/scatype/1/spcent/1000/degree/45")}`, 48],
    [tiny, text(20, "/fontsize/10/scatype/1/spcent/1000/degree/45"), 0.024],
    // The visible part of each stays until all are laid over the image, which is processed as a whole.
    [photo, `${text(10, "/fontsize/400/degree/90")}|${text(10, "/fontsize/400/degree/90")}`, 2 * 7.2 + 96],
    [photo, `${text(10, "/fontsize/400/degree/90")}|${text(10, "/fontsize/900/shadow/1")}`, 7.2 + 146],
    [photo, `${text(1, "/fontsize/10/batch/1/dx/5000/dy/5000")}|${text(1, "/fontsize/10")}`, 48 + 96],
    [photo, `${text(10, "/fontsize/400")}|imageView2/2/w/9`, 9.6 + 96],
    [photo, "imageMogr2/rradius/1000/rradius/1000", 2 * 16 + 96],
    // No part is left; the render will refuse it.
    [photo, "imageMogr2/crop/!10x10a9000a9000", 96],
  ])("%o %s: %d MB", (facts, text, wanted) => {
    expect(weigh(facts, text)).toBeCloseTo(wanted, 0);
  });
});

test("bytesToDecode() counts all frames", () => {
  expect(bytesToDecode(film) / MEGA).toBe(80);
});

test("bytesToHold() counts a file and the copies that decoders make", () => {
  expect(bytesToHold(15 * MEGA)).toBe(60 * MEGA);
});
