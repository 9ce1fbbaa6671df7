import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { b64, renderText } from "../../../../helpers/rendering.ts";

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

/** libvips shifts an enlarged image by half a pixel of the result. */
const MOST_OFF = 0.55;

describe("an enlarged image is shifted by no more than half a pixel", () => {
  const SIZES = ["402x82", "402x41", "202x41", "804x164", "402x20", "100x82"] as const;
  const instructions = SIZES.map((size) => `imageMogr2/thumbnail/${size}!`);
  const covered = ["imageMogr2/crop/301x300", "imageMogr2/gravity/center/crop/501x11", "imageView2/1/w/501/h/82"];

  async function expectMiddle(bytes: Buffer, instruction: string, pages = 1): Promise<void> {
    const rendered = await renderText(
      bytes,
      `${instruction}|imageMogr2/format/${pages > 1 ? "webp" : "png"}/quality/100!`,
    );
    for (let page = 0; page < pages; page += 1)
      for (const off of await offTheMiddle(rendered.bytes, page)) expect(Math.abs(off)).toBeLessThan(MOST_OFF);
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
    for (const off of await offTheMiddle(bytes)) expect(Math.abs(off)).toBeLessThan(MOST_OFF);
  });
});

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
