import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  aligned,
  coverWindow,
  plainWindow,
  type Size,
  scaledSize,
  turnedSize,
  visiblePart,
  watermarkPosition,
  watermarkSize,
} from "../../../../../src/serve/image/geometry/geometry.ts";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import { type Era, GRAVITIES } from "../../../../../src/serve/image/grammar/recipe.ts";

/** Parses `1000x500`. */
function size(text: string): Size {
  const [width, height] = text.split("x").map(Number);
  return { width: width!, height: height! };
}

/** The size after an instruction of one sizing operation. */
function sized(source: string, instruction: string, era: Era = 2015): string {
  const [step] = parseInstruction(instruction, { era }).steps;
  const given = size(source);
  const at = (result: Size) => `${result.width}x${result.height}`;
  if (step === undefined) return at(given);
  if (step.name === "resize") return at(scaledSize(given, step.rule));
  if (step.name === "coverCrop") return at(coverWindow(given, step, step.gravity).window);
  if (step.name === "window") return at(plainWindow(given, step));
  throw new Error(`${step.name} is not about sizes`);
}

test.each([
  ["800x600", "imageView2/2/w/82", "82x62"],
  ["4000x3000", "imageMogr2/thumbnail/282x", "282x212"],
  ["4000x3000", "imageMogr2/thumbnail/x212", "283x212"],
  ["50x50", "imageMogr2/thumbnail/!29p", "15x15"],
])("an exact half is rounded up: %s, %s → %s", (source, text, expected) => {
  expect(sized(source, text)).toBe(expected);
});

test("every proportional width of a photograph is rounded half up", () => {
  for (const source of [
    { width: 4000, height: 3000 },
    { width: 4032, height: 3024 },
  ]) {
    for (let width = 1; width < source.width; width += 1) {
      const doubled = 2n * BigInt(width) * BigInt(source.height);
      const height = Number((doubled + BigInt(source.width)) / (2n * BigInt(source.width)));
      expect(scaledSize(source, { kind: "exact", width })).toEqual({ width, height: Math.max(1, height) });
    }
  }
});

describe("the worked examples of the manual", () => {
  test.each([
    ["1000x500", "imageView2/1/w/500/h/400", "500x400"],
    ["1000x500", "imageView2/2/w/500/h/400", "500x250"],
    ["1000x500", "imageView2/3/w/500/h/400", "800x400"],
    ["1000x500", "imageView2/0/w/500/h/400", "500x250"],
    ["1000x500", "imageView2/4/w/500/h/400", "800x400"],
    ["1000x500", "imageView2/5/w/500/h/400", "500x400"],
    ["1000x500", "imageView2/1/w/200", "200x200"],
    ["1000x500", "imageView2/2/w/200", "200x100"],
    ["1000x500", "imageView2/3/w/200", "400x200"],
    ["500x1000", "imageView2/0/w/200/h/400", "100x200"],
    ["500x1000", "imageView2/2/w/200/h/400", "200x400"],
    ["1000x500", "imageMogr2/thumbnail/!50p", "500x250"],
    ["1000x500", "imageMogr2/thumbnail/!50px", "500x500"],
    ["1000x500", "imageMogr2/thumbnail/!x50p", "1000x250"],
    ["1000x500", "imageMogr2/thumbnail/400x", "400x200"],
    ["1000x500", "imageMogr2/thumbnail/x100", "200x100"],
    ["1000x500", "imageMogr2/thumbnail/400x400", "400x200"],
    ["1000x500", "imageMogr2/thumbnail/!400x400r", "800x400"],
    ["1000x500", "imageMogr2/thumbnail/400x400!", "400x400"],
    ["1000x500", "imageMogr2/thumbnail/125000@", "500x250"],
    ["1500x1200", "imageMogr2/crop/600x600", "600x600"],
    ["1500x1200", "imageMogr2/crop/!600x600a20a20", "600x600"],
    ["1500x1200", "imageMogr2/crop/!600x600-20a20", "580x600"],
  ])("%s through %s is %s", (source, instruction, expected) => {
    expect(sized(source, instruction)).toBe(expected);
  });

  test("mode 1 scales to 800×400 and cuts 150 pixels left and right", () => {
    const { scaled, window } = coverWindow(size("1000x500"), { axes: "sides", first: 500, second: 400 }, "center");
    expect(scaled).toEqual({ width: 800, height: 400 });
    expect(window).toEqual({ left: 150, top: 0, width: 500, height: 400 });
  });

  test("a crop of 1500×1200 to 600×600 scales to 750×600 first", () => {
    expect(coverWindow(size("1500x1200"), { axes: "sides", first: 600, second: 600 }, "east")).toEqual({
      scaled: { width: 750, height: 600 },
      window: { left: 150, top: 0, width: 600, height: 600 },
    });
  });
});

describe("cases that the manual leaves open", () => {
  test.each([
    ["at most never enlarges", "100x50", "imageView2/2/w/500/h/500", "100x50"],
    ["nor does mode 0", "100x50", "imageView2/0/w/500", "100x50"],
    ["nor an area", "100x50", "imageMogr2/thumbnail/999999@", "100x50"],
    ["at least enlarges", "100x50", "imageView2/3/w/500/h/500", "1000x500"],
    ["!r enlarges", "100x50", "imageMogr2/thumbnail/!500x500r", "1000x500"],
    ["one side is exact, so it enlarges", "100x50", "imageMogr2/thumbnail/200x", "200x100"],
    ["a scaling crop enlarges", "100x50", "imageMogr2/crop/200x200", "200x200"],
    ["a crop of one side keeps the other", "1000x500", "imageMogr2/crop/300x", "300x500"],
    ["a crop of the height keeps the width", "1000x500", "imageMogr2/crop/x300", "1000x300"],
    ["> only shrinks", "100x50", "imageMogr2/thumbnail/500x500>", "100x50"],
    ["> shrinks", "1000x500", "imageMogr2/thumbnail/500x500>", "500x250"],
    ["< only enlarges", "1000x500", "imageMogr2/thumbnail/500x500<", "1000x500"],
    ["< enlarges", "100x50", "imageMogr2/thumbnail/500x500<", "500x250"],
    ["< leaves alone what is larger on one side", "600x50", "imageMogr2/thumbnail/500x500<", "600x50"],
    ["mode 5 on a portrait crops to short × long", "500x1000", "imageView2/5/w/500/h/400", "400x500"],
    ["mode 4 on a square: the long edge is the height", "100x100", "imageView2/4/w/300/h/200", "300x300"],
    ["mode 5 on a square", "100x100", "imageView2/5/w/300/h/200", "200x300"],
    ["half up", "5x3", "imageMogr2/thumbnail/!50p", "3x2"],
    ["never below one pixel", "1000x1", "imageView2/2/w/10", "10x1"],
    ["a window beyond the edge is clipped", "100x50", "imageMogr2/crop/!600x600a20a20", "80x30"],
    ["cut beyond the edge is clipped", "100x50", "imageMogr2/cut/600x10x90x0", "10x10"],
    ["an area of a line", "1x5000", "imageMogr2/thumbnail/100@", "1x100"],
    ["an area of a line that lies", "20000x2", "imageMogr2/thumbnail/100@", "100x1"],
    ["an area that rounding would pass", "1000x1000", "imageMogr2/thumbnail/999999@", "999x999"],
    ["imageView2 without sides", "100x50", "imageView2/1", "100x50"],
  ])("%s", (_what, source, instruction, expected) => {
    expect(sized(source, instruction)).toBe(expected);
  });

  test("thumbnails are measured by edges in 2015, by sides later", () => {
    expect(sized("500x1000", "imageMogr2/thumbnail/400x200", 2015)).toBe("200x400");
    expect(sized("500x1000", "imageMogr2/thumbnail/400x200", "later")).toBe("100x200");
    expect(sized("500x1000", "imageMogr2/thumbnail/!400x200r", 2015)).toBe("200x400");
    expect(sized("500x1000", "imageMogr2/thumbnail/!400x200r", "later")).toBe("400x800");
  });

  test.each([
    "imageMogr2/crop/!60x60a100a0",
    "imageMogr2/crop/!60x60a0a50",
    "imageMogr2/cut/1x1x100x0",
    "imageMogr2/crop/!9x9-9a0",
    "imageMogr2/crop/!9x9a0-9",
  ])("%s of 100×50 is empty, and so refused", (instruction) => {
    expect(() => sized("100x50", instruction)).toThrow(expect.objectContaining({ code: "processing_invalid" }));
  });
});

test.each([
  ["northwest", 0, 0],
  ["north", 50, 0],
  ["northeast", 100, 0],
  ["west", 0, 20],
  ["center", 50, 20],
  ["east", 100, 20],
  ["southwest", 0, 40],
  ["south", 50, 40],
  ["southeast", 100, 40],
] as const)("aligned() by %s is at %i,%i", (gravity, left, top) => {
  expect(aligned(size("200x100"), size("100x60"), gravity)).toEqual({ left, top });
});

test.each([
  ["northwest", 7, 3],
  ["north", 50, 3],
  ["northeast", 93, 3],
  ["west", 7, 20],
  ["center", 50, 20],
  ["east", 93, 20],
  ["southwest", 7, 37],
  ["south", 50, 37],
  ["southeast", 93, 37],
] as const)("markPosition() by %s with dx 7, dy 3 is at %i,%i", (gravity, left, top) => {
  expect(watermarkPosition(size("200x100"), size("100x60"), { gravity, dx: 7, dy: 3 })).toEqual({ left, top });
});

test.each([
  [{ by: "width", permille: 500 }, "100x50"],
  [{ by: "height", permille: 1000 }, "200x100"],
  [{ by: "area", permille: 250 }, "100x50"],
] as const)("markSize() by %o is %s", (scale, expected) => {
  expect(watermarkSize(size("200x100"), size("40x20"), scale)).toEqual(size(expected));
});

test.each([
  [0, "300x200"],
  [90, "200x300"],
  [180, "300x200"],
  [270, "200x300"],
  [360, "300x200"],
])("turnedSize() by %i degrees is exact", (degrees, expected) => {
  expect(turnedSize(size("300x200"), degrees)).toEqual(size(expected));
});

test("turnedSize() by other degrees includes the corners", () => {
  expect(turnedSize(size("100x100"), 45)).toEqual(size("142x142"));
  expect(turnedSize(size("300x200"), 1)).toEqual(size("304x206"));
});

test("visiblePart() clips a watermark to the image", () => {
  const [image, watermark] = [size("100x50"), size("30x20")];
  expect(visiblePart(image, watermark, { left: 10, top: 10 })).toEqual({ left: 0, top: 0, width: 30, height: 20 });
  expect(visiblePart(image, watermark, { left: -10, top: 40 })).toEqual({ left: 10, top: 0, width: 20, height: 10 });
  expect(visiblePart(image, size("300x200"), { left: -100, top: -75 })).toEqual({
    left: 100,
    top: 75,
    width: 100,
    height: 50,
  });
  expect(visiblePart(image, watermark, { left: 100, top: 0 })).toBeUndefined();
});

test("scaledSize() and coverWindow() respect their bounds for all sizes", () => {
  const side = fc.integer({ min: 1, max: 30_000 });
  fc.assert(
    fc.property(side, side, side, side, fc.constantFrom(...GRAVITIES), (width, height, first, second, gravity) => {
      const box = { axes: "sides", first, second } as const;
      const within = scaledSize({ width, height }, { kind: "within", ...box });
      expect(within.width <= Math.min(first, width) && within.height <= Math.min(second, height)).toBe(true);
      const cover = scaledSize({ width, height }, { kind: "cover", ...box });
      expect(cover.width >= first && cover.height >= second).toBe(true);
      const { scaled, window } = coverWindow({ width, height }, box, gravity);
      expect(window.left >= 0 && window.top >= 0).toBe(true);
      expect(window.left + window.width <= scaled.width && window.top + window.height <= scaled.height).toBe(true);
    }),
  );
});
