import { expect, test } from "vitest";
import { createVariantGate } from "../../../../src/body/gate/variant-gate.ts";
import { noisyJpeg } from "../../../helpers/images.ts";

const END = { framing: "length", isFramingWhole: true, isHashRight: true } as const;

test("createVariantGate() accepts JSON as it is, in any chunks", () => {
  const gate = createVariantGate();
  gate.push(Buffer.from("{"));
  expect([gate.head, gate.image?.format]).toEqual(["image", "json"]);
  gate.push(Buffer.from('"a":1}'));
  expect([gate.verdict(END), gate.isStructureWhole]).toEqual([{ kind: "whole", image: gate.image }, true]);
});

test("createVariantGate() checks images as any gate does", async () => {
  const jpeg = await noisyJpeg(20, 10);
  const whole = createVariantGate();
  whole.push(jpeg);
  expect(whole.verdict(END)).toEqual({ kind: "whole", image: { format: "jpeg", width: 20, height: 10 } });
  const half = createVariantGate();
  half.push(jpeg.subarray(0, jpeg.length / 2));
  expect(half.verdict(END)).toMatchObject({ kind: "suspect" });
  const page = createVariantGate();
  page.push(Buffer.from("<html>{}</html>"));
  expect([page.head, page.verdict(END)]).toEqual(["foreign", { kind: "broken", code: "origin_not_image" }]);
  expect(createVariantGate().verdict(END)).toEqual({ kind: "broken", code: "origin_empty" });
});
