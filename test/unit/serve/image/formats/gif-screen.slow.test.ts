import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { readableGif } from "../../../../../src/serve/image/formats/readable-gif.ts";
import { type HandFrame, handGif, PALETTE } from "../../../../helpers/gif.ts";
import { b64, colourAt, difference, renderText, solid, verifyHere, WHITE } from "../../../../helpers/rendering.ts";

const [RED, GREEN, BLUE] = [0, 1, 2] as const;
const NAMES = ["red", "green", "blue", "yellow"];

/** Screen sizes that libvips' decoder distrusts. */
const DISTRUSTED = [
  [640, 480],
  [640, 512],
  [800, 600],
  [1024, 768],
  [1280, 1024],
  [1600, 1200],
  [2049, 40],
  [40, 2049],
  [3000, 300],
] as const;

/** A small frame in the upper left and one in the lower right. */
function moving(width: number, height: number, options = {}): Buffer {
  const frames: HandFrame[] = [
    { at: [0, 0, 20, 10], colour: RED, disposal: 1, delay: 7 },
    { at: [width - 20, height - 10, 20, 10], colour: BLUE, disposal: 1, delay: 30 },
  ];
  return handGif(width, height, frames, options);
}

async function facts(bytes: Buffer) {
  const { width, height, pageHeight, pages = 1, delay, loop } = await sharp(bytes, { animated: true }).metadata();
  return { size: `${width}x${pageHeight ?? height}`, pages, ...(pages > 1 && { delay, loop }) };
}

async function seen(bytes: Buffer, x: number, y: number, page = 0): Promise<string> {
  const colour = await colourAt(bytes, x, y, page);
  if (colour[3] === 0) return "clear";
  return NAMES[PALETTE.findIndex((each) => difference(each, colour) < 24)] ?? String(colour);
}

const FIRST = [0.001, 0.001] as const;
const MIDDLE = [0.5, 0.5] as const;
const LAST = [0.999, 0.999] as const;

describe.each(DISTRUSTED)("a GIF whose screen is %ix%i", (width, height) => {
  test("keeps the whole screen if its first frame covers a part", async () => {
    const { bytes, image } = await renderText(moving(width, height), "imageMogr2/strip");
    const size = `${width}x${height}`;
    expect([image.width, image.height, image.frames]).toEqual([width, height, 2]);
    expect(await facts(bytes)).toEqual({ size, pages: 2, delay: [70, 300], loop: 1 });
    expect([await seen(bytes, ...FIRST), await seen(bytes, ...LAST)]).toEqual(["red", "clear"]);
    expect([await seen(bytes, ...FIRST, 1), await seen(bytes, ...LAST, 1)]).toEqual(["red", "blue"]);
    expect(await seen(bytes, ...MIDDLE, 1)).toBe("clear");
  });
});

describe("a GIF of 640x480 whose first frame covers a part", () => {
  test.each([
    ["imageView2/2/w/320", "320x240", 2],
    ["imageMogr2/crop/!320x240a320a240", "320x240", 2],
    ["imageMogr2/rotate/90", "480x640", 2],
    ["imageMogr2/format/webp", "640x480", 2],
    ["imageMogr2/thumbnail/320x/format/webp", "320x240", 2],
    ["imageMogr2/cgif/1|imageMogr2/thumbnail/50x", "50x38", 2],
    ["imageMogr2/format/png", "640x480", 1],
    ["imageMogr2/format/jpg", "640x480", 1],
  ])("after %s is of %s, with %i frames", async (text, size, pages) => {
    const { bytes } = await renderText(moving(640, 480), text);
    const found = await facts(bytes);
    expect(found).toEqual({ size, pages, ...(pages > 1 && { delay: [70, 300], loop: 1 }) });
  });

  test("shows its first frame as a still image and later frames in place", async () => {
    const png = await renderText(moving(640, 480), "imageMogr2/format/png");
    expect([await seen(png.bytes, ...FIRST), await seen(png.bytes, ...LAST)]).toEqual(["red", "clear"]);
    const jpeg = await renderText(moving(640, 480), "imageMogr2/format/jpg");
    expect(difference(await colourAt(jpeg.bytes, ...LAST), WHITE)).toBeLessThan(4);
    const corner = await renderText(moving(640, 480), "imageMogr2/crop/!20x10a620a470");
    expect([await seen(corner.bytes, ...MIDDLE), await seen(corner.bytes, ...MIDDLE, 1)]).toEqual(["clear", "blue"]);
  });

  test("is reported with the size of its screen", async () => {
    const { bytes } = await renderText(moving(640, 480), "imageInfo");
    const { width, height, frame_count, photo_rgb } = JSON.parse(bytes.toString());
    expect([width, height, frame_count]).toEqual(["640", "480", "2"]);
    // A small red watermark on white.
    expect(photo_rgb).toMatch(/^0xf[ef]f[ef]f[ef]$/);
  });

  test("keeps its number of frames, and so does a still GIF", async () => {
    const still = handGif(640, 480, [{ at: [300, 220, 40, 40], colour: RED }]);
    const { bytes, image } = await renderText(still, "imageMogr2/strip");
    expect([image.frames, await facts(bytes)]).toEqual([1, { size: "640x480", pages: 1 }]);
    expect([await seen(bytes, ...MIDDLE), await seen(bytes, ...FIRST)]).toEqual(["red", "clear"]);
  });

  test("has a transparent background although its frames leave no colour for it", async () => {
    for (const text of ["imageMogr2/strip", "imageMogr2/format/webp"]) {
      const { bytes } = await renderText(moving(640, 480, { bits: 8 }), text);
      expect([await seen(bytes, ...FIRST), await seen(bytes, ...LAST)], text).toEqual(["red", "clear"]);
    }
  });

  test("has the same size as a watermark", async () => {
    const watermark = handGif(640, 480, [{ at: [600, 460, 40, 20], colour: GREEN }]);
    const url = "http://h/watermark.gif";
    const ground = await solid(640, 480, PALETTE[RED]).png().toBuffer();
    const { bytes } = await renderText(ground, `watermark/1/image/${b64(url)}/dissolve/100`, {
      watermarks: { [url]: watermark },
    });
    expect([await seen(bytes, ...MIDDLE), await seen(bytes, ...LAST)]).toEqual(["red", "green"]);
  });

  test("is verified to its last frame", async () => {
    await verifyHere(moving(640, 480));
    const damaged = moving(640, 480);
    damaged.fill(0xff, damaged.length - 60, damaged.length - 3);
    await expect(verifyHere(damaged)).rejects.toMatchObject({ code: "image_not_processable" });
  });
});

test("a first frame that is larger than a distrusted screen enlarges it", async () => {
  const wide = handGif(640, 480, [{ at: [0, 0, 700, 20], colour: RED }]);
  const { image } = await renderText(wide, "imageMogr2/strip");
  expect([image.width, image.height]).toEqual([700, 480]);
});

test("readableGif() does not change a GIF that the decoder shows as browsers do", () => {
  const others = [
    handGif(641, 480, [{ at: [0, 0, 641, 480], colour: RED }]),
    handGif(640, 480, [{ at: [0, 0, 640, 480], colour: RED }]),
    handGif(2048, 9, [{ at: [0, 0, 2048, 9], colour: RED }]),
  ];
  for (const file of others) {
    const { bytes, firstPage } = readableGif(file);
    expect([bytes === file, firstPage]).toEqual([true, 0]);
  }
});

// Sizes at which codes grow by a bit, at which the code table is full, and beyond.
const SCREENS: readonly (readonly [number, number])[] = [
  ...[1, 2, 3, 7, 100, 1000].flatMap((side) => [[2049, side] as const, [side, 2050] as const]),
  [2049, 4085],
  [2049, 4086],
  [3000, 3000],
  [65_535, 1],
  [140, 65_535],
];

test.each(SCREENS)("readableGif() covers a screen of %ix%i", async (width, height) => {
  const { bytes, firstPage } = readableGif(handGif(width, height, [{ at: [0, 0, 1, 1], colour: RED }]));
  const { channels } = await sharp(bytes, { failOn: "warning" }).stats();
  expect([firstPage, channels[3]?.max]).toEqual([1, 0]);
  expect(bytes.length).toBeLessThan(7000);
  const found = await sharp(bytes, { page: 1, failOn: "warning" }).metadata();
  expect([found.width, found.height, found.pages]).toEqual([width, height, 2]);
});
