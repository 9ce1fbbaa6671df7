import sharp, { type Sharp } from "sharp";
import { describe, expect, test } from "vitest";
import { readJpegHead } from "../../../../../src/serve/image/formats/jpeg-head.ts";
import { jpegWithThumbnail, noisyJpeg, progressiveJpeg, withExifEntries } from "../../../../helpers/images.ts";
import { withGreyProfile } from "../../../../helpers/png.ts";
import {
  animation,
  BLUE,
  b64,
  colourAt,
  difference,
  distance,
  GREEN,
  quadrants,
  RED,
  renderText,
  solid,
  WHITE,
  YELLOW,
} from "../../../../helpers/rendering.ts";
import { needs } from "../../../../helpers/services.ts";

const CORNERS = [
  [0.25, 0.25],
  [0.75, 0.25],
  [0.25, 0.75],
  [0.75, 0.75],
] as const;
const JPEG_START = Buffer.from([0xff, 0xd8, 0xff]);
const NAMES = [
  [RED, "red"],
  [GREEN, "green"],
  [BLUE, "blue"],
  [YELLOW, "yellow"],
  [WHITE, "white"],
] as const;

/** The colours in the centres of the four quadrants: `red green blue yellow`. */
async function seen(bytes: Buffer, page = 0): Promise<string> {
  const colours = await Promise.all(CORNERS.map(([x, y]) => colourAt(bytes, x, y, page)));
  return colours
    .map((colour) => NAMES.find(([each]) => difference(each, colour) < 24)?.[1] ?? String(colour))
    .join(" ");
}

const size = ({ image }: { image: { width: number; height: number } }) => `${image.width}x${image.height}`;

describe("sizes of real images", () => {
  test.each([
    ["imageView2/1/w/500/h/400", "500x400"],
    ["imageView2/2/w/500/h/400", "500x250"],
    ["imageView2/3/w/500/h/400", "800x400"],
    ["imageView2/0/w/500/h/400", "500x250"],
    ["imageView2/4/w/500/h/400", "800x400"],
    ["imageView2/5/w/500/h/400", "500x400"],
    ["imageMogr2/thumbnail/!50p", "500x250"],
    ["imageMogr2/thumbnail/!50px", "500x500"],
    ["imageMogr2/thumbnail/!x50p", "1000x250"],
    ["imageMogr2/thumbnail/400x400!", "400x400"],
    ["imageMogr2/thumbnail/125000@", "500x250"],
    ["imageMogr2/crop/!300x200-20a20", "280x200"],
    ["imageMogr2/scrop/300x200", "300x200"],
    ["imageMogr2/thumbnail/300x300/pad/1", "300x300"],
    ["imageMogr2/iradius/100", "200x200"],
    ["imageMogr2/rotate/90", "500x1000"],
    ["imageMogr2/thumbnail/200x/rotate/90/thumbnail/50x/crop/!20x20a5a5/blur/2x2/rotate/30", "27x27"],
  ])("%s of 1000×500 is %s", async (instruction, expected) => {
    const source = await quadrants(1000, 500).jpeg().toBuffer();
    const rendered = await renderText(source, instruction);
    expect(size(rendered)).toBe(expected);
    const { width, height } = await sharp(rendered.bytes).metadata();
    expect(`${width}x${height}`).toBe(expected);
  });
});

describe("orientation and position", () => {
  test.each([
    ["imageMogr2/gravity/northwest/crop/100x100", 200, "red red red red"],
    ["imageMogr2/crop/!90x90a5a5", 200, "red red red red"],
    ["imageMogr2/crop/!90x90a105a5", 200, "green green green green"],
    ["imageMogr2/crop/!150x150-50-50", 200, "red red red red"],
    ["imageMogr2/cut/90x90x5x105", 200, "blue blue blue blue"],
    ["imageMogr2/rotate/90", 200, "blue red yellow green"],
    ["imageMogr2/rotate/180", 200, "yellow blue green red"],
    ["imageMogr2/rotate/270/rotate/90", 200, "red green blue yellow"],
    ["imageMogr2/rotate/90/crop/!90x90a5a5", 200, "blue blue blue blue"],
    ["imageMogr2/crop/!90x200a105a0/rotate/90", 200, "yellow green yellow green"],
    ["imageMogr2/thumbnail/400x/crop/!190x190a205a205", 200, "yellow yellow yellow yellow"],
    ["imageMogr2/crop/!90x90a5a105/thumbnail/20x/crop/!10x10a5a5", 200, "blue blue blue blue"],
  ])("%s shows %s", async (instruction, side, expected) => {
    const source = await quadrants(side, side).png().toBuffer();
    // A scaling crop of the same proportions would show everything.
    const start = instruction.includes("gravity") ? "imageMogr2/crop/!200x100a0a0|" : "";
    const { bytes } = await renderText(source, start + instruction);
    expect(await seen(bytes)).toBe(expected);
  });

  test.each([
    ["northwest", "red red red red"],
    ["north", "red green red green"],
    ["southeast", "green green green green"],
    ["center", "red green red green"],
  ])("gravity %s keeps its part of a wide image", async (gravity, expected) => {
    // 200×100 from the upper half, cropped to a square of its height.
    const source = await quadrants(200, 200).extract({ left: 0, top: 0, width: 200, height: 100 }).png().toBuffer();
    const { bytes } = await renderText(source, `imageMogr2/gravity/${gravity}/crop/100x100`);
    expect(await seen(bytes)).toBe(expected);
  });

  test.each([
    ["northeast", "red red red red"],
    ["west", "red red blue blue"],
    ["south", "blue blue blue blue"],
  ])("gravity %s keeps its part of a tall image", async (gravity, expected) => {
    const source = await quadrants(200, 200).extract({ left: 0, top: 0, width: 100, height: 200 }).png().toBuffer();
    const { bytes } = await renderText(source, `imageMogr2/gravity/${gravity}/crop/100x100`);
    expect(await seen(bytes)).toBe(expected);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "auto-orient turns orientation %i upright, also before a crop",
    async (orientation) => {
      // Stored so that a viewer sees red green blue yellow.
      const source = await stored(200, 100, orientation);
      const upright = await renderText(source, "imageMogr2/auto-orient");
      expect([size(upright), await seen(upright.bytes)]).toEqual(["200x100", "red green blue yellow"]);
      expect((await sharp(upright.bytes).metadata()).orientation ?? 1).toBe(1);
      const cut = await renderText(source, "imageMogr2/auto-orient/crop/!90x40a105a5");
      expect([size(cut), await seen(cut.bytes)]).toEqual(["90x40", "green green green green"]);
      const scaled = await renderText(source, "imageMogr2/auto-orient/thumbnail/50x/crop/!20x10a2a13");
      expect([size(scaled), await seen(scaled.bytes)]).toEqual(["20x10", "blue blue blue blue"]);
      const turned = await renderText(source, "imageMogr2/auto-orient/rotate/90");
      expect([size(turned), await seen(turned.bytes)]).toEqual(["100x200", "blue red yellow green"]);
      const late = await renderText(source, "imageMogr2/blur/1x1/thumbnail/!50p/auto-orient");
      expect([size(late), await seen(late.bytes)]).toEqual(["100x50", "red green blue yellow"]);
    },
  );

  test.each([
    ["as it should be", [[274, 3, 1, 6]], true],
    ["as a text", [[274, 2, 2, 0x36]], false],
    ["without a type", [[274, 7, 1, 6]], false],
    ["twice over", [[274, 3, 2, 6]], true],
    [
      "after another",
      [
        [274, 3, 1, 1],
        [274, 3, 1, 6],
      ],
      false,
    ],
    [
      "before another",
      [
        [274, 3, 1, 6],
        [274, 3, 1, 1],
      ],
      true,
    ],
  ] as const)("how an image lies is what libvips believes: told %s", async (_how, entries, isTurned) => {
    const source = withExifEntries(await quadrants(80, 40).jpeg().toBuffer(), entries);
    const [whole, part] = isTurned ? ["40x80", "30x60"] : ["80x40", "30x40"];
    for (const [text, expected] of [
      ["imageMogr2/auto-orient", whole],
      ["imageMogr2/auto-orient/thumbnail/!50p", isTurned ? "20x40" : "40x20"],
      ["imageMogr2/auto-orient/crop/!30x60a0a0", part],
    ] as const) {
      const rendered = await renderText(source, text);
      const { width, height } = await sharp(rendered.bytes).metadata();
      expect([text, size(rendered), `${width}x${height}`]).toEqual([text, expected, expected]);
    }
  });

  test("without auto-orient the stored pixels count and the tag stays, unless strip is given", async () => {
    const source = await stored(200, 100, 6);
    const { bytes, image } = await renderText(source, "imageView2/2/w/50");
    expect([image.width, image.height]).toEqual([50, 100]);
    expect((await sharp(bytes).metadata()).orientation).toBe(6);
    const stripped = await renderText(source, "imageMogr2/strip");
    expect((await sharp(stripped.bytes).metadata()).exif).toBeUndefined();
    const passes = await renderText(source, "imageMogr2/blur/1x1/thumbnail/40x");
    expect((await sharp(passes.bytes).metadata()).orientation).toBe(6);
  });

  test("an AVIF of a photograph stored sideways is shown like its JPEG", async () => {
    const source = await stored(200, 100, 6);
    const { bytes, image } = await renderText(source, "imageMogr2/format/avif");
    // AVIF decoders turn the image themselves.
    const { width, height } = await sharp(bytes).metadata();
    expect([width, height, await seen(bytes)]).toEqual([200, 100, "red green blue yellow"]);
    expect(image).toMatchObject({ width: 200, height: 100 });
    for (const steps of ["auto-orient", "strip"]) {
      const other = await renderText(source, `imageMogr2/${steps}/format/avif`);
      const { width, height } = await sharp(other.bytes).metadata();
      expect([steps, other.image.width, other.image.height]).toEqual([steps, width, height]);
    }
  });

  test("fill bytes before a marker hide neither EXIF nor orientation", async () => {
    const source = await stored(200, 100, 6);
    const padded = Buffer.concat([source.subarray(0, 2), Buffer.from([0xff, 0xff, 0xff]), source.subarray(2)]);
    const { image, bytes } = await renderText(padded, "imageMogr2/auto-orient/thumbnail/50x");
    expect([image.width, image.height]).toEqual([50, 25]);
    expect((await sharp(bytes).metadata()).exif).toBeDefined();
  });

  test.each(["jpg", "webp", "png"])(
    "a processed image has no thumbnail of its original in its EXIF: %s",
    async (format) => {
      const source = await jpegWithThumbnail(64, 48);
      for (const text of [
        "crop/!20x20",
        "blur/1x1/thumbnail/20x",
        "thumbnail/20x|watermark/2/text/aGk",
        "quality/50",
      ]) {
        const { bytes } = await renderText(source, `imageMogr2/format/${format}/${text}`);
        const { exif = Buffer.alloc(0) } = await sharp(bytes).metadata();
        expect([exif.length > 0, exif.includes(JPEG_START)]).toEqual([true, false]);
      }
      for (const other of ["webp", "png"] as const) {
        const kept = await sharp(source).keepExif().toFormat(other).toBuffer();
        expect((await sharp(kept).metadata()).exif?.includes(JPEG_START)).toBe(true);
        const { bytes } = await renderText(kept, `imageView2/2/w/20/format/${format}`);
        const { exif = Buffer.alloc(0) } = await sharp(bytes).metadata();
        expect([exif.length > 0, exif.includes(JPEG_START)]).toEqual([true, false]);
      }
    },
  );

  test("size-limit with ! returns the bytes of the original if it is smaller", async () => {
    const source = await jpegWithThumbnail(64, 48);
    const { bytes } = await renderText(source, "imageMogr2/quality/100!/size-limit/9m!");
    expect(bytes.equals(source)).toBe(true);
  });

  test("size-limit keeps EXIF and orientation, unless strip is given", async () => {
    const source = await sharp(await noisyJpeg(200, 100))
      .withExif({ IFD0: { Copyright: "Huiyuan", Make: "Camera" } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    for (const limit of ["1m", "4k"]) {
      const { bytes } = await renderText(source, `imageMogr2/size-limit/${limit}`);
      const { orientation, exif } = await sharp(bytes).metadata();
      expect([orientation, exif?.includes("Camera")], limit).toEqual([6, true]);
    }
    const stripped = await renderText(source, "imageMogr2/strip/size-limit/1m");
    expect((await sharp(stripped.bytes).metadata()).exif).toBeUndefined();
  });

  test.each([
    ["thumbnail/640x/size-limit/1m!", "jpeg", "64x48", true],
    ["quality/100!/size-limit/9m!|watermark/2/text/QUJD", "jpeg", "64x48", true],
    ["thumbnail/32x/size-limit/1m!", "jpeg", "32x24", false],
    ["thumbnail/640x/size-limit/1m", "jpeg", "640x480", false],
    ["strip/quality/100!/size-limit/1m!", "jpeg", "64x48", false],
    ["format/png/size-limit/1m!", "png", "64x48", false],
    ["format/webp/quality/100!/size-limit/1m!", "webp", "64x48", false],
  ])("size-limit of %s is %s, %s, the original: %s", async (text, format, sides, isOriginal) => {
    const source = await sharp(await noisyJpeg(64, 48))
      .jpeg({ quality: 20 })
      .toBuffer();
    const rendered = await renderText(source, `imageMogr2/${text}`);
    expect([rendered.image.format, size(rendered), rendered.bytes.equals(source)]).toEqual([format, sides, isOriginal]);
  });

  test("interlace/0 alone makes a baseline JPEG", async () => {
    const { bytes } = await renderText(await progressiveJpeg(64, 48), "imageMogr2/interlace/0");
    expect((await sharp(bytes).metadata()).isProgressive).toBe(false);
  });

  test("a watermark on an opaque image leaves it opaque", async () => {
    const source = await solid(200, 100, BLUE).jpeg().toBuffer();
    for (const format of ["png", "webp", "avif"]) {
      const text = `watermark/2/text/${b64("opaque")}/fontsize/30|imageMogr2/format/${format}`;
      const { bytes } = await renderText(source, text);
      expect((await sharp(bytes).metadata()).hasAlpha, format).toBe(false);
    }
  });

  test("pad centres and fills", async () => {
    const source = await solid(200, 100, BLUE).png().toBuffer();
    const { bytes } = await renderText(source, `imageMogr2/thumbnail/100x100/pad/1/color/${b64("#DC2828")}`);
    expect(difference(await colourAt(bytes, 0.5, 0.1), RED)).toBeLessThan(4);
    expect(difference(await colourAt(bytes, 0.5, 0.5), BLUE)).toBeLessThan(4);
    expect(difference(await colourAt(bytes, 0.5, 0.9), RED)).toBeLessThan(4);
  });

  test.each([
    ["a JPEG", (grey: Sharp) => grey.jpeg().toBuffer()],
    ["a progressive JPEG", (grey: Sharp) => grey.jpeg({ progressive: true }).toBuffer()],
    ["a PNG", (grey: Sharp) => grey.png().toBuffer()],
    ["a PNG that may be clear", (grey: Sharp) => grey.ensureAlpha(1).png().toBuffer()],
    ["a JPEG with EXIF", async (grey: Sharp) => withExifEntries(await grey.jpeg().toBuffer(), [[274, 3, 1, 6]])],
  ])("pad gives a grey image a coloured background: %s", async (_what, written) => {
    const source = await written(solid(200, 100, [128, 128, 128]).toColourspace("b-w"));
    expect((await sharp(source).metadata()).channels).toBeLessThan(3);
    for (const text of ["thumbnail/100x100", "thumbnail/300x300!/thumbnail/100x100", "cut/50x50x0x0/blur/2x2"]) {
      const { bytes } = await renderText(
        source,
        `imageMogr2/${text}|imageMogr2/thumbnail/100x200/pad/1/color/${b64("#DC2828")}/format/png`,
      );
      expect(difference(await colourAt(bytes, 0.5, 0.02), RED), text).toBeLessThan(4);
      expect(difference(await colourAt(bytes, 0.5, 0.5), [128, 128, 128]), text).toBeLessThan(4);
    }
  });

  test.each([
    ["imageView2/1/w/200/h/150", "imageMogr2/thumbnail/300x300/pad/1", "imageMogr2/rotate/90"],
    ["imageView2/1/w/200/h/150", "imageMogr2/thumbnail/300x300/pad/1", "imageMogr2/thumbnail/150x"],
    ["imageView2/5/w/200/h/150", "imageMogr2/thumbnail/300x300/pad/1", "imageMogr2/format/bmp"],
    ["imageMogr2/crop/200x150", "imageMogr2/thumbnail/300x300/pad/1", "imageMogr2/crop/100x100"],
    ["imageMogr2/crop/200x150", "imageMogr2/thumbnail/300x200/pad/1", "imageMogr2/blur/3x2/rradius/20"],
    ["imageMogr2/thumbnail/400x/cut/200x150x10x10", "imageMogr2/thumbnail/300x200/pad/1", "imageMogr2/iradius/50"],
  ])("steps in one pass equal the same steps in three requests: %s|%s|%s", async (...parts) => {
    const picture = () => quadrants(1000, 800).png();
    // An intermediate image is plain pixels without EXIF, and a PNG with it.
    for (const source of [await picture().toBuffer(), await picture().withMetadata({ orientation: 6 }).toBuffer()]) {
      const atOnce = await renderText(source, `${parts.join("|")}|imageMogr2/format/png`);
      let bytes: Buffer = source;
      for (const part of parts) ({ bytes } = await renderText(bytes, `${part}|imageMogr2/format/png`));
      const { width, height } = await sharp(bytes).metadata();
      expect(size(atOnce)).toBe(`${width}x${height}`);
      expect(await distance(atOnce.bytes, bytes)).toBeLessThan(1);
    }
  });

  test("scrop keeps the point of attention", async () => {
    const detail = await solid(60, 60, RED).png().toBuffer();
    const source = await sharp({ create: { width: 600, height: 100, channels: 3, background: "#808080" } })
      .composite([{ input: detail, left: 520, top: 20 }])
      .png()
      .toBuffer();
    for (const text of ["scrop/100x100", "scrop/50x50", "blur/1x1/scrop/80x90", "rotate/90/scrop/100x100"]) {
      const { bytes } = await renderText(source, `imageMogr2/${text}`);
      const [red, green] = (await sharp(bytes).stats()).channels;
      expect(red!.mean, text).toBeGreaterThan(green!.mean + 50);
    }
  });
});

/** A JPEG that viewers show, by its orientation tag, as quadrants of this size. */
async function stored(width: number, height: number, orientation: number): Promise<Buffer> {
  const shown = quadrants(width, height);
  const undo: Record<number, (image: Sharp) => Promise<Buffer>> = {
    1: (image) => image.png().toBuffer(),
    2: (image) => image.flop().png().toBuffer(),
    3: (image) => image.rotate(180).png().toBuffer(),
    4: (image) => image.flip().png().toBuffer(),
    5: async (image) =>
      sharp(await image.rotate(90).png().toBuffer())
        .flop()
        .png()
        .toBuffer(),
    6: (image) => image.rotate(270).png().toBuffer(),
    7: async (image) =>
      sharp(await image.rotate(90).png().toBuffer())
        .flip()
        .png()
        .toBuffer(),
    8: (image) => image.rotate(90).png().toBuffer(),
  };
  return sharp(await undo[orientation]!(shown))
    .withMetadata({ orientation })
    .jpeg({ quality: 95 })
    .toBuffer();
}

describe("transparency", () => {
  test("iradius and rradius make corners transparent, or white if the format has no alpha", async () => {
    for (const operation of ["iradius/40", "rradius/40"]) {
      const png = await quadrants(100, 100).png().toBuffer();
      const clear = await renderText(png, `imageMogr2/${operation}`);
      expect((await colourAt(clear.bytes, 0, 0))[3]).toBe(0);
      expect((await colourAt(clear.bytes, 0.99, 0.99))[3]).toBe(0);
      expect(await colourAt(clear.bytes, 0.3, 0.3)).toEqual([...RED, 255]);
      const jpeg = await renderText(png, `imageMogr2/${operation}/format/jpg/quality/95!`);
      expect(difference(await colourAt(jpeg.bytes, 0, 0), WHITE)).toBeLessThan(12);
      expect(difference(await colourAt(jpeg.bytes, 0.3, 0.3), RED)).toBeLessThan(12);
    }
  });

  test.each(["jpg", "bmp"])("is flattened on white for %s", async (format) => {
    const source = await solid(40, 40, RED, 0).png().toBuffer();
    const { bytes } = await renderText(source, `imageView2/2/w/20/format/${format}`);
    const readable = format === "bmp" ? (await renderText(bytes, "imageView2/2/format/png")).bytes : bytes;
    expect(difference(await colourAt(readable, 0.5, 0.5), WHITE)).toBeLessThan(3);
  });

  test.each(["png", "webp", "avif"])("stays in %s", async (format) => {
    const source = await solid(40, 40, RED, 0.5).png().toBuffer();
    const { bytes } = await renderText(source, `imageView2/2/w/20/format/${format}`);
    expect(Math.abs((await colourAt(bytes, 0.5, 0.5))[3]! - 128)).toBeLessThan(4);
  });

  test("rotate by any angle makes transparent corners, in a JPEG white ones", async () => {
    const source = await solid(100, 100, BLUE).png().toBuffer();
    const png = await renderText(source, "imageMogr2/rotate/45");
    expect(png.image.width).toBeGreaterThan(139);
    expect((await colourAt(png.bytes, 0, 0))[3]).toBe(0);
    const jpeg = await renderText(source, "imageMogr2/rotate/45/format/jpg");
    expect(difference(await colourAt(jpeg.bytes, 0, 0), WHITE)).toBeLessThan(8);
  });
});

describe("formats", () => {
  test.each([
    ["jpg", "image/jpeg", "jpeg"],
    ["yjpeg", "image/jpeg", "jpeg"],
    ["png", "image/png", "png"],
    ["gif", "image/gif", "gif"],
    ["webp", "image/webp", "webp"],
    ["avif", "image/avif", "heif"],
  ])("format/%s is %s and looks like the source", async (format, mediaType, seenAs) => {
    const source = await quadrants(120, 80).png().toBuffer();
    const { bytes, mediaType: given } = await renderText(source, `imageView2/2/format/${format}`);
    expect(given).toBe(mediaType);
    expect((await sharp(bytes).metadata()).format).toBe(seenAs);
    expect(await distance(bytes, source)).toBeLessThan(6);
  });

  test("BMP can be written and read again", async () => {
    const source = await quadrants(31, 17).png().toBuffer();
    const { bytes, mediaType } = await renderText(source, "imageView2/2/format/bmp");
    expect([mediaType, bytes.toString("latin1", 0, 2)]).toEqual(["image/bmp", "BM"]);
    const back = await renderText(bytes, "imageView2/2/format/png");
    expect(await distance(back.bytes, source)).toBe(0);
    expect((await renderText(bytes, "imageView2/2/w/10")).mediaType).toBe("image/bmp");
  });

  test("without format the source's format is kept, and without any step its bytes", async () => {
    for (const format of ["jpeg", "png", "gif", "webp", "avif"] as const) {
      const source = await quadrants(64, 64).toFormat(format).toBuffer();
      expect((await renderText(source, "imageView2/2/w/32")).image.format).toBe(format);
      expect((await renderText(source, "imageView2/2")).bytes).toBe(source);
    }
  });

  test("interlace makes a progressive JPEG and does not affect a PNG", async () => {
    const source = await quadrants(100, 100).jpeg().toBuffer();
    const progressive = await renderText(source, "imageMogr2/interlace/1");
    expect((await sharp(progressive.bytes).metadata()).isProgressive).toBe(true);
    const plain = await renderText(source, "imageMogr2/thumbnail/50x");
    expect((await sharp(plain.bytes).metadata()).isProgressive).toBe(false);
    const optimised = async (more: string) =>
      (await sharp((await renderText(source, `imageMogr2/format/yjpeg${more}`)).bytes).metadata()).isProgressive;
    expect([await optimised(""), await optimised("/interlace/1"), await optimised("/interlace/0")]).toEqual([
      true,
      true,
      false,
    ]);
    const png = await renderText(source, "imageMogr2/interlace/1/format/png");
    expect((await sharp(png.bytes).metadata()).isProgressive).toBe(false);
  });

  test("CMYK, 16 bits, grey and another profile come out as sRGB", async () => {
    const cmyk = await solid(40, 40, RED).toColourspace("cmyk").jpeg({ quality: 95 }).toBuffer();
    expect((await sharp(cmyk).metadata()).space).toBe("cmyk");
    const deep = await solid(40, 40, RED).toColourspace("rgb16").png().toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe("ushort");
    const wide = await solid(40, 40, RED).withIccProfile("p3").png().toBuffer();
    for (const [source, tolerance] of [
      [cmyk, 45],
      [deep, 3],
      [wide, 6],
    ] as const) {
      for (const instruction of [
        "imageView2/2/w/20/format/png",
        "imageMogr2/rotate/90/blur/1x1/thumbnail/20x/format/png",
      ]) {
        const { bytes } = await renderText(source, instruction);
        const { space, depth, hasProfile } = await sharp(bytes).metadata();
        expect([space, depth, hasProfile]).toEqual(["srgb", "uchar", false]);
        expect(difference(await colourAt(bytes, 0.5, 0.5), RED)).toBeLessThan(tolerance);
      }
    }
    const grey = await quadrants(40, 40).greyscale().toColourspace("b-w").png().toBuffer();
    const passes = await renderText(grey, "imageMogr2/blur/1x1/thumbnail/20x/rotate/90");
    const [r, g, b] = await colourAt(passes.bytes, 0.25, 0.25);
    expect([r, g]).toEqual([g, b]);
  });

  test.each([
    ["autoAvif", [1_000, 1_000], 3, "avif"],
    ["autoAvif", [2_000, 1_100], 3, "webp"],
    ["autoWebp", [4_400, 4_500], 3, "webp"],
    ["autoWebp", [4_500, 4_500], 3, "jpeg"],
    ["autoAvif", [4_500, 4_500], 3, "jpeg"],
    ["autoWebp", [2_900, 2_800], 4, "png"],
  ] as const)("%s writes %j pixels of %d samples as %s", async (auto, [width, height], channels, format) => {
    const background = { r: 220, g: 40, b: 40, alpha: 0.5 };
    const picture = sharp({ create: { width, height, channels, background } });
    const source = await (channels === 3 ? picture.jpeg() : picture.png()).toBuffer();
    expect((await renderText(source, "imageMogr2/format/auto", { auto })).image.format).toBe(format);
  });

  test.each([8, 16] as const)("grey of %d bits with a profile comes out as sRGB", async (bits) => {
    const plain = sharp({ create: { width: 40, height: 40, channels: 3, background: "#777777" } });
    const png = await plain
      .toColourspace(bits === 8 ? "b-w" : "grey16")
      .png()
      .toBuffer();
    const source = withGreyProfile(png, 1.8);
    const { depth, channels, hasProfile } = await sharp(source).metadata();
    expect([depth, channels, hasProfile]).toEqual([bits === 8 ? "uchar" : "ushort", 1, true]);
    // 0x77 at gamma 1.8, in sRGB.
    const shown = 137;
    for (const text of ["imageView2/2/w/20", "imageMogr2/rotate/90/blur/1x1/thumbnail/20x"]) {
      const { bytes } = await renderText(source, `${text}|imageMogr2/format/png`);
      expect(difference(await colourAt(bytes, 0.5, 0.5), [shown, shown, shown]), text).toBeLessThan(6);
    }
    const average = JSON.parse((await renderText(source, "imageAve")).bytes.toString()).RGB;
    expect(Math.abs(Number.parseInt(average.slice(2, 4), 16) - shown)).toBeLessThan(3);
  });

  test.each([
    ["sRGB in a PNG", (deep: Sharp) => deep.withIccProfile("srgb").png()],
    ["Display P3 in a PNG", (deep: Sharp) => deep.withIccProfile("p3").png()],
    ["sRGB in an AVIF", (deep: Sharp) => deep.withIccProfile("srgb").avif({ bitdepth: 10 })],
  ])("more than 8 bits with a profile come out as sRGB: %s", async (_what, written) => {
    const source = await written(solid(40, 40, RED).toColourspace("rgb16")).toBuffer();
    const { depth, hasProfile } = await sharp(source).metadata();
    expect([depth, hasProfile]).toEqual(["ushort", true]);
    for (const text of ["imageView2/2/w/20", "imageMogr2/rotate/90/blur/1x1/thumbnail/20x", "imageMogr2/scrop/20x20"]) {
      const { bytes } = await renderText(source, `${text}|imageMogr2/format/png`);
      expect(difference(await colourAt(bytes, 0.5, 0.5), RED), text).toBeLessThan(4);
    }
    const average = JSON.parse((await renderText(source, "imageAve")).bytes.toString()).RGB;
    const samples = [2, 4, 6].map((at) => Number.parseInt(average.slice(at, at + 2), 16));
    expect(difference(samples, RED)).toBeLessThan(4);
    const watermark = "http://h/watermark.png";
    const text = `watermark/1/image/${b64(watermark)}/gravity/center/dissolve/100`;
    const plain = await solid(40, 40, WHITE).png().toBuffer();
    const { bytes } = await renderText(plain, text, { watermarks: { [watermark]: source } });
    expect(difference(await colourAt(bytes, 0.5, 0.5), RED)).toBeLessThan(4);
  });
});

describe("animations", () => {
  const FRAMES = [RED, GREEN, BLUE, YELLOW];
  test.each(["gif", "webp"] as const)("%s stays animated through every step and keeps its delays", async (format) => {
    const source = await animation(60, 40, FRAMES)
      .toFormat(format, { delay: [100, 200, 300, 400], loop: 2 })
      .toBuffer();
    for (const [instruction, expected] of [
      ["imageView2/2/w/30", "30x20"],
      ["imageView2/1/w/20/h/20", "20x20"],
      ["imageMogr2/crop/!50x30a5a5/thumbnail/25x/crop/!20x10a0a0", "20x10"],
      ["imageMogr2/rotate/90", "40x60"],
      ["imageMogr2/sharpen/70/thumbnail/30x", "30x20"],
      ["imageMogr2/thumbnail/30x30/pad/1", "30x30"],
      ["imageMogr2/scrop/20x20", "20x20"],
    ] as const) {
      const rendered = await renderText(source, instruction);
      const { pages, delay, loop } = await sharp(rendered.bytes, { animated: true }).metadata();
      expect([instruction, size(rendered), rendered.image.frames, pages, delay, loop]).toEqual([
        instruction,
        expected,
        4,
        4,
        [100, 200, 300, 400],
        2,
      ]);
      for (const [page, colour] of FRAMES.entries())
        expect(difference(await colourAt(rendered.bytes, 0.5, 0.5, page), colour)).toBeLessThan(16);
    }
  });

  test("a GIF becomes an animated WebP, and a still image in other formats", async () => {
    const source = await animation(40, 40, FRAMES)
      .gif({ delay: [100, 200, 300, 400] })
      .toBuffer();
    const webp = await renderText(source, "imageView2/2/format/webp");
    expect((await sharp(webp.bytes, { animated: true }).metadata()).delay).toEqual([100, 200, 300, 400]);
    for (const format of ["jpg", "png", "avif", "bmp"]) {
      const { image } = await renderText(source, `imageView2/2/format/${format}`);
      expect([image.width, image.height, image.frames]).toEqual([40, 40, 1]);
    }
  });

  test("a watermark is laid on every frame", async () => {
    const source = await animation(40, 40, FRAMES).gif().toBuffer();
    const logo = await solid(10, 10, WHITE).png().toBuffer();
    const url = "http://h/logo.png";
    for (const more of ["", "/batch/1/dx/5"]) {
      const { bytes } = await renderText(source, `watermark/1/image/${b64(url)}/gravity/northwest${more}`, {
        watermarks: { [url]: logo },
      });
      for (const page of [0, 1, 2, 3])
        expect(difference(await colourAt(bytes, 0.1, 0.1, page), WHITE)).toBeLessThan(12);
    }
  });

  test.each([
    ["a still one", [BLUE]],
    ["an animation", [BLUE, YELLOW]],
  ])("a GIF gets colours added by steps, whatever its own palette has: %s", async (_what, colours) => {
    const source = await animation(40, 20, colours).gif().toBuffer();
    const ground = `imageMogr2/thumbnail/40x40/pad/1/color/${b64("#DC2828")}`;
    const { bytes } = await renderText(source, ground);
    for (const page of colours.keys()) {
      expect(difference(await colourAt(bytes, 0.5, 0.1, page), RED)).toBeLessThan(12);
      expect(difference(await colourAt(bytes, 0.5, 0.5, page), colours[page] ?? RED)).toBeLessThan(12);
    }
  });

  test("a scaled GIF has the shades between its colours", async () => {
    const source = await quadrants(101, 101).gif().toBuffer();
    const shades = async (bytes: Buffer) => {
      const { data } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
      return new Set(Array.from({ length: data.length / 3 }, (_, pixel) => data.readUIntBE(pixel * 3, 3))).size;
    };
    const { bytes } = await renderText(source, "imageView2/2/w/40");
    expect([await shades(source), (await shades(bytes)) > 8]).toEqual([4, true]);
  });

  test("EXIF of an animation stays with its frames, and no EXIF is added", async () => {
    const source = await animation(20, 20, FRAMES)
      .withExif({ IFD0: { Copyright: "somebody" } })
      .webp()
      .toBuffer();
    const exifAfter = async (steps: string) =>
      (await sharp((await renderText(source, `imageMogr2/${steps}`)).bytes).metadata()).exif;
    expect((await exifAfter("quality/80"))?.includes("somebody")).toBe(true);
    expect(await exifAfter("thumbnail/10x")).toBeUndefined();
  });

  test("a GIF with few frames gets fewer colours by cgif, too", async () => {
    const source = await sharp(await noisyJpeg(60, 40))
      .gif()
      .toBuffer();
    const light = await renderText(source, "imageMogr2/cgif/30");
    const paletteSize = (gif: Buffer) => 2 << (gif[10]! & 7);
    expect([paletteSize(source), paletteSize(light.bytes)]).toEqual([256, 64]);
  });

  test("cgif keeps this many frames and the total time", async () => {
    const source = await animation(20, 20, FRAMES)
      .gif({ delay: [100, 200, 300, 400] })
      .toBuffer();
    const { bytes, image } = await renderText(source, "imageMogr2/cgif/2");
    const { pages, delay } = await sharp(bytes, { animated: true }).metadata();
    expect([image.frames, pages, delay]).toEqual([2, 2, [300, 700]]);
    expect(difference(await colourAt(bytes, 0.5, 0.5, 1), BLUE)).toBeLessThan(12);
    expect((await renderText(source, "imageMogr2/cgif/1")).image.frames).toBe(4);
  });

  test("cgif counts frames with too short a delay as 100 ms, as they are displayed", async () => {
    const source = await animation(20, 20, FRAMES)
      .gif({ delay: [10, 0, 10, 10] })
      .toBuffer();
    const { bytes } = await renderText(source, "imageMogr2/cgif/2");
    expect((await sharp(bytes, { animated: true }).metadata()).delay).toEqual([200, 200]);
  });

  test.each(["gif", "webp"] as const)(
    "a %s whose last frame stays for minutes is shown for as long as may be",
    async (format) => {
      const source = await animation(20, 20, FRAMES)
        .webp({ delay: [100, 100, 100, 65_000], loop: 65_535 })
        .toBuffer();
      // The last frame has the only 65,000 of the file.
      const at = source.lastIndexOf(Buffer.from([0xe8, 0xfd, 0]));
      source.writeUIntLE(100_000, at, 3);
      const { bytes } = await renderText(source, `imageView2/2/w/10/format/${format}`);
      const { delay } = await sharp(bytes, { animated: true }).metadata();
      expect(delay?.map((each) => Math.round(each / 100))).toEqual([1, 1, 1, 655]);
      const added = await renderText(source, `imageMogr2/cgif/2/format/${format}`);
      expect(added.image.frames).toBe(format === "gif" ? 2 : 4);
    },
  );

  test("blur and round corners do not change a GIF", async () => {
    const source = await quadrants(40, 40).gif().toBuffer();
    const { bytes } = await renderText(source, "imageMogr2/blur/50x10/rradius/10/iradius/10");
    expect(await distance(bytes, source)).toBeLessThan(1);
  });
});

describe("quality", () => {
  /** An image with detail at every scale. */
  const detailed = (quality: number) =>
    sharp({
      create: {
        width: 200,
        height: 200,
        channels: 3,
        background: "#888",
        noise: { type: "gaussian", mean: 128, sigma: 40 },
      },
    })
      .jpeg({ quality })
      .toBuffer();
  const qualityOf = async (source: Buffer, instruction: string) =>
    readJpegHead((await renderText(source, instruction)).bytes)?.quality;

  test.each([
    [85, "q/75", 75],
    [60, "q/75", 60],
    [60, "q/75!", 75],
    [80, "rq/80", 64],
    [85, "lq/80", 85],
    [60, "lq/80", 80],
    [60, "w/100", 60],
    [95, "w/100", 85],
    [50, "q/0", 1],
  ])("a source of %i with %s is written with %i", async (quality, key, expected) => {
    expect(await qualityOf(await detailed(quality), `imageView2/2/${key}`)).toBe(expected);
  });

  test("yjpeg is smaller than jpg", async () => {
    const source = await quadrants(300, 300).blur(9).jpeg({ quality: 85 }).toBuffer();
    const [plain, optimised] = await Promise.all(
      ["jpg", "yjpeg"].map(async (format) => (await renderText(source, `imageView2/2/format/${format}`)).bytes.length),
    );
    expect(optimised).toBeLessThan(plain!);
  });

  test("size-limit finds the best quality that fits", async () => {
    const source = await detailed(90);
    const { bytes } = await renderText(source, "imageMogr2/size-limit/8k");
    expect(bytes.length).toBeLessThanOrEqual(8192);
    expect(bytes.length).toBeGreaterThan(6000);
    const roomy = await renderText(source, "imageMogr2/size-limit/9m");
    expect(roomy.bytes.length).toBeGreaterThan(bytes.length);
  });

  test("size-limit with ! returns the original if it is smaller", async () => {
    const source = await detailed(30);
    const bigger = "imageMogr2/quality/100!/size-limit/9m";
    expect((await renderText(source, `${bigger}!`)).bytes).toBe(source);
    expect((await renderText(source, bigger)).bytes.length).toBeGreaterThan(source.length);
  });
});

describe("refused", () => {
  test.each([
    ["a radius of half a side", "imageMogr2/iradius/50", "processing_invalid"],
    ["a corner of half a side", "imageMogr2/rradius/50", "processing_invalid"],
    ["a window outside", "imageMogr2/crop/!10x10a100a0", "processing_invalid"],
    ["a result of more than 9999 pixels", "imageMogr2/thumbnail/10000x1!", "output_too_large"],
    ["an intermediate image that is too large", "imageMogr2/thumbnail/50000x50000!/thumbnail/10x", "output_too_large"],
    ["what is scaled too large for a cut", "imageMogr2/cut/2x100x0x0/crop/9999x10", "output_too_large"],
    ["the same to what draws the eye", "imageMogr2/cut/2x100x0x0/scrop/9999x10", "output_too_large"],
    ["a watermark that was not loaded", `watermark/1/image/${b64("http://h/none.png")}`, "processing_invalid"],
  ])("%s", async (_what, instruction, code) => {
    const source = await quadrants(100, 100).png().toBuffer();
    await expect(renderText(source, instruction)).rejects.toMatchObject({ code });
  });

  // Without a font a blank would be drawn as a box.
  test("a text of blanks", needs("fonts"), async () => {
    const source = await quadrants(100, 100).png().toBuffer();
    const rendered = renderText(source, `watermark/2/text/${b64("   ")}`);
    await expect(rendered).rejects.toMatchObject({ code: "processing_invalid" });
  });

  test.each([
    ["imageMogr2/thumbnail/10000x1!", /sides of at most 9999 pixels/],
    ["imageMogr2/crop/16383x10|imageMogr2/strip", /100000000 pixels/],
    ["imageMogr2/thumbnail/10x/scrop/10000x10", /9999 pixels/],
    ["imageMogr2/thumbnail/50000x50000!/rotate/7", /100000000 pixels/],
    ["imageMogr2/thumbnail/9000x9000!/rotate/45", /at most 100000000 pixels/],
    ["imageMogr2/format/bmp/thumbnail/9999x9999!", /at most 67108864 bytes/],
  ])("%s names the limit", async (instruction, wanted) => {
    const source = await quadrants(100, 100).png().toBuffer();
    const refusal = { code: "output_too_large", wanted: expect.stringMatching(wanted) };
    await expect(renderText(source, instruction)).rejects.toMatchObject(refusal);
  });

  test("a result that is too large by itself names the limit", async () => {
    const source = await quadrants(10_000, 2).png().toBuffer();
    const refusal = { code: "output_too_large", wanted: "sides of at most 9999 pixels" };
    await expect(renderText(source, "imageMogr2/format/jpg")).rejects.toMatchObject(refusal);
  });

  test("the largest result is accepted", async () => {
    const source = await quadrants(10, 10).png().toBuffer();
    expect(size(await renderText(source, "imageMogr2/thumbnail/9999x1!"))).toBe("9999x1");
    expect(size(await renderText(source, "imageMogr2/iradius/4"))).toBe("8x8");
  });
});

test.each(["png", "bmp", "webp"])("renderImage() refuses a %s of more bytes than the limit", async (format) => {
  const source = await quadrants(300, 200).png().toBuffer();
  const { bytes } = await renderText(source, `imageView2/2/format/${format}`);
  const atLimit = { limits: { outputBytes: bytes.length } };
  expect((await renderText(source, `imageView2/2/format/${format}`, atLimit)).bytes.length).toBe(bytes.length);
  const below = { limits: { outputBytes: bytes.length - 60 } };
  await expect(renderText(source, `imageView2/2/format/${format}`, below)).rejects.toMatchObject({
    code: "output_too_large",
  });
});
