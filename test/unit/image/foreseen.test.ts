import { expect, test } from "vitest";
import { foreseenRefusal } from "../../../src/image/foreseen.ts";
import { parseInstruction } from "../../../src/image/grammar.ts";
import type { ImageFacts } from "../../../src/object.ts";

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
  // What is left of a turn is not known to the pixel.
  ["imageMogr2/rotate/45/iradius/400", jpeg, undefined],
  // Nor how the image lies.
  ["imageMogr2/auto-orient/crop/!50x50a200a10", jpeg, undefined],
  ["imageMogr2/auto-orient/crop/!50x50a400a400", jpeg, "imageMogr2/crop or cut"],
  [`imageMogr2${"/auto-orient".repeat(35)}/crop/!50x50a400a400`, jpeg, "imageMogr2/crop or cut"],
  ["imageMogr2/crop/!50x50a200a10", { ...jpeg, format: "avif" }, undefined],
  ["imageMogr2/crop/!50x50a10a200", { ...jpeg, format: "avif" }, undefined],
  ["imageMogr2/iradius/50", { ...jpeg, format: "avif" }, "imageMogr2/iradius"],
  // A radius leaves a GIF as it is, and other kinds are refused for what they are.
  ["imageMogr2/iradius/50", { ...jpeg, format: "gif" }, undefined],
  ["imageMogr2/iradius/50", { ...jpeg, format: "tiff" }, undefined],
  ["imageMogr2/iradius/50", { ...jpeg, width: undefined }, undefined],
])("foreseenRefusal() of %s for %o names %s", (text, facts, parameter) => {
  const refusal = foreseenRefusal(parseInstruction(text, { era: 2015 }), facts);
  expect(refusal && [refusal.code, refusal.parameter]).toEqual(parameter && ["processing_invalid", parameter]);
});
