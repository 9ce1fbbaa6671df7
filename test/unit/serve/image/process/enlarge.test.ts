import sharp from "sharp";
import { describe, expect, test } from "vitest";
import type { Size, Window } from "../../../../../src/serve/image/geometry/geometry.ts";
import { cutOut, type Pixels } from "../../../../../src/serve/image/pixels/pixels.ts";
import { enlarged, neededPart } from "../../../../../src/serve/image/process/enlarge.ts";
import { b64, renderText } from "../../../../helpers/rendering.ts";

const CORNER = { left: 0, top: 0 };

/** A smooth image that differs everywhere. */
function waves(width: number, height: number, channels: 3 | 4): Pixels {
  const data = Buffer.alloc(width * height * channels);
  for (let at = 0; at < data.length; at += 1) {
    const [x, y] = [Math.floor(at / channels) % width, Math.floor(at / channels / width)];
    data[at] = 128 + 60 * Math.sin(x / 2 + (at % channels)) + 60 * Math.cos(y / 1.5);
  }
  return { data, width, height, channels, frames: 1 };
}

/** One sample by definition: the sixteen pixels around it, with pixel centres at a half. */
function byTheBook({ data, width, height, channels }: Pixels, to: Size, x: number, y: number, channel: number): number {
  const curve = (d: number) =>
    d < 1 ? 1.5 * d ** 3 - 2.5 * d ** 2 + 1 : d < 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0;
  const [left, top] = [((x + 0.5) * width) / to.width - 0.5, ((y + 0.5) * height) / to.height - 0.5];
  const within = (at: number, length: number) => Math.min(length - 1, Math.max(0, at));
  let [sum, alpha] = [0, 0];
  for (let v = Math.floor(top) - 1; v <= Math.floor(top) + 2; v += 1)
    for (let u = Math.floor(left) - 1; u <= Math.floor(left) + 2; u += 1) {
      const at = (within(v, height) * width + within(u, width)) * channels;
      const weight = curve(Math.abs(left - u)) * curve(Math.abs(top - v));
      const opacity = channels === 4 ? data[at + 3]! / 255 : 1;
      alpha += weight * opacity;
      sum += weight * data[at + channel]! * (channel === 3 ? 1 : opacity);
    }
  return Math.min(255, Math.max(0, channel === 3 ? sum : sum / alpha));
}

describe("enlarged()", () => {
  test.each([
    [3, 40, 30],
    [3, 21, 60],
    [3, 20, 16],
    [3, 200, 15],
    [4, 47, 33],
  ] as const)("of %i channels to %i×%i is what the curve says", (channels, width, height) => {
    const picture = waves(20, 15, channels);
    const to = { width, height };
    const { data } = enlarged(picture, { from: picture, to, window: { ...CORNER, ...to } }, CORNER);
    for (let at = 0; at < data.length; at += 1) {
      const [x, y] = [Math.floor(at / channels) % width, Math.floor(at / channels / width)];
      expect(Math.abs(data[at]! - byTheBook(picture, to, x, y, at % channels))).toBeLessThan(0.6);
    }
  });

  test.each<Window>([
    { left: 0, top: 0, width: 1, height: 1 },
    { left: 70, top: 40, width: 20, height: 30 },
    { left: 99, top: 0, width: 1, height: 75 },
    { left: 3, top: 74, width: 97, height: 1 },
  ])("makes the window %o from the needed part as from the whole", (window) => {
    const picture = waves(20, 15, 4);
    const to = { width: 100, height: 75 };
    const whole = enlarged(picture, { from: picture, to, window: { ...CORNER, ...to } }, CORNER);
    const part = neededPart({ from: picture, to, window });
    expect(part.width * part.height).toBeLessThanOrEqual((window.width / 5 + 4) * (window.height / 5 + 4));
    const cut = { ...cutOut(picture, part), channels: 4, frames: 1 } as const;
    expect(enlarged(cut, { from: picture, to, window }, part).data).toEqual(cutOut(whole, window).data);
  });

  test("does not change an axis that keeps its length", () => {
    const picture = waves(20, 15, 3);
    const to = { width: 20, height: 15 };
    expect(enlarged(picture, { from: picture, to, window: { ...CORNER, ...to } }, CORNER).data).toEqual(picture.data);
  });

  test("ignores the colour of transparent pixels", () => {
    const data = Buffer.alloc(10 * 10 * 4);
    for (let at = 0; at < data.length; at += 4) data.fill(at % 40 < 20 ? 0xff : 0, at, at + 4);
    const picture = { data, width: 10, height: 10, channels: 4, frames: 1 } as const;
    const to = { width: 37, height: 31 };
    const made = enlarged(picture, { from: picture, to, window: { ...CORNER, ...to } }, CORNER).data;
    for (let at = 0; at < made.length; at += 4) if (made[at + 3]! > 2) expect(made[at]).toBeGreaterThanOrEqual(254);
  });
});

/** A black image with a white bar or field in the middle. */
function bar(width: number, height: number, across: number, down: number, frames = 1) {
  const data = Buffer.alloc(width * height * frames * 3);
  for (let at = 0; at < data.length; at += 3) {
    const [x, y] = [(at / 3) % width, Math.floor(at / 3 / width) % height];
    const isLight = Math.abs(x + 0.5 - width / 2) * 2 < across && Math.abs(y + 0.5 - height / 2) * 2 < down;
    // Prevents encoders from merging the two frames.
    if (isLight) data.fill(frames > 1 && at > data.length / 2 ? 0xc0 : 0xff, at, at + 3);
  }
  return sharp(data, {
    raw: { width, height: height * frames, channels: 3, ...(frames > 1 && { pageHeight: height }) },
  });
}

/** Distance of the light area from the middle of a page, in pixels. */
async function offTheMiddle(bytes: Buffer, page = 0): Promise<readonly [x: number, y: number]> {
  const { data, info } = await sharp(bytes, { page }).flatten().greyscale().raw().toBuffer({ resolveWithObject: true });
  let [sum, x, y] = [0, 0, 0];
  for (const [at, value] of data.entries()) {
    sum += value;
    x += value * ((at % info.width) + 0.5);
    y += value * (Math.floor(at / info.width) + 0.5);
  }
  return [x / sum - info.width / 2, y / sum - info.height / 2];
}

describe("an enlarged image is not shifted", () => {
  const SIZES = ["402x82", "402x41", "202x41", "804x164", "402x20", "100x82"] as const;
  const instructions = SIZES.map((size) => `imageMogr2/thumbnail/${size}!`);
  const covered = ["imageMogr2/crop/301x300", "imageMogr2/gravity/center/crop/501x11", "imageView2/1/w/501/h/82"];

  async function expectMiddle(bytes: Buffer, instruction: string, pages = 1): Promise<void> {
    const rendered = await renderText(
      bytes,
      `${instruction}|imageMogr2/format/${pages > 1 ? "webp" : "png"}/quality/100!`,
    );
    for (let page = 0; page < pages; page += 1)
      for (const off of await offTheMiddle(rendered.bytes, page)) expect(Math.abs(off)).toBeLessThan(0.12);
  }

  test.each([...instructions, ...covered])("%s", async (instruction) => {
    await expectMiddle(await bar(201, 41, 11, 5).png().toBuffer(), instruction);
    const tagged = bar(201, 41, 11, 5).withExif({ IFD0: { Make: "Canon" } });
    await expectMiddle(await tagged.png().toBuffer(), instruction);
  });

  test.each(instructions)("%s, on every frame", async (instruction) => {
    await expectMiddle(await bar(201, 41, 11, 5, 2).webp({ lossless: true }).toBuffer(), instruction, 2);
  });

  test("by an enlarged watermark", async () => {
    const url = "http://h/watermark.png";
    const watermark = await bar(51, 51, 11, 11).png().toBuffer();
    const ground = await bar(102, 102, 0, 0).png().toBuffer();
    const steps = `watermark/1/image/${b64(url)}/scatype/1/spcent/1000/dissolve/100`;
    const { bytes } = await renderText(ground, steps, { watermarks: { [url]: watermark } });
    for (const off of await offTheMiddle(bytes)) expect(Math.abs(off)).toBeLessThan(0.12);
  });
});

test.each(["imageMogr2/thumbnail/200x40!", "imageMogr2/thumbnail/101x40!", "imageMogr2/thumbnail/!300px"])(
  "%s leaves every row as it is",
  async (instruction) => {
    const data = Buffer.alloc(100 * 40 * 3, 0);
    for (let row = 0; row < 40; row += 2) data.fill(0xff, row * 300, row * 300 + 300);
    const rows = await sharp(data, { raw: { width: 100, height: 40, channels: 3 } })
      .png()
      .toBuffer();
    const made = await sharp((await renderText(rows, instruction)).bytes)
      .raw()
      .toBuffer({ resolveWithObject: true });
    const at = (row: number) => made.data[(row * made.info.width + 50) * made.info.channels];
    expect(Array.from({ length: 40 }, (_, row) => at(row))).toEqual(
      Array.from({ length: 40 }, (_, row) => (row % 2 === 0 ? 255 : 0)),
    );
  },
);

test("an enlarged image keeps its EXIF and orientation, and a JPEG its colours", async () => {
  const tagged = bar(60, 40, 20, 20)
    .withExif({ IFD0: { Make: "Canon" } })
    .withMetadata({ orientation: 6 });
  const { bytes } = await renderText(await tagged.jpeg({ quality: 95 }).toBuffer(), "imageMogr2/thumbnail/!200p");
  const { exif, orientation, width, height } = await sharp(bytes).metadata();
  expect([exif?.includes("Canon"), orientation, width, height]).toEqual([true, 6, 120, 80]);
  const upright = await renderText(bytes, "imageMogr2/auto-orient/thumbnail/!150p/format/png");
  expect([upright.image.width, upright.image.height]).toEqual([120, 180]);
});
