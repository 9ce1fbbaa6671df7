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
/** Of which all coefficients are held until the last scan is read. */
const scans = (coefficientBytes: number): WeighedFacts => ({ ...photo, coefficientBytes });
const film: RasterFacts = { format: "gif", width: 500, height: 400, frames: 100 };

function weigh(facts: WeighedFacts, text: string): number {
  return bytesToRender(facts, parseInstruction(text, { era: 2015 })) / MEGA;
}

const URL_OF_MARK = "http://h/m.png";
const mark = (look: string, url = URL_OF_MARK) => `watermark/1/image/${b64(url)}${look}`;

function weighMark(
  facts: RasterFacts,
  image: RasterFacts,
  text: string,
  signs: readonly [string?, string?] = [],
): number {
  const [ofMark = "", ofImage = ""] = signs;
  const recipe = parseInstruction(text, { era: 2015 });
  const held = runScan(heldImage(facts, Buffer.from(ofMark)));
  return bytesToLay(held, URL_OF_MARK, runScan(heldImage(image, Buffer.from(ofImage))), recipe) / MEGA;
}

const png = (width: number, height: number): RasterFacts => ({ format: "png", width, height, frames: 1 });
const turnedBytes = (width: number, height: number) => 4 * ((width + height) / Math.SQRT2) ** 2 * 1e-6;

describe("bytesToLay()", () => {
  test.each([
    [photo, photo, mark(""), 48],
    // Turned, it is there twice.
    [photo, photo, mark("/degree/90"), 48 + 48],
    [photo, photo, mark("/degree/45"), 48 + turnedBytes(4000, 3000)],
    // And so it is when it is scaled.
    [photo, photo, mark("/scatype/1/spcent/1000"), 48],
    [png(100, 100), photo, mark("/scatype/1/spcent/1000"), 64],
    [photo, photo, mark("/degree/45/blogo/1"), 48 + 17.6 + turnedBytes(2424, 1818)],
    [photo, photo, mark("/degree/45/scatype/1/spcent/100"), 48 + 0.5 + turnedBytes(400, 300)],
    [png(40, 30), photo, mark("/degree/45/scatype/1/spcent/1000"), 48 + turnedBytes(4000, 3000)],
    [png(40, 30), photo, mark("/degree/45/scatype/1/spcent/1000/blogo/1"), 17.6 + turnedBytes(2424, 1818)],
    // By the size that the image has by then.
    [
      png(40, 30),
      photo,
      `imageMogr2/thumbnail/400x|${mark("/degree/45/scatype/1/spcent/1000")}`,
      0.5 + turnedBytes(400, 300),
    ],
    [png(40, 30), tiny, `imageMogr2/thumbnail/4000x10!|${mark("/scatype/1/spcent/1000")}`, 48],
    [png(40, 30), tiny, `${mark("/scatype/1/spcent/1000")}|imageMogr2/thumbnail/4000x10!`, 0.0048],
    // The largest that may be.
    [png(10, 10), png(3999, 1), mark("/degree/45/scatype/1/spcent/1000"), 64 + 128],
    [png(5000, 5000), png(3999, 1), mark("/degree/45/scatype/1/spcent/1000"), 100 + 64 + 128],
    // What is refused takes nothing.
    [png(10, 10), png(4001, 1), mark("/degree/45/scatype/1/spcent/1000"), 0.0004],
    [png(10, 10), png(5001, 1), mark("/scatype/1/spcent/1000"), 0.0004],
    [png(5000, 5000), photo, mark("/degree/45"), 100],
    // What is seen of a mark stays while the next one is made.
    [png(2000, 1000), photo, `${mark("/degree/90")}|${mark("/degree/90")}`, 8 + 16],
    [png(2000, 1000), png(500, 500), `${mark("/degree/90")}|${mark("/degree/90")}`, 1 + 16],
    // So does the tile of which its gaps are a part.
    [png(10, 10), photo, `${mark("/batch/1/dx/5000/dy/5000")}|${mark("/batch/1/dx/1990/dy/90")}`, 48],
    [png(10, 10), photo, `${mark("/batch/1/dx/1990/dy/90")}|${mark("/batch/1/dx/5000/dy/5000")}|${mark("")}`, 48.8],
    // Another mark is weighed for itself.
    [png(2000, 1000), photo, `${mark("")}|${mark("/scatype/1/spcent/1000", "http://h/other.png")}`, 8],
  ])("of %o over %o by %s", (facts, image, text, expected) => {
    expect(weighMark(facts, image, text)).toBeCloseTo(expected, 0);
  });

  const WIDE = mark("/scatype/1/spcent/1000");
  test.each([
    ["a mark", png(1000, 500), png(1000, 1000), WIDE, ["eXIf"], 2 + 4 * 2],
    ["a mark that has no say in it", png(1000, 500), png(1000, 1000), WIDE, [], 2],
    ["a mark that is not scaled", png(1000, 500), png(1000, 1000), mark("/degree/90"), ["eXIf"], 2 + 2],
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
    expect(weighMark(facts, image, text, signs)).toBeCloseTo(expected, 0);
  });
});

const text = (characters: number, look: string) => `watermark/2/text/${b64("字".repeat(characters))}${look}`;

describe("bytesToRender()", () => {
  test.each([
    // A thumbnail is no heavier than its source.
    [photo, "imageView2/2/w/300", 48],
    [photo, "imageMogr2/auto-orient/thumbnail/300x", 48],
    [photo, "imageMogr2/auto-orient/thumbnail/300x300/format/auto", 48],
    [photo, "imageInfo", 48],
    [photo, "imageMogr2/crop/!300x300a10a10/rotate/30", 48],
    // What is worked on, or written, in its whole size is.
    [photo, "imageView2/2/q/50", 96],
    [photo, "imageMogr2/auto-orient", 96],
    [photo, "watermark/2/text/aGk", 96],
    [photo, "imageMogr2/rotate/90/thumbnail/300x", 96],
    [photo, "imageMogr2/sharpen/70|imageView2/2/w/300", 96],
    // More so beside clear parts.
    [photo, "imageMogr2/sharpen/70", 96],
    [clear, "imageMogr2/sharpen/70", 192],
    [clear, "imageMogr2/sharpen/70/format/jpg", 96],
    [photo, "imageMogr2/rotate/45", 8 * (7000 / Math.SQRT2) ** 2 * 1e-6],
    [photo, "imageMogr2/format/avif", 288],
    [photo, "imageMogr2/thumbnail/2000x/format/avif", 72],
    [photo, "imageMogr2/format/webp", 96],
    [clear, "imageMogr2/format/webp", 288],
    // Within a size it is kept as pixels, and a JPEG of several passes is kept whole beside them while it is written.
    [photo, "imageMogr2/size-limit/500k", 96],
    [photo, "imageMogr2/interlace/1/size-limit/500k", 156],
    [photo, "imageMogr2/format/yjpeg/size-limit/500k", 156],
    [photo, "imageMogr2/interlace/1/format/auto/size-limit/500k", 156],
    [photo, "imageMogr2/interlace/1/format/webp/size-limit/500k", 96],
    [photo, "imageMogr2/interlace/1", 96],
    // What a JPEG of several scans is held as comes to that, whatever is made of it.
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
    // But not once an intermediate image has been made, which then stays.
    [scans(6), "imageMogr2/thumbnail/2000x/rotate/90/interlace/1", 84],
    [photo, "imageMogr2/blur/3x5/sharpen/70", 96],
    [photo, "imageMogr2/sharpen/70/blur/3x5", 120],
    [photo, "imageMogr2/rotate/90/rotate/90", 120],
    [photo, "imageMogr2/rotate/90/interlace/1", 132],
    [clear, "imageMogr2/rotate/90/rotate/90", 156],
    // What a step makes clear parts in is written as if it had come with them.
    [photo, "imageMogr2/rradius/10/format/webp", 288],
    // However small the source is.
    [tiny, "imageMogr2/thumbnail/5000x5000!", 200],
    [tiny, "imageMogr2/thumbnail/5000x5000!/thumbnail/9x9", 200],
    [tiny, "imageMogr2/thumbnail/10x10/pad/1|imageMogr2/thumbnail/!1000p", 0.08],
    [tiny, "imageMogr2/crop/4000x4000", 128],
    [tiny, "imageMogr2/scrop/4000x4000", 128],
    // Searched for what draws the eye before it is enlarged.
    [tiny, "imageMogr2/scrop/9999x11", 0.88],
    // Frames are gathered; where one alone is written, it counts alone.
    [film, "imageView2/2/w/50", 160],
    [film, "imageView2/2/w/50/format/jpg", 80],
    // A text is set whole, whatever of it can be seen: 1 × 1.5 em a character.
    [tiny, text(10, "/fontsize/100"), 1.2],
    [tiny, text(10, "/fontsize/100/shadow/50"), 1.8],
    [tiny, text(20, "/fontsize/200/degree/45"), 5 * (4300 / Math.SQRT2) ** 2 * 1e-6],
    [tiny, text(20, "/fontsize/200/degree/90"), 1.2 * 8],
    [tiny, text(20, "/fontsize/200/degree/45|imageMogr2/strip"), 5 * (4300 / Math.SQRT2) ** 2 * 1e-6],
    // No larger than it may be.
    [tiny, text(300, "/fontsize/1000/degree/45"), 160],
    [tiny, text(300, "/fontsize/1000/shadow/1"), 192],
    // Set anew in the size that its share of the image gives it.
    [photo, text(2, "/fontsize/10/scatype/1/spcent/1000/degree/45"), 48 + 96],
    [photo, `imageView2/2/w/10|${text(2, "/fontsize/10/scatype/1/spcent/1000/degree/45")}`, 48],
    [tiny, text(20, "/fontsize/10/scatype/1/spcent/1000/degree/45"), 0.024],
    // What is seen of each stays until all of them are laid over the image, which is worked on as a whole.
    [photo, `${text(10, "/fontsize/400/degree/90")}|${text(10, "/fontsize/400/degree/90")}`, 2 * 7.2 + 96],
    [photo, `${text(10, "/fontsize/400/degree/90")}|${text(10, "/fontsize/900/shadow/1")}`, 7.2 + 146],
    [photo, `${text(1, "/fontsize/10/batch/1/dx/5000/dy/5000")}|${text(1, "/fontsize/10")}`, 48 + 96],
    [photo, `${text(10, "/fontsize/400")}|imageView2/2/w/9`, 9.6 + 96],
    [photo, "imageMogr2/rradius/1000/rradius/1000", 2 * 16 + 96],
    // Nothing is left of it, which the render says.
    [photo, "imageMogr2/crop/!10x10a9000a9000", 96],
  ])("%o %s: %d MB", (facts, text, wanted) => {
    expect(weigh(facts, text)).toBeCloseTo(wanted, 0);
  });
});

test("bytesToDecode() counts all frames", () => {
  expect(bytesToDecode(film) / MEGA).toBe(80);
});

test("bytesToHold() counts a file with what a decoder copies of it", () => {
  expect(bytesToHold(15 * MEGA)).toBe(60 * MEGA);
});
