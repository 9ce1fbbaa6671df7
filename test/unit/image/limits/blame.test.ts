import { expect, test } from "vitest";
import type { RasterFacts, WeighedFacts } from "../../../../src/image/formats/loaders.ts";
import { parseInstruction } from "../../../../src/image/grammar/grammar.ts";
import { blamed } from "../../../../src/image/limits/blame.ts";
import { b64 } from "../../../helpers/rendering.ts";

const MEGA = 1_000_000;
/** Takes 40 MB to decode. */
const image: RasterFacts = { format: "webp", width: 4000, height: 2500, frames: 1 };
const TEXT = `watermark/2/text/${b64("hello")}/fontsize/1000`;

test.each([
  // The image alone is too large.
  ["imageInfo", 30, undefined],
  ["imageMogr2/rotate/45", 30, undefined],
  ["imageMogr2/quality/50", 50, undefined],
  ["imageView2/2/w/100|imageMogr2/quality/50", 50, undefined],
  ["imageMogr2/format/webp", 50, undefined],
  // The first step that exceeds the limit, although the steps before it do not.
  ["imageMogr2/rotate/45", 50, "imageMogr2/rotate"],
  ["imageMogr2/thumbnail/100x/thumbnail/4000x/sharpen/50", 50, "imageView2 or imageMogr2/thumbnail"],
  ["imageMogr2/thumbnail/100x/blur/3x5", 50, undefined],
  ["imageMogr2/blur/3x5", 50, "imageMogr2/blur"],
  // The output.
  ["imageMogr2/thumbnail/2000x/format/avif", 50, "imageView2 or imageMogr2/format"],
  ["imageMogr2/thumbnail/2000x/format/yjpeg/size-limit/9k", 30, undefined],
  ["imageMogr2/format/yjpeg/size-limit/9k", 50, "imageMogr2/size-limit"],
  ["imageMogr2/thumbnail/4500x", 200, "imageView2 or imageMogr2/thumbnail"],
  // The estimates allow it, but the memory was not enough: the parameter that adds the most.
  ["imageMogr2/thumbnail/2000x/thumbnail/2500x", 200, "imageView2 or imageMogr2/thumbnail"],
  ["imageMogr2/sharpen/50", 400, "imageMogr2/sharpen"],
  // A text comes before all of these.
  [TEXT, 50, "watermark/fontsize"],
])("blamed() of %s with %d MB is %s", (text, megabytes, parameter) => {
  const weight = { held: 0, laid: 0, most: megabytes * MEGA };
  expect(blamed(image, parseInstruction(text, { era: 2015 }), weight)?.parameter).toBe(parameter);
});

const scans: WeighedFacts = { ...image, format: "jpeg", coefficientBytes: 6 };

test.each([
  // The estimate for decoding, an upper bound, is 70 MB.
  ["imageInfo", 65, undefined],
  ["imageView2/2/w/100", 65, undefined],
  ["imageMogr2/interlace/1", 55, undefined],
  ["imageMogr2/interlace/1", 65, "imageMogr2/interlace"],
  ["imageMogr2/interlace/1", 300, "imageMogr2/interlace"],
  ["imageMogr2/format/yjpeg", 65, "imageView2 or imageMogr2/format"],
  ["imageMogr2/format/webp", 300, "imageView2 or imageMogr2/format"],
  ["imageMogr2/thumbnail/!50p", 65, "imageView2 or imageMogr2/thumbnail"],
  ["imageMogr2/rotate/90", 90, "imageMogr2/rotate"],
  ["imageMogr2/rotate/90", 300, "imageMogr2/rotate"],
])("blamed() of %s of a progressive JPEG with %d MB is %s", (text, megabytes, parameter) => {
  const weight = { held: 0, laid: 0, most: megabytes * MEGA };
  expect(blamed(scans, parseInstruction(text, { era: 2015 }), weight)?.parameter).toBe(parameter);
});

test("blamed() names an image watermark that takes more than the rest, or without which memory would suffice", () => {
  const recipe = parseInstruction("imageView2/2/w/100", { era: 2015 });
  const of = (laid: number, most: number) =>
    blamed(image, recipe, { held: 0, laid: laid * MEGA, most: most * MEGA })?.parameter;
  expect([of(41, 30), of(20, 50), of(20, 30)]).toEqual(["watermark/image", "watermark/image", undefined]);
});
