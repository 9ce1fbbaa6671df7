import { describe, expect, test } from "vitest";
import { parseInstruction } from "../../../src/image/grammar.ts";
import type { RasterFacts } from "../../../src/image/loaders.ts";
import { bytesToDecode, bytesToHold, bytesToLay, bytesToRender } from "../../../src/image/weight.ts";
import { b64 } from "../../helpers/rendering.ts";

const MEGA = 1_000_000;
const photo: RasterFacts = { format: "jpeg", width: 4000, height: 3000, frames: 1 };
const clear: RasterFacts = { ...photo, format: "png" };
const tiny: RasterFacts = { format: "png", width: 1, height: 1, frames: 1 };
const film: RasterFacts = { format: "gif", width: 500, height: 400, frames: 100 };

function weigh(facts: RasterFacts, text: string): number {
  return bytesToRender(facts, parseInstruction(text, { era: 2015 })) / MEGA;
}

test.each([
  ["", 48],
  // Turned as it is, it is worked on as a whole.
  ["/degree/90", 96],
  ["/degree/45", 8 * (7000 / Math.SQRT2) ** 2 * 1e-6],
  // Scaled first, it comes through in strips.
  ["/degree/45/blogo/1", 48],
  ["/degree/45/scatype/1/spcent/100", 48],
])("bytesToLay() of a photo with %j", (look, expected) => {
  const { steps } = parseInstruction(`watermark/1/image/${b64("http://h/m.png")}${look}`, { era: 2015 });
  const marks = steps.flatMap((step) => (step.name === "imageMark" ? [step] : []));
  expect(bytesToLay(photo, marks) / MEGA).toBeCloseTo(expected, 0);
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
    [photo, "imageMogr2/rotate/45", 8 * (7000 / Math.SQRT2) ** 2 * 1e-6],
    [photo, "imageMogr2/format/avif", 288],
    [photo, "imageMogr2/thumbnail/2000x/format/avif", 72],
    [photo, "imageMogr2/format/webp", 96],
    [clear, "imageMogr2/format/webp", 288],
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
    [photo, text(2, "/fontsize/10/scatype/1/spcent/1000/degree/45"), 5 * (7000 / Math.SQRT2) ** 2 * 1e-6],
    [tiny, text(20, "/fontsize/10/scatype/1/spcent/1000/degree/45"), 0.024],
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
