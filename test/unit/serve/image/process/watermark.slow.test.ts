import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { fontFamily } from "../../../../../src/serve/image/grammar/fonts.ts";
import { parseColour } from "../../../../../src/serve/image/grammar/values.ts";
import { claimingPng } from "../../../../helpers/hostile-images.ts";
import { BLUE, b64, distance, quadrants, RED, renderText, solid, WHITE } from "../../../../helpers/rendering.ts";
import { needs } from "../../../../helpers/services.ts";

const WATERMARK_URL = "http://photos-10001234.localhost/logo.png";
const IMAGE = `watermark/1/image/${b64(WATERMARK_URL)}`;

interface Found {
  /** Extent of the pixels that differ from the background. */
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly count: number;
  /** The most different sample. */
  readonly strongest: number;
}

/** Extent of the content on a background of one colour. Right and bottom are inclusive; all are -1 if there is none. */
async function found(bytes: Buffer, ground: readonly number[] = WHITE): Promise<Found> {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  let [left, top, right, bottom, count, strongest] = [info.width, info.height, -1, -1, 0, 0];
  for (let at = 0; at < data.length; at += 3) {
    const differs = Math.max(...ground.map((sample, channel) => Math.abs(sample - data[at + channel]!)));
    strongest = Math.max(strongest, differs);
    if (differs < 12) continue;
    const [x, y] = [(at / 3) % info.width, Math.floor(at / 3 / info.width)];
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
    count += 1;
  }
  return { left, top, right, bottom, count, strongest };
}

const place = ({ left, top, right, bottom }: Found) => [left, top, right, bottom];

async function marked(parameters: string, watermark: readonly [number, number] = [20, 10]): Promise<Found> {
  const ground = await solid(200, 100, WHITE).png().toBuffer();
  const logo = await solid(watermark[0], watermark[1], RED).png().toBuffer();
  const { bytes } = await renderText(ground, IMAGE + parameters, { watermarks: { [WATERMARK_URL]: logo } });
  return found(bytes);
}

describe("an image watermark", () => {
  test.each([
    ["northwest", [7, 3, 26, 12]],
    ["north", [90, 3, 109, 12]],
    ["northeast", [173, 3, 192, 12]],
    ["west", [7, 45, 26, 54]],
    ["center", [90, 45, 109, 54]],
    ["east", [173, 45, 192, 54]],
    ["southwest", [7, 87, 26, 96]],
    ["south", [90, 87, 109, 96]],
    ["southeast", [173, 87, 192, 96]],
  ])("lies by gravity %s, dx and dy at %j", async (gravity, expected) => {
    expect(place(await marked(`/gravity/${gravity}/dx/7/dy/3`))).toEqual(expected);
  });

  test("lies in the south-east by default", async () => {
    expect(place(await marked(""))).toEqual([180, 90, 199, 99]);
  });

  test.each([
    ["pushed out in part", "/gravity/southeast/dx/190", [20, 10], [0, 90, 9, 99]],
    ["larger than the image", "/gravity/center", [400, 300], [0, 0, 199, 99]],
    ["larger, shrunk to fit", "/gravity/northwest/blogo/1", [400, 100], [0, 0, 199, 49]],
    [
      "larger when turned, shrunk to fit",
      "/gravity/northwest/blogo/1/degree/90/batch/1/dx/500/dy/500",
      [400, 100],
      [0, 0, 24, 99],
    ],
    [
      "as large, shrunk to fit when turned by 180°",
      "/blogo/1/degree/180/batch/1/dx/500/dy/500",
      [200, 100],
      [0, 0, 199, 99],
    ],
    [
      "as large, shrunk to fit when turned by 270°",
      "/blogo/1/degree/270/batch/1/dx/500/dy/500",
      [100, 200],
      [0, 0, 199, 99],
    ],
    ["larger, cut", "/gravity/northwest/blogo/2", [400, 50], [0, 0, 199, 49]],
    ["half as wide as the image", "/gravity/northwest/scatype/1/spcent/500", [20, 10], [0, 0, 99, 49]],
    ["as high as the image", "/gravity/northwest/scatype/2/spcent/1000", [20, 10], [0, 0, 199, 99]],
    ["a quarter of its area", "/gravity/northwest/scatype/3/spcent/250", [20, 10], [0, 0, 99, 49]],
    ["turned by 90°", "/gravity/northwest/degree/90/batch/1/dx/500/dy/500", [20, 10], [0, 0, 9, 19]],
    ["scaled, then shrunk to fit", "/gravity/northwest/scatype/1/spcent/1000/blogo/1", [10, 40], [0, 0, 24, 99]],
    ["shrunk from what may not be laid", "/gravity/northwest/scatype/1/spcent/1000/blogo/1", [1, 2000], [0, 0, 0, 99]],
  ] as const)("%s", async (_what, parameters, watermark, expected) => {
    expect(place(await marked(parameters, watermark))).toEqual(expected);
  });

  test("outside the image leaves the image unchanged", async () => {
    expect((await marked("/dx/300")).count).toBe(0);
  });

  test("scaled to its own size is laid unchanged", async () => {
    const ground = await solid(200, 100, WHITE).png().toBuffer();
    const logo = await quadrants(20, 100).png().toBuffer();
    const look = (parameters: string) =>
      renderText(ground, IMAGE + parameters, { watermarks: { [WATERMARK_URL]: logo } });
    const [plain, scaled] = await Promise.all([look(""), look("/scatype/1/spcent/1000/blogo/1")]);
    expect(await distance(scaled.bytes, plain.bytes)).toBe(0);
  });

  test.each([
    ["scaled to too much", "/scatype/1/spcent/1000", [1, 3], "watermark/spcent"],
    [
      "scaled to what is too much once it is turned",
      "/scatype/1/spcent/520/degree/45/batch/1",
      [1, 3],
      "watermark/spcent",
    ],
    ["too large to be turned as it is", "/degree/45/batch/1", [1, 8100], "watermark/degree"],
  ] as const)("%s is refused by the name of what made it so", async (_what, parameters, watermark, parameter) => {
    const ground = await solid(4000, 1, WHITE).png().toBuffer();
    const logo = await solid(watermark[0], watermark[1], RED).png().toBuffer();
    const refused = renderText(ground, IMAGE + parameters, { watermarks: { [WATERMARK_URL]: logo } });
    await expect(refused).rejects.toMatchObject({ code: "processing_invalid", parameter });
  });

  test("with a complete structure but without pixels is refused as a watermark, not as the image", async () => {
    const ground = await solid(40, 20, WHITE).png().toBuffer();
    const refused = renderText(ground, IMAGE, { watermarks: { [WATERMARK_URL]: claimingPng(30, 30) } });
    await expect(refused).rejects.toMatchObject({ code: "processing_invalid", parameter: "watermark/image" });
    await expect(refused).rejects.toThrow(WATERMARK_URL);
  });

  test("dissolve fades it", async () => {
    const full = (await marked("/dissolve/100")).strongest;
    const half = (await marked("/dissolve/50")).strongest;
    expect(Math.abs(half - full / 2)).toBeLessThan(4);
  });

  test("batch repeats it over the whole image, dx and dy apart", async () => {
    const tiles = await marked("/batch/1/dx/20/dy/10");
    expect([tiles.left, tiles.top, tiles.count]).toEqual([0, 0, 5 * 5 * 20 * 10]);
  });

  test("can be laid several times, and its transparency shows the image", async () => {
    const ground = await solid(100, 100, WHITE).png().toBuffer();
    const logo = await solid(10, 10, BLUE, 0.5).png().toBuffer();
    const operation = (gravity: string) => `${IMAGE}/gravity/${gravity}`;
    const pipeline = `${operation("northwest")}|${operation("southeast")}|imageMogr2/thumbnail/50x`;
    const { bytes } = await renderText(ground, pipeline, { watermarks: { [WATERMARK_URL]: logo } });
    const { strongest, count } = await found(bytes);
    expect(Math.abs(strongest - 215 / 2)).toBeLessThan(8);
    expect(Math.abs(count - 50)).toBeLessThan(16);
  });
});

describe("a text watermark", needs("fonts"), () => {
  test.each([
    ["tahoma.ttf", "msyh"],
    ["times", "simsun"],
    ["courier", "msyh"],
  ])("in %s uses the Chinese forms of %s, not the Japanese ones", async (font, chinese) => {
    const ground = await solid(400, 100, WHITE).png().toBuffer();
    const written = (name: string) =>
      renderText(ground, `watermark/2/text/${b64("骨直刃令")}/fontsize/60/gravity/center/font/${b64(name)}`);
    const [one, other] = await Promise.all([written(font), written(chinese)]);
    expect(await distance(one.bytes, other.bytes)).toBeLessThan(3);
  });

  const text = (value: string, parameters = "") => `watermark/2/text/${b64(value)}${parameters}`;
  async function written(value: string, parameters = ""): Promise<Found> {
    const ground = await solid(400, 200, WHITE).png().toBuffer();
    return found((await renderText(ground, text(value, parameters))).bytes);
  }

  test("draws each Chinese character with its own glyph", async () => {
    const ground = await solid(200, 100, WHITE).png().toBuffer();
    const [one, other] = await Promise.all(
      ["数据万象", "回源镜像"].map(async (value) => (await renderText(ground, text(value, "/fontsize/30"))).bytes),
    );
    // Boxes in place of missing glyphs would all look the same.
    expect(await distance(one!, other!)).toBeGreaterThan(2);
    const { left, right, top, bottom } = await found(one!);
    expect(right - left).toBeGreaterThan(100);
    expect(bottom - top).toBeGreaterThan(22);
    expect([right, bottom]).toEqual([199, 99]);
  });

  test("grows with its font size and lies dx and dy from the edge", async () => {
    const small = await written("Huiyuan", "/fontsize/20/gravity/northwest/dx/11/dy/7");
    const large = await written("Huiyuan", "/fontsize/40/gravity/northwest/dx/11/dy/7");
    // The soft edge of a glyph is too faint to count.
    expect(small.left - 11).toBeLessThanOrEqual(1);
    expect(small.top - 7).toBeLessThanOrEqual(1);
    expect(Math.min(small.left - 11, small.top - 7)).toBeGreaterThanOrEqual(0);
    const ratio = (large.right - large.left) / (small.right - small.left);
    expect(Math.abs(ratio - 2)).toBeLessThan(0.15);
  });

  test("prints markup literally", async () => {
    const plain = await written("b", "/fontsize/30");
    const markup = await written("<b>b</b>&amp;", "/fontsize/30");
    expect(markup.right - markup.left).toBeGreaterThan((plain.right - plain.left) * 6);
  });

  test("draws a right-to-left text and a text of many lines", async () => {
    expect((await written("שלום עולם", "/fontsize/30")).count).toBeGreaterThan(100);
    expect((await written("a\nb\tc", "/fontsize/30")).count).toBeGreaterThan(100);
  });

  test.each(["\u2028", "\u2029", "\n"])("treats %j as a blank, which breaks no line", async (sign) => {
    const look = "/fontsize/30/gravity/northwest";
    expect(await written(`a${sign.repeat(3)}b`, look)).toEqual(await written("a b", look));
  });

  test("fill gives the colour, dissolve the opacity", async () => {
    const ground = await solid(200, 100, WHITE).png().toBuffer();
    const { bytes } = await renderText(ground, text("■■■", `/fontsize/40/fill/${b64("#DC2828")}`));
    const { dominant } = await sharp(await sharp(bytes).trim().png().toBuffer()).stats();
    expect(dominant.r - dominant.b).toBeGreaterThan(120);
    const full = (await written("■", "/fontsize/60")).strongest;
    const faint = (await written("■", "/fontsize/60/dissolve/20")).strongest;
    expect(Math.abs(faint - full / 5)).toBeLessThan(6);
  });

  test("a shadow makes it larger and darker", async () => {
    const fill = `/fontsize/60/fill/${b64("#C0C0C0")}`;
    const plain = await written("■", fill);
    const shadowed = await written("■", `${fill}/shadow/100`);
    expect(shadowed.count).toBeGreaterThan(plain.count);
    expect(shadowed.strongest).toBeGreaterThan(plain.strongest + 60);
  });

  test("scatype sets its width by the image's", async () => {
    const { left, right } = await written("Huiyuan", "/scatype/1/spcent/500");
    expect(Math.abs(right - left + 1 - 200)).toBeLessThan(4);
  });

  test("batch and degree cover the image", async () => {
    const { left, top, right, bottom } = await written("样", "/batch/1/fontsize/30/degree/45/spacing/0");
    expect([left < 30, top < 30, right > 370, bottom > 170]).toEqual([true, true, true, true]);
  });

  test("scales its shadow by the same share", async () => {
    const ground = await solid(400, 300, WHITE).png().toBuffer();
    for (const more of ["", "/shadow/100"]) {
      const { bytes } = await renderText(ground, text("███", `/scatype/1/spcent/500/gravity/center${more}`));
      const { left, right } = await found(bytes);
      expect(right - left + 1, more).toBeGreaterThan(185);
      expect(right - left + 1, more).toBeLessThan(203);
    }
  });

  test("refuses a text that is too large without drawing it", async () => {
    const ground = await solid(20, 20, WHITE).png().toBuffer();
    const refused = renderText(ground, text("x".repeat(1000), "/fontsize/1000"));
    await expect(refused).rejects.toMatchObject({ code: "processing_invalid", parameter: "watermark/fontsize" });
  });

  test.each([
    ["wider than may be drawn", "W".repeat(1000), "/fontsize/100", "watermark/fontsize"],
    ["made large by its share of the image", "WWW", "/scatype/1/spcent/1000", "watermark/spcent"],
    ["without anything that can be seen", " ", "/fontsize/20", "watermark/text"],
    ["turned when it is too large for that", "字".repeat(40), "/fontsize/500/degree/45/batch/1", "watermark/degree"],
    ["turned with its shadow", "字".repeat(20), "/fontsize/700/shadow/50/degree/30/batch/1", "watermark/degree"],
  ])("names the parameter that made a text %s", async (_what, words, more, parameter) => {
    const ground = await solid(9_999, 20, WHITE).png().toBuffer();
    const refused = renderText(ground, text(words, more));
    await expect(refused).rejects.toMatchObject({
      code: "processing_invalid",
      parameter,
      wanted: expect.any(String),
    });
  });
});

test.each([
  ["msyh", "Noto Sans CJK SC"],
  ["微软雅黑", "Noto Sans CJK SC"],
  ["宋体.ttc", "Noto Serif CJK SC"],
  ["simsun", "Noto Serif CJK SC"],
  ["arial.ttf", "DejaVu Sans,Noto Sans CJK SC"],
  ["Helvetica", "DejaVu Sans,Noto Sans CJK SC"],
  ["nobody has this", "Noto Sans CJK SC"],
  ["constructor", "Noto Sans CJK SC"],
])("fontFamily() maps %s to %s", (name, family) => {
  expect(fontFamily(name)).toBe(family);
});

test.each([
  ["#FF8000", "#ff8000"],
  ["White", "#ffffff"],
  ["rebeccapurple", "#663399"],
  ["#fff", undefined],
  ["", undefined],
  ["toString", undefined],
])("parseColour() reads %s as %s", (text, colour) => {
  expect(parseColour(text)).toBe(colour);
});
