import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HuiyuanClientError, type Processing, processing } from "../../../../src/client/client.ts";
import { instructionInUrl } from "../../../../src/client/url.ts";
import { readInstruction } from "../../../../src/serve/http/request/object-name.ts";
import { canonicalText } from "../../../../src/serve/image/grammar/canonical-text.ts";
import { parseInstruction } from "../../../../src/serve/image/grammar/grammar.ts";
import type { Recipe } from "../../../../src/serve/image/grammar/recipe.ts";

const p = processing();
const MARK = { gravity: "southeast", dx: 0, dy: 0, opacity: 100, degrees: 0, isTiled: false } as const;
const TEXT_MARK = {
  ...MARK,
  family: "DejaVu Sans,Noto Sans CJK SC",
  fontSize: 13,
  colour: "#3d3d3d",
  shadow: 0,
  spacing: 10,
} as const;

/** A step, its text, and the steps and output that the server must parse from it. */
const STEPS: readonly (readonly [(on: Processing) => Processing, string, Recipe["steps"], Recipe["output"]?])[] = [
  [
    (on) => on.fit({ width: 200 }),
    "imageView2/2/w/200",
    [{ name: "resize", rule: { kind: "within", axes: "sides", first: 200 } }],
  ],
  [
    (on) => on.fit({ long: 200, short: 100 }),
    "imageView2/0/w/200/h/100",
    [{ name: "resize", rule: { kind: "within", axes: "edges", first: 200, second: 100 } }],
  ],
  [
    (on) => on.cover({ height: 100 }),
    "imageView2/3/h/100",
    [{ name: "resize", rule: { kind: "cover", axes: "sides", first: 100, second: 100 } }],
  ],
  [
    (on) => on.cover({ long: 200, short: 100 }),
    "imageView2/4/w/200/h/100",
    [{ name: "resize", rule: { kind: "cover", axes: "edges", first: 200, second: 100 } }],
  ],
  [
    (on) => on.fill({ width: 200, height: 100 }),
    "imageView2/1/w/200/h/100",
    [{ name: "coverCrop", gravity: "center", axes: "sides", first: 200, second: 100 }],
  ],
  [
    (on) => on.fill({ width: 200, height: 100 }, "north"),
    "imageMogr2/gravity/north/crop/200x100",
    [{ name: "coverCrop", gravity: "north", axes: "sides", first: 200, second: 100 }],
  ],
  [
    (on) => on.fill({ long: 200, short: 100 }),
    "imageView2/5/w/200/h/100",
    [{ name: "coverCrop", gravity: "center", axes: "edges", first: 200, second: 100 }],
  ],
  [
    (on) => on.fillSmartly({ width: 200, height: 100 }),
    "imageMogr2/scrop/200x100",
    [{ name: "attentionCrop", axes: "sides", first: 200, second: 100 }],
  ],
  [
    (on) => on.resize({ width: 200, height: 100 }),
    "imageMogr2/thumbnail/200x100!",
    [{ name: "resize", rule: { kind: "exact", width: 200, height: 100 } }],
  ],
  [
    (on) => on.resize({ height: 100 }),
    "imageMogr2/thumbnail/x100",
    [{ name: "resize", rule: { kind: "exact", height: 100 } }],
  ],
  [(on) => on.scale(50), "imageMogr2/thumbnail/!50p", [{ name: "resize", rule: { kind: "percent", x: 50, y: 50 } }]],
  [
    (on) => on.fitArea(125_000),
    "imageMogr2/thumbnail/125000@",
    [{ name: "resize", rule: { kind: "area", pixels: 125_000 } }],
  ],
  [
    (on) => on.pad({ width: 200, height: 100 }, "navy"),
    "imageMogr2/thumbnail/200x100/pad/1/color/bmF2eQ",
    [
      { name: "resize", rule: { kind: "within", axes: "sides", first: 200, second: 100 } },
      { name: "pad", width: 200, height: 100, colour: "#000080" },
    ],
  ],
  [
    (on) => on.cut({ x: 20, y: 10, width: 60, height: 50 }),
    "imageMogr2/crop/!60x50a20a10",
    [{ name: "window", width: 60, height: 50, dx: 20, dy: 10 }],
  ],
  [(on) => on.circle(9), "imageMogr2/iradius/9", [{ name: "circle", radius: 9 }]],
  [(on) => on.roundCorners(9), "imageMogr2/rradius/9", [{ name: "roundCorners", radius: 9 }]],
  [(on) => on.rotate(90), "imageMogr2/rotate/90", [{ name: "rotate", degrees: 90 }]],
  [(on) => on.autoOrient(), "imageMogr2/auto-orient", [{ name: "autoOrient" }]],
  [(on) => on.flip("vertical"), "imageMogr2/flip/vertical", [{ name: "flip", axis: "vertical" }]],
  [(on) => on.brightness(-20), "imageMogr2/bright/-20", [{ name: "bright", amount: -20 }]],
  [(on) => on.contrast(30), "imageMogr2/contrast/30", [{ name: "contrast", amount: 30 }]],
  [(on) => on.grayscale(), "imageMogr2/grayscale/1", [{ name: "grayscale" }]],
  [(on) => on.blur(5, 2.5), "imageMogr2/blur/5x2.5", [{ name: "blur", radius: 5, sigma: 2.5 }]],
  [(on) => on.sharpen(70), "imageMogr2/sharpen/70", [{ name: "sharpen", amount: 70 }]],
  [
    (on) => on.markText("回源", { dx: 20, dy: 20, fontSize: 30, colour: "#ffffff", font: "msyh" }),
    "watermark/2/text/5Zue5rqQ/font/bXN5aA/fontsize/30/fill/I2ZmZmZmZg/dx/20/dy/20/dissolve/100",
    [
      {
        ...TEXT_MARK,
        name: "textMark",
        text: "回源",
        dx: 20,
        dy: 20,
        fontSize: 30,
        colour: "#ffffff",
        family: "Noto Sans CJK SC",
      },
    ],
  ],
  [
    (on) => on.markText("a", { tiled: true, degrees: 45, shadow: 50, spacing: 20, opacity: 40, gravity: "center" }),
    "watermark/2/text/YQ/shadow/50/spacing/20/gravity/center/dissolve/40/degree/45/batch/1",
    [
      {
        ...TEXT_MARK,
        name: "textMark",
        text: "a",
        isTiled: true,
        degrees: 45,
        shadow: 50,
        spacing: 20,
        opacity: 40,
        gravity: "center",
      },
    ],
  ],
  [
    (on) => on.markImage("http://a/b.png", { shrink: true, scale: { by: "area", permille: 100 } }),
    "watermark/1/image/aHR0cDovL2EvYi5wbmc/blogo/1/dissolve/100/scatype/3/spcent/100",
    [
      {
        ...MARK,
        name: "imageMark",
        url: "http://a/b.png",
        oversize: "shrink",
        scale: { by: "area", permille: 100 },
      },
    ],
  ],
  [(on) => on.format("jpg"), "imageMogr2/format/jpg", [], { format: "jpeg" }],
  [(on) => on.quality(80), "imageMogr2/quality/80", [], { quality: { kind: "atMost", value: 80 } }],
  [(on) => on.quality({ exactly: 80 }), "imageMogr2/quality/80!", [], { quality: { kind: "exactly", value: 80 } }],
  [(on) => on.quality({ relative: 80 }), "imageMogr2/rquality/80", [], { quality: { kind: "relative", value: 80 } }],
  [(on) => on.quality({ atLeast: 80 }), "imageMogr2/lquality/80", [], { quality: { kind: "atLeast", value: 80 } }],
  [(on) => on.progressive(), "imageMogr2/interlace/1", [], { isProgressive: true }],
  [(on) => on.strip(), "imageMogr2/strip", [], { isStripped: true }],
  [(on) => on.maxBytes(50_000), "imageMogr2/size-limit/50000", [], { maxBytes: 50_000 }],
  [(on) => on.gifFrames(30), "imageMogr2/cgif/30", [], { gifFrames: 30 }],
];

for (const [step, text, steps, output = {}] of STEPS) {
  test(`${text} has the same meaning in both eras`, () => {
    expect(step(p).text).toBe(text);
    for (const era of [2015, "later"] as const) {
      expect(canonicalText(parseInstruction(text, { era }))).toBe(canonicalText({ steps, output }));
    }
  });
}

describe("processing()", () => {
  test("puts steps into one operation if it can hold them", () => {
    expect(p.autoOrient().scale(50).strip().format("webp").text).toBe(
      "imageMogr2/auto-orient/thumbnail/!50p/strip/format/webp",
    );
    expect(p.fit({ width: 9 }).format("png").quality(80).format("webp").quality({ atLeast: 9 }).text).toBe(
      "imageView2/2/w/9/format/webp/lq/9",
    );
    expect(p.fit({ width: 9 }).rotate(90).markText("a").format("webp").text).toBe(
      "imageView2/2/w/9|imageMogr2/rotate/90|watermark/2/text/YQ/dissolve/100|imageMogr2/format/webp",
    );
  });

  test("keeps a background with its own thumbnail and a gravity with its own crop", () => {
    const steps = p.scale(50).pad({ width: 9, height: 9 }).resize({ width: 5 });
    expect(steps.text).toBe(
      "imageMogr2/thumbnail/!50p|imageMogr2/thumbnail/9x9/pad/1/color/I2ZmZmZmZg|imageMogr2/thumbnail/5x",
    );
    const cuts = p.fill({ width: 20, height: 20 }, "north").fill({ width: 10, height: 10 }, "south");
    expect(parseInstruction(cuts.text, { era: 2015 }).steps).toMatchObject([
      { gravity: "north" },
      { gravity: "south" },
    ]);
  });

  test("is immutable", () => {
    const small = p.fit({ width: 9 });
    small.format("webp");
    expect(small.text).toBe("imageView2/2/w/9");
    expect(p.text).toBe("");
  });

  test("ends with a report", () => {
    expect(p.info().text).toBe("imageInfo");
    expect(p.scale(50).averageColour().text).toBe("imageMogr2/thumbnail/!50p|imageAve");
    expect(parseInstruction(p.exif().text, { era: 2015 }).inspection).toBe("exif");
  });

  test("orOriginal() ignores errors", () => {
    expect(parseInstruction(p.scale(50).orOriginal().text, { era: 2015 }).ignoresErrors).toBe(true);
  });

  test.each<[string, () => unknown]>([
    ["no side", () => p.fit({} as { width: number })],
    ["a side of 0", () => p.fit({ width: 0 })],
    ["half a pixel", () => p.fit({ width: 0.5 })],
    ["a side of the wrong type", () => p.fit({ width: "9/format/gif" as unknown as number })],
    ["no side to resize to", () => p.resize({} as { width: number })],
    ["a crop of 9", () => p.fillSmartly({ width: 9, height: 90 })],
    ["an unknown gravity", () => p.fill({ width: 90, height: 90 }, "up" as "north")],
    ["a gravity with edges", () => p.fill({ long: 90, short: 90 }, "north")],
    ["an unknown format", () => p.format("tiff" as "png")],
    ["quality 101", () => p.quality(101)],
    ["a sigma of 0", () => p.blur(1, 0)],
    ["a sigma of NaN", () => p.blur(1, Number.NaN)],
    ["an empty text", () => p.markText("")],
    ["half a character", () => p.markText("\ud800")],
    ["a text of 1025 bytes", () => p.markText("a".repeat(1025))],
    ["an image watermark that is not a URL", () => p.markImage("b.png")],
    ["an unknown gravity of a watermark", () => p.markText("a", { gravity: "x/dx/1" as "north" })],
    ["eleven operations", () => Array.from({ length: 11 }).reduce<Processing>((all) => all.fit({ width: 9 }), p)],
  ])("refuses %s", (_, make) => {
    expect(make).toThrow(HuiyuanClientError);
    expect(make).toThrow(expect.objectContaining({ name: "argument_invalid", code: -1 }));
  });

  test("any combination of steps is parsed as intended, also from a URL", () => {
    const any = fc.array(fc.constantFrom(...STEPS), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(any, (chosen) => {
        const combined = combine(chosen.map(([step]) => step));
        if (combined === undefined) return;
        const read = readInstruction(`${instructionInUrl(combined.text)}&sign=abc`);
        expect(read).toMatchObject({ text: combined.text });
        const steps = chosen.flatMap(([, , meant]) => meant);
        expect(canonicalText({ ...parseInstruction(combined.text, { era: 2015 }), output: {} })).toBe(
          canonicalText({ steps, output: {} }),
        );
      }),
    );
  });
});

/** Applies the steps in order; undefined if they are more than a pipeline holds. */
function combine(steps: readonly ((on: Processing) => Processing)[]): Processing | undefined {
  try {
    return steps.reduce((all, step) => step(all), p);
  } catch (error) {
    if (error instanceof HuiyuanClientError) return undefined;
    throw error;
  }
}
