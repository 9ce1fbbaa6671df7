import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { readJpegHead } from "../../../../../src/serve/image/formats/jpeg-head.ts";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import { type Row, resultOf } from "../../../../helpers/manual-rows.ts";
import {
  animation,
  BLUE,
  b64,
  colourAt,
  difference,
  GREEN,
  RED,
  renderText,
  solid,
  WHITE,
} from "../../../../helpers/rendering.ts";
import { needs } from "../../../../helpers/services.ts";

const LOGO_URL = "http://photos-10001234.localhost/logo.png";
const SMALL_URL = `${LOGO_URL}?imageMogr/thumbnail/20x10!`;
const KODO_URL = "kodo://photos/logo.png";
const mark = (url: string, keys = "") => `watermark/1/image/${b64(url)}${keys}`;
const text = (keys: string) => `watermark/2/text/${b64("█")}${keys}`;
const ground = (colour: string) => `/background/${b64(colour)}`;
const VIEW = "Qiniu: imageView2";
const OLD = "Qiniu: imageView and imageMogr";
const MOGR = "Qiniu: imageMogr2";
const MARK = "Qiniu: watermark";
const MAGICK = "ImageMagick 7.1";
const CLONE = "the manual of a clone of Qiniu's";
const LINKS = "links in public code";
const OURS = "a choice where the manuals are silent";
const PAPER = "200x100 white";

const ROWS: readonly Row[] = [
  // imageView2 never enlarges, and turns upright
  ["imageView2/1/w/200/h/200", "200x200 png", VIEW],
  ["imageView2/2/w/200", "200x133 png", VIEW],
  ["imageView2/2/h/200", "300x200 png", VIEW],
  ["imageView2/0/w/400/h/400", "400x300 png", CLONE, "1024x768"],
  ["imageView2/1/w/400/h/400", "400x400 png", CLONE, "1024x768"],
  ["imageView2/2/w/400/h/400", "400x300 png", CLONE, "1024x768"],
  ["imageView2/3/w/400/h/400", "533x400 png", CLONE, "1024x768"],
  ["imageView2/4/w/400/h/400", "533x400 png", CLONE, "1024x768"],
  ["imageView2/5/w/400/h/400", "400x400 png", CLONE, "1024x768"],
  ["imageView2/1/w/1080/h/636", "256x256 png", VIEW, "256x256"],
  ["imageView2/1/w/1000/h/500", "800x500 png", VIEW, "800x600"],
  ["imageView2/3/w/400", "300x200 png", VIEW, "300x200"],
  ["imageView2/1/w/800/h/800", "640x427 png", VIEW],
  ["imageView2/1/w/99999", "640x427 png", OURS],
  ["imageView2/2/w/150", "150x100 jpeg", VIEW, "300x450 turned"],
  ["imageView2/0/q/75", "300x200 jpeg", LINKS, "300x200 jpeg"],
  ["imageView2/2/w/100/format/copy", "100x67 jpeg", VIEW, "300x200 jpeg"],
  ["imageView2/2/w/100/format/jpeg/interlace/1", "100x67 jpeg", VIEW],
  ["imageView2/2/w/100/colors/16", "100x67 png", VIEW],
  ["imageView2/2/w/100/", "100x67 png", LINKS],
  ["|imageView2/2/w/100||imageMogr2/rotate/90|", "67x100 png", LINKS],
  ["imageView2/2/colors/3", "400 imageView2/colors", VIEW],
  ["imageView2/2/q/0", "400 imageView2/q", VIEW],
  ["imageView2/2/format/heic", "400 imageView2/format", OURS],
  ["imageView2/format/webp", "400 imageView2", VIEW],
  ["imageView2format", '400 "imageView2format"', VIEW],
  ["imageview2/2/w/9", '400 "imageview2"', OURS],
  ["imageView2/2/rq/9", "400 imageView2/rq", OURS],
  // imageView, imageMogr
  ["imageView/1/w/500/h/500", "500x500 png", OLD],
  ["imageView/2/w/800", "640x427 png", OLD],
  ["imageView/2/w/150", "150x100 jpeg", OLD, "300x450 turned"],
  ["imageView/3/w/9", "400 imageView", OURS],
  ["imageMogr/thumbnail/!50px", "320x214 png", OLD],
  ["imageMogr/v2/auto-orient/thumbnail/!x50p", "225x150 jpeg", OLD, "300x450 turned"],
  ["imageMogr/thumbnail/20x", "the source", OLD, "30x20 gif"],
  // thumbnail
  ["imageMogr2/thumbnail/!75p", "480x320 png", MOGR],
  ["imageMogr2/thumbnail/!75px", "480x427 png", MOGR],
  ["imageMogr2/thumbnail/!x75p", "640x320 png", MOGR],
  ["imageMogr2/thumbnail/700x", "700x467 png", MOGR],
  ["imageMogr2/thumbnail/x467", "700x467 png", MOGR],
  ["imageMogr2/thumbnail/300x300", "300x200 png", MOGR],
  ["imageMogr2/thumbnail/!240x240", "240x160 png", MOGR],
  ["imageMogr2/thumbnail/800x800", "800x534 png", MAGICK],
  ["imageMogr2/thumbnail/!200x200r", "300x200 png", MOGR],
  ["imageMogr2/thumbnail/200x300!", "200x300 png", MOGR],
  ["imageMogr2/thumbnail/200x300>", "200x133 png", MOGR],
  ["imageMogr2/thumbnail/800x800>", "640x427 png", MOGR],
  ["imageMogr2/thumbnail/700x600<", "700x467 png", MOGR],
  ["imageMogr2/thumbnail/1000x200<", "640x427 png", MAGICK],
  ["imageMogr2/thumbnail/350000@", "724x483 png", MAGICK],
  ["imageMogr2/thumbnail/80", "80x53 png", LINKS],
  ["imageMogr2/thumbnail/80>", "80x53 png", LINKS],
  ["imageMogr2/thumbnail/1000x>", "640x427 png", LINKS],
  ["imageMogr2/thumbnail/!1000p", "400 imageMogr2/thumbnail", MOGR],
  ["imageMogr2/thumbnail/10000x", "400 imageMogr2/thumbnail", MOGR],
  ["imageMogr2/thumbnail/25000000@", "400 imageMogr2/thumbnail", MOGR],
  // crop: plain, from the upper left
  ["imageMogr2/crop/300x", "300x427 png @0,0", MOGR],
  ["imageMogr2/crop/x200", "640x200 png @0,0", MOGR],
  ["imageMogr2/crop/300x0", "300x427 png @0,0", MOGR],
  ["imageMogr2/crop/300x300", "300x300 png @0,0", MOGR],
  ["imageMogr2/crop/1000x1000", "640x427 png @0,0", MOGR],
  ["imageMogr2/crop/!300x300a30a100", "300x300 png @30,100", MOGR],
  ["imageMogr2/crop/!300x300a30-100", "300x200 png @30,0", MOGR],
  ["imageMogr2/crop/!300x300-30a100", "270x300 png @0,100", MOGR],
  ["imageMogr2/crop/!300x300-30-100", "270x200 png @0,0", MOGR],
  ["imageMogr2/gravity/SouthEast/crop/300x300", "300x300 png @340,127", MAGICK],
  ["imageMogr2/gravity/SouthEast/crop/!300x300a30a100", "300x300 png @310,27", MAGICK],
  ["imageMogr2/gravity/SouthEast/crop/!300x300-30-100", "270x200 png @370,227", MAGICK],
  ["imageMogr2/gravity/Center/crop/300x300", "300x300 png @170,63", MAGICK],
  ["imageMogr2/gravity/Center/crop/!300x300a30a100", "300x264 png @200,163", MAGICK],
  ["imageMogr2/gravity/Center/crop/!300x300-30-100", "300x263 png @140,0", MAGICK],
  ["imageMogr2/crop/!640x-0-20", "640x407 png @0,0", LINKS],
  ["imageMogr2/crop/!300x300a640a0", "400 imageMogr2/crop or cut", OURS],
  ["imageMogr2/crop/!300x300a30", "400 imageMogr2/crop", OURS],
  ["imageMogr2/crop/10000x", "400 imageMogr2/crop", MOGR],
  // rotate, extent, border
  ["imageMogr2/rotate/90", "427x640 png", MOGR],
  ["imageMogr2/rotate/-90", "427x640 png @639,0", LINKS],
  [`imageMogr2/rotate/90${ground("none")}`, "427x640 png @0,426", MOGR],
  ["imageMogr2/rotate/0", "400 imageMogr2/rotate", MOGR],
  ["imageMogr2/extent/!642x429", "642x429 png", MOGR],
  [`imageMogr2/extent/700x${ground("red")}`, "mark 700x100 @0,0", OURS, PAPER],
  ["imageMogr2/extent/!100x100a30a40", "100x100 png @30,40", MOGR],
  ["imageMogr2/extent/!-3a0", "400 imageMogr2/extent", OURS],
  ["imageMogr2/extent/!x-3a0", "640x427 png", MAGICK],
  ["imageMogr2/thumbnail/400x800>/extent/400x800", "400x800 png", LINKS],
  ["imageMogr2/border/10x10", "660x447 png", MOGR],
  ["imageMogr2/border/x", "400 imageMogr2/border", OURS],
  [`imageMogr2/rotate/45/background/${b64("blurple")}`, "400 imageMogr2/background", MOGR],
  // the rest
  ["imageMogr2/blur/1x0/quality/75", "640x427 png", LINKS],
  ["imageMogr2/blur/1x2", "400 imageMogr2/blur", OURS, "30x20 gif"],
  ["imageMogr2/sharpen/1", "640x427 png", MOGR],
  ["imageMogr2/sharpen/0", "400 imageMogr2/sharpen", OURS],
  ["imageMogr2/q/75/format/webp", "640x427 webp", LINKS],
  ["imageMogr2/density/300/colors/8/interlace/0", "640x427 png", MOGR],
  ["imageMogr2/quality/100!/size-limit/$(fsize)", "300x200 jpeg", MOGR, "300x200 jpeg-30"],
  ["imageMogr2/thumbnail/900x/size-limit/900k!", "the source", MOGR, "300x200 jpeg-30"],
  ["imageMogr2/thumbnail/!10p/size-limit/$(fsize)!", "30x20 jpeg", MOGR, "300x200 jpeg-30"],
  ["imageMogr2/repage", "400 imageMogr2/repage", OURS],
  ["imageMogr2/iradius/9", "400 imageMogr2/iradius", OURS],
  ["imageMogr2/cut/9x9x0x0", "400 imageMogr2/cut", OURS],
  // watermark
  [mark(LOGO_URL), "mark 40x20 @150,70", MARK, PAPER],
  [mark(KODO_URL), "mark 40x20 @150,70", MARK, PAPER],
  [mark(LOGO_URL, "/gravity/South"), "mark 40x20 @90,70", MARK, PAPER],
  [mark(LOGO_URL, "/gravity/South/dx/0"), "mark 40x20 @80,70", MARK, PAPER],
  [mark(LOGO_URL, "/gravity/Center/dx/-5/dy/3"), "mark 40x20 @75,43", OURS, PAPER],
  [mark(LOGO_URL, "/dx/-9/dy/-5"), "mark 31x15 @169,85", LINKS, PAPER],
  [mark(SMALL_URL), "mark 20x10 @170,80", MARK, PAPER],
  [mark(LOGO_URL), "no mark", MARK, "39x100 white"],
  [mark("http://h/91x61.png", "/ws/.1"), "400 watermark/ws", OURS],
  [mark("http://h/91x61.png", "/ws/0.1/dx/0/dy/0"), "mark 37x25 @213,225", MARK, "250x250 white"],
  [mark("http://h/91x61.png", "/ws/0.1/wst/1/dx/0/dy/0"), "mark 25x17 @225,233", MARK, "250x250 white"],
  [mark("http://h/91x61.png", "/ws/0.1/wst/2/dx/0/dy/0"), "mark 25x17 @225,233", MARK, "250x250 white"],
  [mark("http://h/91x61.png", "/ws/0.1/wst/3/dx/0/dy/0"), "mark 37x25 @213,225", MARK, "250x250 white"],
  [mark("http://h/91x61.png", "/ws/0/dx/0/dy/0"), "mark 91x61 @159,189", OURS, "250x250 white"],
  [mark(LOGO_URL, "/tile/1"), "400 watermark/tile", OURS],
  [mark(LOGO_URL, "/degree/9"), "400 watermark/degree", OURS],
  [mark(`${LOGO_URL}?animate/1`), '400 "animate"', OURS],
  [mark(LOGO_URL, "/format/webp"), "640x427 webp", MARK],
  [text("/fontsize/20/dx/0/dy/0"), "640x427 png", MARK],
  [text("/fontstyle/9"), "400 watermark/fontstyle", OURS],
  [text("/fontsize/10000"), "400 watermark/fontsize", MARK],
  [`watermark/3/image/${b64(LOGO_URL)}/dx/0/text/${b64("█")}/fontsize/200`, "640x427 png", MARK],
  [`watermark/3/dx/9/text/${b64("x")}`, "400 watermark/dx", OURS],
  ["watermark/3", "400 watermark/3", OURS],
  [`watermark/3${`/text/${b64("x")}`.repeat(11)}`, "400 watermark/3", OURS],
  [`watermark/4/text/${b64("█")}/rotate/45/uw/60/uh/40/resize/0.5/dx/9`, "640x427 png", CLONE],
  [`watermark/4/text/${b64("x")}/rotate/181`, "400 watermark/rotate", CLONE],
  ["watermark/5/text/eA", "400 watermark", MARK],
  ["watermark/6/text/eA", "400 watermark", MARK],
  // imageslim, roundPic, imageInfo
  ["imageslim/zlevel/8", "300x200 jpeg", "Qiniu: imageslim", "300x200 jpeg-95"],
  ["imageslim", "640x427 png", "Qiniu: imageslim"],
  ["imageslim", "the source", "Qiniu: imageslim", "300x200 jpeg-20"],
  ["imageslim", "the source", "Qiniu: imageslim", "30x20 gif"],
  ["imageView2/2/w/100|imageslim", "100x67 jpeg", "Qiniu: imageslim", "300x200 jpeg"],
  ["imageslim/zlevel/11", "400 imageslim/zlevel", "Qiniu: imageslim"],
  ["imageSlim", '400 "imageSlim"', OURS],
  ["roundPic/radius/!25.5p", "300x200 png", "Qiniu: roundPic", "300x200 jpeg"],
  ["roundPic/radiusx/20/radiusy/!10p", "640x427 png", "Qiniu: roundPic"],
  ["roundPic/radius/9/radiusx/9", "400 roundPic/radiusx", "Qiniu: roundPic"],
  ["roundPic/radiusx/9", "400 roundPic/radiusy", "Qiniu: roundPic"],
  ["roundPic/radius/!51p", "400 roundPic/radius", "Qiniu: roundPic"],
  ["roundPic/radius/9", "400 roundPic", "Qiniu: roundPic", "30x20 gif"],
  ["imageView2/2/w/100|exif", "400 exif", "Qiniu: exif"],
  ["imageView2/2/w/100|imageAve", "400 imageAve", "Qiniu: imageAve"],
  ["imageView2/2/w/100|saveas/x", '400 "saveas"', "Qiniu: saveas"],
  ["animate", '400 "animate"', "Qiniu: animate"],
];

for (const row of ROWS) {
  const [instruction, expected, from, source = ""] = row;
  test(`qiniu: ${instruction} ${source} → ${expected} (${from})`, async () => {
    const logo = await solid(40, 20, RED).png().toBuffer();
    const wide = await solid(91, 61, RED).png().toBuffer();
    const watermarks = { [LOGO_URL]: logo, [SMALL_URL]: logo, [KODO_URL]: logo, "http://h/91x61.png": wide };
    expect(await resultOf(row, "qiniu", watermarks)).toBe(expected);
  });
}

const render = (bytes: Buffer, instruction: string) => renderText(bytes, instruction, { era: "qiniu" });

describe("the encoding of Qiniu", () => {
  test.each([
    [60, "imageView2/2/w/1600/q/90", 75],
    [60, "imageView2/2/w/500/q/90", 90],
    [60, "imageView2/2/w/1600/q/90!", 90],
    [60, "imageMogr2/auto-orient", 60],
    [92, "imageView2/2/w/1600", 75],
    [95, "imageMogr2/thumbnail/1600x/quality/98", 98],
    [95, "imageView/2/w/1600", 85],
    [60, "imageMogr/thumbnail/500x", 60],
    [95, "imageslim", 75],
    [95, "imageslim/zlevel/10", 40],
  ])("a JPEG of quality %i by %s has %i", async (quality, instruction, expected) => {
    const file = await solid(2000, 1000, RED).jpeg({ quality }).toBuffer();
    const { bytes } = await render(file, instruction);
    if (bytes.equals(file)) expect(instruction).toContain("imageslim");
    else expect(Math.abs((readJpegHead(bytes)?.quality ?? 0) - expected)).toBeLessThanOrEqual(1);
  });

  test("colors bounds the palette of PNG and GIF, which has 128 colours by default", async () => {
    const photo = await sharp({
      create: {
        width: 200,
        height: 200,
        channels: 3,
        noise: { type: "gaussian", mean: 128, sigma: 60 },
        background: "#888",
      },
    })
      .gif()
      .toBuffer();
    const coloursIn = async (bytes: Buffer) => {
      const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
      const seen = new Set<string>();
      for (let at = 0; at < data.length; at += info.channels) seen.add(data.subarray(at, at + 3).toString("hex"));
      return seen.size;
    };
    expect(await coloursIn((await render(photo, "imageMogr2/colors/8")).bytes)).toBeLessThanOrEqual(8);
    expect(await coloursIn((await render(photo, "imageMogr2/format/png/colors/16")).bytes)).toBeLessThanOrEqual(16);
    const standard = await coloursIn((await render(photo, "imageMogr2/thumbnail/150x")).bytes);
    expect(standard).toBeGreaterThan(64);
    expect(standard).toBeLessThanOrEqual(128);
  });

  test.each(["jpg", "png"])("density sets the DPI of a %s", async (format) => {
    const file = await solid(20, 20, RED).jpeg().toBuffer();
    const { bytes } = await render(file, `imageMogr2/density/300/format/${format}`);
    expect(Math.round((await sharp(bytes).metadata()).density ?? 0)).toBe(300);
  });

  test("size-limit/$(fsize) makes no more bytes than the source has", async () => {
    const { bytes: map } = await render(
      await solid(600, 400, RED).jpeg({ quality: 40 }).toBuffer(),
      "imageMogr2/strip",
    );
    const { bytes } = await render(map, "imageMogr2/quality/100!/size-limit/$(fsize)");
    expect(bytes.length).toBeLessThanOrEqual(map.length);
  });
});

describe("the pixels of Qiniu", () => {
  test("extent, border and rotate use the colours of the whole operation", async () => {
    const file = await solid(100, 100, RED).png().toBuffer();
    const look = `${ground("blue")}/bordercolor/${b64("gray")}`;
    const { bytes } = await render(file, `imageMogr2/extent/120x100/border/20x0${look}`);
    const row = await Promise.all([0.05, 0.15, 0.5].map((x) => colourAt(bytes, x, 0.5)));
    expect(row).toEqual([[0x7e, 0x7e, 0x7e], [0, 0, 255], [...RED]]);
    const turned = await render(file, "imageMogr2/rotate/45");
    expect(await colourAt(turned.bytes, 0.01, 0.01)).toEqual([255, 255, 255]);
    const clear = await render(file, `imageMogr2/rotate/45${ground("transparent")}`);
    expect((await colourAt(clear.bytes, 0.01, 0.01))[3]).toBe(0);
    const canvas = await render(file, `imageMogr2/extent/!120x120-10-10${ground("none")}`);
    expect((await colourAt(canvas.bytes, 0.02, 0.5))[3]).toBe(0);
    expect((await colourAt(canvas.bytes, 0.12, 0.5)).slice(0, 3)).toEqual([...RED]);
  });

  test("rotate/45 of 640×427 is 756×757, give or take two pixels", async () => {
    const { image } = await render(await solid(640, 427, RED).png().toBuffer(), "imageMogr2/rotate/45");
    expect(Math.abs(image.width - 756)).toBeLessThanOrEqual(2);
    expect(Math.abs(image.height - 757)).toBeLessThanOrEqual(2);
  });

  test("extent and border keep the frames of an animation", async () => {
    const file = await animation(40, 20, [RED, BLUE, GREEN]).gif().toBuffer();
    const { bytes, image } = await render(file, `imageMogr2/extent/60x20/border/0x10${ground("red")}`);
    expect(image).toMatchObject({ width: 60, height: 40, frames: 3 });
    expect(difference(await colourAt(bytes, 0.5, 0.5, 1), BLUE)).toBeLessThan(3);
  });

  test("roundPic makes corners by the share of each axis, at most half of it", async () => {
    const file = await solid(200, 100, RED).jpeg({ quality: 100 }).toBuffer();
    const { bytes, image } = await render(file, "roundPic/radius/!50p");
    expect(image.format).toBe("png");
    expect((await colourAt(bytes, 0.1, 0.1))[3]).toBe(0);
    expect((await colourAt(bytes, 0.25, 0.2))[3]).toBe(255);
    expect((await render(file, "roundPic/radius/999")).bytes).toEqual(bytes);
    expect((await colourAt((await render(file, "roundPic/radius/0")).bytes, 0, 0)).slice(3)).toEqual([]);
  });

  test("fontsize/400 writes letters of 20 pixels, in black", needs("fonts"), async () => {
    const file = await solid(100, 100, WHITE).png().toBuffer();
    const { bytes } = await render(file, text("/fontsize/400/gravity/NorthWest"));
    const { info } = await sharp(bytes).trim().toBuffer({ resolveWithObject: true });
    expect(Math.abs(info.height - 25)).toBeLessThan(6);
    expect((await sharp(bytes).stats()).channels.map(({ min }) => min)).toEqual([0, 0, 0]);
  });

  test("watermark/4 repeats its text in cells", async () => {
    const file = await solid(120, 80, WHITE).png().toBuffer();
    const { bytes } = await render(file, `watermark/4/text/${b64("█")}/fontsize/300/uw/60/uh/40`);
    const cell = (left: number, top: number) =>
      sharp(bytes).extract({ left, top, width: 60, height: 40 }).raw().toBuffer();
    const first = await cell(0, 0);
    expect(Math.min(...first)).toBe(0);
    for (const [left, top] of [
      [60, 0],
      [0, 40],
      [60, 40],
    ] as const)
      expect((await cell(left, top)).equals(first)).toBe(true);
  });

  test("watermark/3 lays its watermarks in order", async () => {
    const file = await solid(100, 100, WHITE).png().toBuffer();
    const [red, blue] = await Promise.all([RED, BLUE].map((colour) => solid(20, 20, colour).png().toBuffer()));
    const marks = ["http://h/a", "http://h/b"].map(
      (url, index) => `/image/${b64(url)}/gravity/NorthWest/dx/${index * 10}`,
    );
    const options = { era: "qiniu", watermarks: { "http://h/a": red!, "http://h/b": blue! } } as const;
    const { bytes } = await renderText(file, `watermark/3${marks.join("")}`, options);
    expect(await Promise.all([0.05, 0.15, 0.25].map((x) => colourAt(bytes, x, 0.2)))).toEqual(
      [RED, BLUE, BLUE].map((each) => [...each]),
    );
  });
});

describe("the information of Qiniu", () => {
  test.each([
    ["jpeg", { format: "jpeg", width: 60, height: 40, colorModel: "ycbcr" }],
    ["png", { format: "png", width: 60, height: 40, colorModel: "rgba" }],
    ["gif", { format: "gif", width: 60, height: 40, colorModel: "palette256", frameNumber: 1 }],
  ] as const)("imageInfo of a %s has numbers", async (format, expected) => {
    const file = await solid(60, 40, RED).toFormat(format).toBuffer();
    const { bytes } = await render(file, "imageInfo=");
    expect(JSON.parse(bytes.toString())).toEqual({ size: file.length, ...expected });
  });

  test("imageInfo tells the orientation, and describes a result", async () => {
    const file = await solid(60, 40, RED).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const stored = JSON.parse((await render(file, "imageInfo")).bytes.toString());
    expect(stored).toMatchObject({ width: 60, height: 40, orientation: "Right-top" });
    const made = JSON.parse((await render(file, "imageView2/2/w/20|imageInfo/")).bytes.toString());
    expect(made).toMatchObject({ format: "jpeg", width: 20, height: 30 });
  });
});

test("a pipeline of Qiniu has at most thirty operations", () => {
  const pipeline = (count: number) => () =>
    parseInstruction(Array(count).fill("imageMogr2/strip").join("|"), { era: "qiniu" });
  expect(pipeline(30)).not.toThrow();
  expect(pipeline(31)).toThrow(expect.objectContaining({ code: "processing_invalid", parameter: "the pipeline" }));
});

test("imageslim alone gives a damaged image as it is, in a pipeline it does not", () => {
  expect(parseInstruction("imageslim", { era: "qiniu" }).ignoresErrors).toBe(true);
  expect(parseInstruction("imageView2/2/w/9|imageslim", { era: "qiniu" }).ignoresErrors).toBeUndefined();
});
