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
