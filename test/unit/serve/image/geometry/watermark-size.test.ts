import { expect, test } from "vitest";
import type { Size } from "../../../../../src/serve/image/geometry/geometry.ts";
import { laidSize, refuseLargeWatermark } from "../../../../../src/serve/image/geometry/watermark-size.ts";
import type { StepOf, WatermarkScale } from "../../../../../src/serve/image/grammar/recipe.ts";

type Look = Pick<StepOf<"imageMark">, "scale" | "oversize" | "degrees">;

const size = (width: number, height: number): Size => ({ width, height });
const share = (by: WatermarkScale["by"], permille: number): WatermarkScale => ({ by, permille });
const IMAGE = size(200, 100);

test.each<[string, Size, Partial<Look>, Size]>([
  ["as it is", size(400, 300), {}, size(400, 300)],
  ["as it is, turned later", size(400, 300), { degrees: 45 }, size(400, 300)],
  ["by its share of the width", size(20, 10), { scale: share("width", 500) }, size(100, 50)],
  ["by its share of the height", size(20, 10), { scale: share("height", 1000) }, size(200, 100)],
  ["by its share of the area", size(20, 10), { scale: share("area", 250) }, size(100, 50)],
  ["shrunk to fit", size(400, 100), { oversize: "shrink" }, size(200, 50)],
  ["not shrunk where it fits", size(200, 100), { oversize: "shrink" }, size(200, 100)],
  ["shrunk to fit once it is turned", size(400, 100), { oversize: "shrink", degrees: 90 }, size(100, 25)],
  ["shrunk to fit askew", size(100, 100), { oversize: "shrink", degrees: 45 }, size(70, 70)],
  ["scaled beyond the image", size(10, 100), { scale: share("width", 1000) }, size(200, 2000)],
  ["scaled, then shrunk", size(10, 100), { scale: share("width", 1000), oversize: "shrink" }, size(10, 100)],
  ["never without a pixel", size(1, 10_000), { oversize: "shrink" }, size(1, 100)],
])("laidSize() of a watermark %s", (_how, watermark, look, expected) => {
  expect(laidSize(IMAGE, watermark, { oversize: "clip", degrees: 0, ...look })).toEqual(expected);
});

const SCALED = share("width", 1000);

test.each<[Size, Partial<Look>, string | undefined]>([
  [size(5000, 5000), {}, undefined],
  [size(5000, 5000), { scale: SCALED }, undefined],
  [size(5000, 5001), { scale: SCALED }, "watermark/spcent"],
  [size(5001, 5000), { scale: SCALED, degrees: 90 }, "watermark/spcent"],
  // Multiples of 90 degrees make it no larger.
  [size(5000, 5000), { degrees: 90 }, undefined],
  [size(5000, 5000), { degrees: 180, scale: SCALED }, undefined],
  [size(3999, 3999), { degrees: 45 }, undefined],
  [size(4001, 4001), { degrees: 45 }, "watermark/degree"],
  [size(3999, 3999), { degrees: 45, scale: SCALED }, undefined],
  [size(4001, 4001), { degrees: 45, scale: SCALED }, "watermark/spcent"],
  // A long, thin watermark has few pixels before the turn.
  [size(9000, 10), { degrees: 1 }, undefined],
  [size(9000, 10), { degrees: 45 }, "watermark/degree"],
  [size(9000, 10), { degrees: 45, scale: SCALED }, "watermark/spcent"],
])("refuseLargeWatermark() of %o, %o names %s", (laid, look, parameter) => {
  const { degrees = 0, scale } = look;
  const refusal = thrownBy(() => refuseLargeWatermark(laid, { degrees, ...(scale && { scale }) }));
  expect(refusal?.parameter).toBe(parameter);
  if (parameter === undefined) return;
  expect(refusal).toMatchObject({ code: "processing_invalid", wanted: expect.stringMatching(/\d+ megapixels$/) });
});

function thrownBy(work: () => void): { readonly parameter?: string } | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error as { readonly parameter?: string };
  }
}
