import { createHash } from "node:crypto";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { readExif } from "../../../../../src/serve/image/formats/exif.ts";
import { jpegWithThumbnail } from "../../../../helpers/images.ts";
import {
  animation,
  BLUE,
  b64,
  GREEN,
  quadrants,
  RED,
  type RenderOptions,
  renderText,
  solid,
  WHITE,
} from "../../../../helpers/rendering.ts";

const WATERMARK = "http://h/watermark.png";

async function told(bytes: Buffer, text: string, options?: RenderOptions): Promise<unknown> {
  const rendered = await renderText(bytes, text, options);
  expect(rendered.mediaType).toBe("application/json");
  return JSON.parse(rendered.bytes.toString());
}

const RED_TEXT = "0xdc2828";

describe("imageInfo", () => {
  test.each(["jpeg", "png", "gif", "webp", "avif"] as const)("of a %s has only strings as values", async (format) => {
    const bytes = await solid(96, 54, RED)
      .toFormat(format, format === "jpeg" ? { quality: 100 } : {})
      .toBuffer();
    const info = (await told(bytes, "imageInfo")) as Record<string, string>;
    expect(info).toEqual({
      format,
      width: "96",
      height: "54",
      size: String(bytes.length),
      md5: createHash("md5").update(bytes).digest("hex"),
      frame_count: "1",
      photo_rgb: expect.stringMatching(/^0x[0-9a-f]{6}$/),
    });
    if (format === "png") expect(info.photo_rgb).toBe(RED_TEXT);
  });

  test("reads a BMP and an animation", async () => {
    const bmp = (await renderText(await solid(9, 5, RED).png().toBuffer(), "imageView2/2/format/bmp")).bytes;
    expect(await told(bmp, "imageInfo")).toMatchObject({ format: "bmp", width: "9", photo_rgb: RED_TEXT });
    const gif = await animation(20, 10, [RED, GREEN, BLUE]).gif().toBuffer();
    expect(await told(gif, "imageInfo")).toMatchObject({ width: "20", height: "10", frame_count: "3" });
  });

  test("reports stored sizes, or the result of the operations before it", async () => {
    const bytes = await quadrants(100, 50).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect(await told(bytes, "imageInfo")).toMatchObject({ width: "100", height: "50", format: "jpeg" });
    const piped = { width: "40", height: "20", format: "webp" };
    expect(await told(bytes, "imageView2/2/w/40/format/webp|imageInfo")).toMatchObject(piped);
  });

  test.each(["gif", "webp"] as const)(
    "of a %s counts the frames that were written, not those that were equal",
    async (format) => {
      const source = await animation(20, 10, [RED, GREEN, BLUE]).webp({ lossless: true }).toBuffer();
      const cover = `watermark/1/image/${b64(WATERMARK)}/scatype/1/spcent/600/dissolve/100|imageMogr2/crop/!8x5a12a5/format/${format}`;
      const watermarks = { [WATERMARK]: await solid(10, 10, WHITE).png().toBuffer() };
      const made = await renderText(source, cover, { watermarks });
      const asked = await told(made.bytes, "imageInfo");
      const piped = await told(source, `${cover}|imageInfo`, { watermarks });
      expect(asked).toMatchObject({ frame_count: "1" });
      expect(piped).toEqual(asked);
    },
  );
});

test.each(["png", "jpeg"] as const)("imageAve of a thin %s averages all its pixels", async (format) => {
  for (const [width, height] of [
    [300, 3000],
    [5000, 3],
    [3, 4000],
  ] as const) {
    const left = Math.round(width / 3);
    const picture = solid(width, height, [0, 0, 0]).composite([
      { input: await solid(left, height, [240, 240, 240]).png().toBuffer(), left: 0, top: 0 },
    ]);
    const source = await (format === "png" ? picture.png() : picture.jpeg({ quality: 95 })).toBuffer();
    const red = Number.parseInt(((await told(source, "imageAve")) as { RGB: string }).RGB.slice(2, 4), 16);
    expect(Math.abs(red - (240 * left) / width), `${width}×${height}`).toBeLessThan(4);
  }
});

test("imageAve averages transparent pixels on white", async () => {
  expect(await told(await solid(10, 10, RED).png().toBuffer(), "imageAve")).toEqual({ RGB: RED_TEXT });
  expect(await told(await solid(10, 10, RED, 0).png().toBuffer(), "imageAve")).toEqual({ RGB: "0xffffff" });
  const { data, info } = await quadrants(300, 200).raw().toBuffer({ resolveWithObject: true });
  const half = await sharp(data, { raw: { width: info.width, height: info.height, channels: 3 } })
    .greyscale()
    .png()
    .toBuffer();
  expect(await told(half, "imageAve")).toEqual({ RGB: expect.stringMatching(/^0x(..)\1\1$/) });
});

describe("exif", () => {
  test("returns each value with its type", async () => {
    const exif = {
      IFD0: { Make: "Canon", Model: "EOS" },
      IFD2: { ExposureTime: "1/125", FNumber: "28/10" },
    };
    const bytes = await solid(10, 10, RED).withExif(exif).jpeg().toBuffer();
    expect(await told(bytes, "exif")).toMatchObject({
      ExifVersion: { val: expect.stringMatching(/^02\d\d$/), type: 7 },
      Make: { val: "Canon", type: 2 },
      Model: { val: "EOS", type: 2 },
      ExposureTime: { val: "1/125", type: 5 },
      FNumber: { val: "28/10", type: 5 },
    });
    expect(await told(bytes, "imageMogr2/thumbnail/5x|exif")).toMatchObject({ Make: { val: "Canon", type: 2 } });
    expect(await told(bytes, "imageMogr2/strip|exif")).toEqual({ error: "no exif data" });
  });

  test("returns an error member for an image without EXIF", async () => {
    expect(await told(await solid(9, 9, RED).png().toBuffer(), "exif")).toEqual({ error: "no exif data" });
    const bmp = (await renderText(await solid(9, 5, RED).png().toBuffer(), "imageView2/2/format/bmp")).bytes;
    expect(await told(bmp, "exif")).toEqual({ error: "no exif data" });
  });

  test("ignores a thumbnail", async () => {
    expect(await told(await jpegWithThumbnail(64, 48), "exif")).toEqual({ Orientation: { val: "1", type: 3 } });
  });
});

describe("readExif() ends on a hostile block", () => {
  /** A little-endian block whose first directory, at 8, has these entries: tag, type, count, value. */
  function block(entries: readonly (readonly [number, number, number, number])[], count = entries.length): Buffer {
    const bytes = Buffer.alloc(10 + entries.length * 12 + 4);
    bytes.write("II*\0", 0, "latin1");
    bytes.writeUInt32LE(8, 4);
    bytes.writeUInt16LE(count, 8);
    entries.forEach(([tag, type, amount, value], index) => {
      const at = 10 + index * 12;
      bytes.writeUInt16LE(tag, at);
      bytes.writeUInt16LE(type, at + 2);
      bytes.writeUInt32LE(amount, at + 4);
      bytes.writeUInt32LE(value, at + 8);
    });
    return bytes;
  }

  test.each([
    ["a directory that is its own", block([[34665, 4, 1, 8]]), undefined],
    ["more entries than bytes", block([[274, 3, 1, 6]], 65_535), { Orientation: { val: "6", type: 3 } }],
    ["a text of four gigabytes", block([[271, 2, 0xffffffff, 8]]), undefined],
    ["numbers without end", block([[529, 5, 0xffffffff, 8]]), undefined],
    ["a value outside", block([[271, 2, 100, 0xfffffff0]]), undefined],
    ["a directory outside", block([[34665, 4, 1, 0xfffffff0]]), undefined],
    ["an unknown type", block([[271, 99, 1, 8]]), undefined],
    ["nothing", Buffer.alloc(0), undefined],
    ["two letters", Buffer.from("II"), undefined],
  ])("%s", (_what, bytes, expected) => {
    expect(readExif(bytes)).toEqual(expected);
  });
});
