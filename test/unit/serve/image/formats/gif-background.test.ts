import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { withClearBackground } from "../../../../../src/serve/image/formats/readable-gif.ts";
import { type HandFrame, handGif, PALETTE } from "../../../../helpers/gif.ts";
import { b64, colourAt, difference, renderText, solid, WHITE } from "../../../../helpers/rendering.ts";

const WHOLE = [0, 0, 40, 40] as const;
const MIDDLE = [10, 10, 20, 20] as const;
const CORNER = [0, 0, 5, 5] as const;
const [RED, GREEN, BLUE, YELLOW] = [0, 1, 2, 3] as const;
const NAMES = ["red", "green", "blue", "yellow"];

/** Corner and middle of each frame, as shown by Chromium's ImageDecoder. */
const CASES: readonly (readonly [string, readonly HandFrame[], readonly string[]])[] = [
  ["a small frame of which nothing is said", [{ at: MIDDLE, colour: RED }], ["clear red"]],
  ["a small frame", [{ at: MIDDLE, colour: RED, disposal: 1 }], ["clear red"]],
  [
    "a frame that goes",
    [
      { at: WHOLE, colour: RED, disposal: 2 },
      { at: MIDDLE, colour: BLUE, disposal: 1 },
    ],
    ["red red", "clear blue"],
  ],
  [
    "a frame that goes before one that has a transparent colour",
    [
      { at: WHOLE, colour: RED, disposal: 2 },
      { at: MIDDLE, colour: BLUE, disposal: 1, transparent: YELLOW },
    ],
    ["red red", "clear blue"],
  ],
  [
    "a small frame that goes",
    [
      { at: WHOLE, colour: RED, disposal: 1 },
      { at: MIDDLE, colour: BLUE, disposal: 2 },
      { at: CORNER, colour: YELLOW, disposal: 1 },
    ],
    ["red red", "red blue", "red clear"],
  ],
  [
    "a first frame after which nothing comes back",
    [
      { at: WHOLE, colour: RED, disposal: 3 },
      { at: MIDDLE, colour: BLUE, disposal: 3 },
      { at: CORNER, colour: YELLOW, disposal: 1 },
    ],
    ["red red", "clear blue", "clear clear"],
  ],
  [
    "a later frame, before which another comes back",
    [
      { at: WHOLE, colour: RED, disposal: 1 },
      { at: MIDDLE, colour: BLUE, disposal: 3 },
      { at: CORNER, colour: GREEN, disposal: 1 },
    ],
    ["red red", "red blue", "red red"],
  ],
];

async function seen(bytes: Buffer, page: number): Promise<string> {
  const at = async (x: number, y: number) => {
    const colour = await colourAt(bytes, x, y, page);
    if (colour[3] === 0) return "clear";
    return NAMES[PALETTE.findIndex((each) => difference(each, colour) < 24)] ?? String(colour);
  };
  return `${await at(0.9, 0.9)} ${await at(0.5, 0.5)}`;
}

describe.each(CASES)("%s has a transparent background", (_what, frames, expected) => {
  test.each(["imageView2/2/q/90", "imageMogr2/thumbnail/20x", "imageMogr2/format/webp"])("after %s", async (steps) => {
    const { bytes, image } = await renderText(handGif(40, 40, frames), steps);
    expect(image.frames).toBe(expected.length);
    for (const [page, each] of expected.entries()) expect(await seen(bytes, page)).toBe(each);
  });
});

test("the background of a GIF is white in a JPEG and transparent in a watermark", async () => {
  const small = handGif(40, 40, [{ at: MIDDLE, colour: RED }]);
  const jpeg = await renderText(small, "imageMogr2/format/jpg");
  expect(difference(await colourAt(jpeg.bytes, 0.1, 0.1), WHITE)).toBeLessThan(8);
  const ground = await solid(40, 40, PALETTE[BLUE]).png().toBuffer();
  const url = "http://h/watermark.gif";
  const marked = await renderText(ground, `watermark/1/image/${b64(url)}/dissolve/100`, {
    watermarks: { [url]: small },
  });
  expect(await seen(marked.bytes, 0)).toBe("blue red");
});

test("withClearBackground() keeps delays and frames, and returns a GIF without visible background unchanged", async () => {
  const going = handGif(40, 40, [
    { at: MIDDLE, colour: RED },
    { at: MIDDLE, colour: GREEN, disposal: 2 },
    { at: CORNER, colour: BLUE, disposal: 2 },
  ]);
  const facts = async (bytes: Buffer) => {
    const { pages, delay, width, height } = await sharp(bytes, { animated: true }).metadata();
    return { pages, delay, width, height };
  };
  expect(await facts(withClearBackground(going))).toEqual(await facts(going));
  const covered = handGif(40, 40, [
    { at: WHOLE, colour: RED, disposal: 2 },
    { at: WHOLE, colour: GREEN, disposal: 2 },
  ]);
  expect(withClearBackground(covered)).toBe(covered);
});

test("withClearBackground() does not change a frame that may use every index", () => {
  const full = handGif(40, 40, [{ at: MIDDLE, colour: RED }], { bits: 8 });
  expect(withClearBackground(full)).toBe(full);
});
