import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { eachEncodedFrame, throughLibvips } from "../../../../../src/serve/image/process/animation.ts";
import { handGif } from "../../../../helpers/gif.ts";
import { renderText } from "../../../../helpers/rendering.ts";

const [WIDTH, HEIGHT, FRAMES] = [120, 90, 4];

/**
 * Dark above and light below, so that the end of a frame differs from the start of the next; a bar identifies frames.
 */
function frame(index: number): Buffer {
  const data = Buffer.alloc(WIDTH * HEIGHT * 3);
  for (let at = 0; at < data.length; at += 3) {
    const [x, y] = [(at / 3) % WIDTH, Math.floor(at / 3 / WIDTH)];
    data.fill(x > 40 && x < 50 + index * 4 ? 128 : y < HEIGHT / 2 ? 20 : 235, at, at + 3);
  }
  return data;
}

function moving(): Promise<Buffer> {
  const raw = { width: WIDTH, height: HEIGHT * FRAMES, channels: 3, pageHeight: HEIGHT } as const;
  const frames = Buffer.concat(Array.from({ length: FRAMES }, (_, index) => frame(index)));
  return sharp(frames, { raw })
    .webp({ lossless: true, delay: Array(FRAMES).fill(100) })
    .toBuffer();
}

const still = (index: number) =>
  sharp(frame(index), { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
    .png()
    .toBuffer();

/** Grey values of a column, from the top. */
async function column(bytes: Buffer, page = 0): Promise<number[]> {
  const { data, info } = await sharp(bytes, { page })
    .flatten({ background: "#fff" })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const middle = Math.floor(info.width * 0.8);
  return Array.from({ length: info.height }, (_, y) => data[(y * info.width + middle) * info.channels]!);
}

test.each([
  "imageView2/2/w/60",
  "imageView2/2/w/77",
  "imageView2/3/w/300",
  "imageMogr2/crop/70x50",
  "imageMogr2/rotate/30",
  "imageMogr2/blur/10x5",
  "imageMogr2/sharpen/300",
  "imageMogr2/thumbnail/60x/blur/10x5",
])("%s gives each frame of an animation the same result as the frame alone", async (instruction) => {
  const all = await renderText(await moving(), `${instruction}|imageMogr2/quality/100!`);
  expect(all.image.frames).toBe(FRAMES);
  for (let page = 0; page < FRAMES; page += 1) {
    const alone = await column((await renderText(await still(page), `${instruction}|imageMogr2/format/png`)).bytes);
    const together = await column(all.bytes, page);
    const furthest = Math.max(...alone.map((value, at) => Math.abs(value - (together[at] ?? -1000))));
    // WebP loses a little; a frame mixed with the next one would differ by tens.
    expect(furthest).toBeLessThan(14);
  }
});

test("eachEncodedFrame() gives the same result for any number of frames opened at a time", async () => {
  const bytes = await moving();
  const opened: number[] = [];
  const encoded = {
    open: ({ page, pages }: { page: number; pages: number }) => {
      opened.push(pages);
      return sharp(bytes, { page, pages });
    },
    frames: FRAMES,
  };
  const work = throughLibvips((image) => image.resize(30));
  const together = await eachEncodedFrame({ ...encoded, size: { width: WIDTH, height: HEIGHT } }, work);
  // Simulates frames so large that three fill a part.
  const inParts = await eachEncodedFrame({ ...encoded, size: { width: 1000, height: 2796 } }, work);
  expect(opened).toEqual([4, 3, 1]);
  expect(inParts.data.equals(together.data)).toBe(true);
  expect([inParts.width, inParts.frames]).toEqual([30, FRAMES]);
});

describe("equal neighbouring frames that are merged", () => {
  const [RED, GREEN] = [0, 1];
  const frames = (delays: readonly number[]) =>
    handGif(
      8,
      8,
      delays.map((delay, index) => ({ at: [0, 0, 8, 8], colour: index < 2 ? RED : GREEN, disposal: 1, delay })),
    );

  test.each([
    [
      [1, 1, 50],
      [200, 500],
    ],
    [
      [0, 5, 7],
      [150, 70],
    ],
    [
      [1, 2, 3],
      [120, 30],
    ],
    [
      [10, 20, 30],
      [300, 300],
    ],
  ])("%j hundredths are shown for %j ms", async (delays, expected) => {
    for (const text of ["imageMogr2/strip", "imageMogr2/rotate/90", "imageMogr2/format/webp"]) {
      const { bytes } = await renderText(frames(delays), text);
      expect((await sharp(bytes, { animated: true }).metadata()).delay, text).toEqual(expected);
    }
  });

  test("short delays of a WebP stay short in a GIF", async () => {
    const raw = { width: 8, height: 16, channels: 3, pageHeight: 8 } as const;
    const two = Buffer.alloc(8 * 16 * 3).fill(200, 8 * 8 * 3);
    const webp = await sharp(two, { raw })
      .webp({ delay: [18, 18] })
      .toBuffer();
    const { bytes } = await renderText(webp, "imageMogr2/format/gif");
    expect((await sharp(bytes, { animated: true }).metadata()).delay).toEqual([20, 20]);
  });
});
