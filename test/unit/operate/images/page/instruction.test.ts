// The instructions that the console writes from a person's choices.
import { expect, test } from "vitest";
import { type Choices, instructionOf, NO_CHOICES } from "../../../../../src/operate/images/page/instruction.ts";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";

const written = (choices: Partial<Choices>) => instructionOf({ ...NO_CHOICES, ...choices });

test.each([
  [{}, ""],
  [{ size: "fit" }, ""],
  [{ size: "fit", width: "800" }, "imageView2/2/w/800"],
  [{ size: "cover", width: "400", height: "300" }, "imageView2/1/w/400/h/300"],
  [{ size: "cut", height: "90", gravity: "east" }, "imageMogr2/gravity/east/crop/!x90"],
  [{ rotate: "90", format: "webp", quality: "70" }, "imageMogr2/rotate/90/format/webp/quality/70"],
  [{ size: "fit", width: "9", format: "png" }, "imageView2/2/w/9|imageMogr2/format/png"],
  [{ text: "回源?>" }, "watermark/2/text/5Zue5rqQPz4/dx/10/dy/10"],
  [{ text: "a", textSize: "48" }, "watermark/2/text/YQ/fontsize/48/dx/10/dy/10"],
] as const)("instructionOf(%o) is %s, which every era takes", (choices, instruction) => {
  expect(written(choices)).toBe(instruction);
  if (instruction !== "")
    for (const era of [2015, "later", "qiniu"] as const)
      expect(() => parseInstruction(instruction, { era })).not.toThrow();
});
