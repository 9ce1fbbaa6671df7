import { expect, test } from "vitest";
import type { ImageFacts } from "../../../../src/core/object.ts";
import { parseInstruction } from "../../../../src/image/grammar/grammar.ts";
import { foreseenRefusal } from "../../../../src/image/limits/foreseen.ts";
import { LIMITS } from "../../../helpers/rendering.ts";

const jpeg: ImageFacts = { format: "jpeg", width: 400, height: 100 };

test.each<[string, ImageFacts, string | undefined]>([
  ["imageView2/2/w/9", jpeg, undefined],
  ["imageMogr2/crop/!50x50a300a10", jpeg, undefined],
  ["imageMogr2/crop/!50x50a400a10", jpeg, "imageMogr2/crop or cut"],
  ["imageMogr2/cut/50x50x0x100", jpeg, "imageMogr2/crop or cut"],
  ["imageMogr2/thumbnail/800x/crop/!50x50a400a10", jpeg, undefined],
  ["imageMogr2/thumbnail/200x|imageMogr2/crop/!50x50a200a10", jpeg, "imageMogr2/crop or cut"],
  ["imageMogr2/iradius/49", jpeg, undefined],
  ["imageMogr2/iradius/50", jpeg, "imageMogr2/iradius"],
  ["imageMogr2/rradius/50", jpeg, "imageMogr2/rradius"],
  ["imageMogr2/iradius/49/rradius/49", jpeg, "imageMogr2/rradius"],
  ["imageMogr2/rotate/90/crop/!50x50a200a10", jpeg, "imageMogr2/crop or cut"],
  // The size after a turn is not known to the pixel.
  ["imageMogr2/rotate/45/iradius/400", jpeg, undefined],
  // The orientation of the image is unknown.
  ["imageMogr2/auto-orient/crop/!50x50a200a10", jpeg, undefined],
  ["imageMogr2/auto-orient/crop/!50x50a400a400", jpeg, "imageMogr2/crop or cut"],
  [`imageMogr2${"/auto-orient".repeat(35)}/crop/!50x50a400a400`, jpeg, "imageMogr2/crop or cut"],
  ["imageMogr2/crop/!50x50a200a10", { ...jpeg, format: "avif" }, undefined],
  ["imageMogr2/crop/!50x50a10a200", { ...jpeg, format: "avif" }, undefined],
  ["imageMogr2/iradius/50", { ...jpeg, format: "avif" }, "imageMogr2/iradius"],
  // A radius does not apply to a GIF, and unknown formats are refused elsewhere.
  ["imageMogr2/iradius/50", { ...jpeg, format: "gif" }, undefined],
  ["imageMogr2/iradius/50", { ...jpeg, format: "tiff" }, undefined],
  ["imageMogr2/iradius/50", { ...jpeg, width: undefined }, undefined],
])("foreseenRefusal() of %s for %o names %s", (text, facts, parameter) => {
  const refusal = foreseenRefusal(parseInstruction(text, { era: 2015 }), facts, LIMITS);
  expect(refusal && [refusal.code, refusal.parameter]).toEqual(parameter && ["processing_invalid", parameter]);
});

const RESULT = "output_too_large";
const THUMBNAIL = "imageView2 or imageMogr2/thumbnail";

test.each<[string, ImageFacts, [string, string?] | undefined]>([
  // Limits of the source.
  ["imageInfo", { ...jpeg, width: 10_000, height: 10_000 }, undefined],
  ["imageInfo", { ...jpeg, width: 10_001, height: 10_000 }, ["image_too_large"]],
  ["imageView2/2/w/9", { ...jpeg, width: 30_001 }, ["image_too_large"]],
  ["imageView2/2/w/9", { ...jpeg, format: "gif", width: 30_001 }, ["image_too_large"]],
  // An unprocessed image may be larger than a result.
  ["imageView2/2", { ...jpeg, width: 20_000 }, undefined],
  ["imageView2/2/format/png", { ...jpeg, width: 20_000 }, [RESULT]],
  // Limits of the result.
  ["imageMogr2/thumbnail/9999x", jpeg, undefined],
  ["imageMogr2/thumbnail/10000x", jpeg, [RESULT, THUMBNAIL]],
  ["imageMogr2/thumbnail/10000x|imageView2/2/w/9", jpeg, undefined],
  ["imageMogr2/auto-orient/thumbnail/10000x", jpeg, [RESULT, THUMBNAIL]],
  ["imageMogr2/auto-orient/thumbnail/x9000", jpeg, undefined],
  ["imageMogr2/thumbnail/x9000", { ...jpeg, format: "avif" }, undefined],
  ["imageMogr2/thumbnail/10000x", { ...jpeg, format: "gif" }, undefined],
  ["imageMogr2/thumbnail/4000x4000!/format/bmp", jpeg, undefined],
  ["imageMogr2/thumbnail/5000x5000!/format/bmp", jpeg, [RESULT, THUMBNAIL]],
  ["imageMogr2/format/bmp", { ...jpeg, width: 5000, height: 5000 }, [RESULT, "imageView2 or imageMogr2/format"]],
  // Limits of intermediate images.
  ["imageMogr2/thumbnail/20000x20000!/thumbnail/9x", jpeg, [RESULT, THUMBNAIL]],
  ["imageMogr2/crop/8000x8000|imageView2/2/w/9", jpeg, [RESULT, "imageView2 or imageMogr2/crop"]],
  ["imageMogr2/scrop/8000x8000|imageView2/2/w/9", jpeg, [RESULT, "imageMogr2/scrop"]],
  ["imageMogr2/thumbnail/9000x9000!/rotate/45|imageView2/2/w/9", jpeg, [RESULT, "imageMogr2/rotate"]],
])("foreseenRefusal() of %s for %o is %o", (text, facts, refused) => {
  const refusal = foreseenRefusal(parseInstruction(text, { era: 2015 }), facts, LIMITS);
  expect(refusal && [refusal.code, refusal.parameter]).toEqual(refused && [refused[0], refused[1]]);
});
