import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ErrorCode, HuiyuanError } from "../../../../../src/core/errors.ts";
import { canonicalText } from "../../../../../src/serve/image/grammar/canonical-text.ts";
import { ignoresErrors, parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import {
  type Era,
  isRetryable,
  mayServeOriginal,
  WATERMARK_PARAMETER,
  watermarkUrls,
} from "../../../../../src/serve/image/grammar/recipe.ts";

const b64 = (text: string) => Buffer.from(text).toString("base64url");
const meaning = (text: string, era: Era = 2015) => canonicalText(parseInstruction(text, { era }));

/** The refused parameter, or the meaning if none is refused. */
function verdict(text: string, era: Era = 2015): string {
  try {
    return `accepted: ${meaning(text, era)}`;
  } catch (error) {
    if (!(error instanceof HuiyuanError) || error.code !== "processing_invalid") throw error;
    return String(error.parameter);
  }
}

describe("parseInstruction() returns the meaning", () => {
  test.each([
    // imageView2
    ["imageView2/0/w/200/h/100", "resize/rule=(/axes=edges/first=200/kind=within/second=100)"],
    ["imageView2/1/w/200/h/100", "coverCrop/axes=sides/first=200/gravity=center/second=100"],
    ["imageView2/1/h/100", "coverCrop/axes=sides/first=100/gravity=center/second=100"],
    ["imageView2/2/h/100", "resize/rule=(/axes=sides/kind=within/second=100)"],
    ["imageView2/3/w/200", "resize/rule=(/axes=sides/first=200/kind=cover/second=200)"],
    ["imageView2/4/w/200/h/100", "resize/rule=(/axes=edges/first=200/kind=cover/second=100)"],
    ["imageView2/5/w/200", "coverCrop/axes=edges/first=200/gravity=center/second=200"],
    ["imageView2/2", ""],
    ["imageView2/2/format/webp", "output/format=webp"],
    ["imageView2/2/format/yjpeg", "output/format=jpeg/isOptimised=true"],
    ["imageView2/2/q/0", "output/quality=(/kind=atMost/value=0)"],
    ["imageView2/2/q/100!", "output/quality=(/kind=exactly/value=100)"],
    ["imageView2/2/rq/80", "output/quality=(/kind=relative/value=80)"],
    ["imageView2/2/lq/80", "output/quality=(/kind=atLeast/value=80)"],
    ["imageView2/2/ignore-error/1", ""],
    ["imageView2/2/ignore-error/0", ""],
    // imageMogr2: thumbnails
    ["imageMogr2/thumbnail/!50p", "resize/rule=(/kind=percent/x=50/y=50)"],
    ["imageMogr2/thumbnail/!50px", "resize/rule=(/kind=percent/x=50)"],
    ["imageMogr2/thumbnail/!x50p", "resize/rule=(/kind=percent/y=50)"],
    ["imageMogr2/thumbnail/400x", "resize/rule=(/kind=exact/width=400)"],
    ["imageMogr2/thumbnail/x300", "resize/rule=(/height=300/kind=exact)"],
    ["imageMogr2/thumbnail/400x300!", "resize/rule=(/height=300/kind=exact/width=400)"],
    ["imageMogr2/thumbnail/400x300", "resize/rule=(/axes=edges/first=400/kind=within/second=300)"],
    ["imageMogr2/thumbnail/!400x300r", "resize/rule=(/axes=edges/first=400/kind=cover/second=300)"],
    ["imageMogr2/thumbnail/400x300>", "resize/rule=(/axes=sides/first=400/kind=within/second=300)"],
    ["imageMogr2/thumbnail/400x300<", "resize/rule=(/axes=sides/first=400/kind=growWithin/second=300)"],
    ["imageMogr2/thumbnail/120000@", "resize/rule=(/kind=area/pixels=120000)"],
    // imageMogr2: crops
    ["imageMogr2/crop/300x", "coverCrop/axes=sides/first=300/gravity=center"],
    ["imageMogr2/crop/x300", "coverCrop/axes=sides/gravity=center/second=300"],
    ["imageMogr2/gravity/NorthWest/crop/300x200", "coverCrop/axes=sides/first=300/gravity=northwest/second=200"],
    ["imageMogr2/crop/300x200/gravity/north", "coverCrop/axes=sides/first=300/gravity=center/second=200"],
    ["imageMogr2/crop/!60x50a20a10", "window/dx=20/dy=10/height=50/width=60"],
    ["imageMogr2/crop/!60x50-20a10", "window/dx=-20/dy=10/height=50/width=60"],
    ["imageMogr2/crop/!60x50a20-10", "window/dx=20/dy=-10/height=50/width=60"],
    ["imageMogr2/crop/!60x50-20-10", "window/dx=-20/dy=-10/height=50/width=60"],
    ["imageMogr2/crop/!60x50-0a0", "window/dx=0/dy=0/height=50/width=60"],
    ["imageMogr2/crop/!60x", "window/dx=0/dy=0/width=60"],
    ["imageMogr2/gravity/SouthEast/crop/!60x50a20a10", "window/dx=20/dy=10/gravity=southeast/height=50/width=60"],
    ["imageMogr2/gravity/northwest/crop/!60x50a20a10", "window/dx=20/dy=10/height=50/width=60"],
    ["imageMogr2/gravity/center/crop/!9x9-9a0", "window/dx=-9/dy=0/gravity=center/height=9/width=9"],
    ["imageMogr2/flip/horizontal/flip/Vertical", "flip/axis=horizontal|flip/axis=vertical"],
    ["imageMogr2/bright/-100/contrast/100", "bright/amount=-100|contrast/amount=100"],
    ["imageMogr2/grayscale/1/grayscale/0", "grayscale"],
    ["imageMogr2/strip/", "output/isStripped=true"],
    ["imageMogr2/thumbnail/40x=", "resize/rule=(/kind=exact/width=40)"],
    ["imageView2/2/w/9/|imageInfo/", "resize/rule=(/axes=sides/first=9/kind=within)|imageInfo"],
    ["imageInfo=", "imageInfo"],
    ["exif=", "exif"],
    ["imageMogr2/cut/60x50x0x10", "window/dx=0/dy=10/height=50/width=60"],
    ["imageMogr2/scrop/300x200", "attentionCrop/axes=sides/first=300/second=200"],
    // imageMogr2: the rest
    ["imageMogr2/auto-orient/strip", "autoOrient|output/isStripped=true"],
    ["imageMogr2/rotate/90", "rotate/degrees=90"],
    ["imageMogr2/rotate/360", ""],
    ["imageMogr2/blur/50x0.5", "blur/radius=50/sigma=0.5"],
    ["imageMogr2/sharpen/70", "sharpen/amount=70"],
    ["imageMogr2/iradius/30/rradius/5", "circle/radius=30|roundCorners/radius=5"],
    ["imageMogr2/cgif/1", "output/gifFrames=30"],
    ["imageMogr2/cgif/2", "output/gifFrames=2"],
    ["imageMogr2/interlace/1", "output/isProgressive=true"],
    ["imageMogr2/interlace/1/interlace/0", "output/isProgressive=false"],
    ["imageMogr2/size-limit/15k", "output/maxBytes=15360"],
    ["imageMogr2/size-limit/1M!", "output/maxBytes=1048576/returnsSmaller=true"],
    ["imageMogr2/size-limit/1m!/size-limit/900", "output/maxBytes=900"],
    [
      "imageMogr2/pad/1/thumbnail/30x20",
      "resize/rule=(/axes=sides/first=30/kind=within/second=20)|pad/colour=%23ffffff/height=20/width=30",
    ],
    [
      `imageMogr2/thumbnail/30x20/pad/1/color/${b64("#FF0080")}`,
      "resize/rule=(/axes=sides/first=30/kind=within/second=20)|pad/colour=%23ff0080/height=20/width=30",
    ],
    // Order and precedence
    ["imageMogr2/rotate/90/thumbnail/40x", "rotate/degrees=90|resize/rule=(/kind=exact/width=40)"],
    ["imageMogr2/thumbnail/40x/rotate/90", "resize/rule=(/kind=exact/width=40)|rotate/degrees=90"],
    ["imageMogr2/format/png|imageMogr2/format/webp", "output/format=webp"],
    ["imageMogr2/format/yjpeg/format/jpg", "output/format=jpeg"],
    ["imageView2/2/w/9|imageInfo", "resize/rule=(/axes=sides/first=9/kind=within)|imageInfo"],
    ["imageInfo", "imageInfo"],
    ["exif", "exif"],
    ["imageAve", "imageAve"],
  ])("%s → %s", (text, expected) => {
    expect(meaning(text)).toBe(expected);
  });

  test("reads thumbnails of the later era by width and height", () => {
    expect(meaning("imageMogr2/thumbnail/400x300", "later")).toContain("axes=sides");
    expect(meaning("imageMogr2/thumbnail/!400x300r", "later")).toContain("axes=sides");
    expect(meaning("imageView2/0/w/400/h/300", "later")).toContain("axes=edges");
  });

  test("reads a text watermark with its defaults and the opacity of the later era", () => {
    const text = `watermark/2/text/${b64("数据万象")}`;
    const { steps } = parseInstruction(text, { era: 2015 });
    expect(steps).toEqual([
      {
        name: "textMark",
        text: "数据万象",
        family: "DejaVu Sans,Noto Sans CJK SC",
        fontSize: 13,
        colour: "#3d3d3d",
        shadow: 0,
        spacing: 10,
        gravity: "southeast",
        dx: 0,
        dy: 0,
        opacity: 100,
        degrees: 0,
        isTiled: false,
      },
    ]);
    expect(meaning(text, "later")).toContain("opacity=90");
  });

  test("reads the pipeline of the manual, including padding", () => {
    const text =
      "imageMogr2/thumbnail/!50p|watermark/2/text/5pWw5o2u5LiH6LGh/fill/I0ZGRkZGRg==/fontsize/30/dx/20/dy/20";
    const [, watermark] = parseInstruction(text, { era: 2015 }).steps;
    expect(watermark).toMatchObject({
      name: "textMark",
      text: "数据万象",
      colour: "#ffffff",
      fontSize: 30,
      dx: 20,
      dy: 20,
    });
  });

  test("reads an image watermark with scale, tiling and rotation", () => {
    const url = "http://photos-10001234.image.example.com/logo.png";
    const recipe = parseInstruction(
      `watermark/1/image/${b64(url)}/scatype/3/spcent/250/batch/1/degree/45/dissolve/50/blogo/1/gravity/North`,
      { era: 2015 },
    );
    expect(recipe.steps).toEqual([
      {
        name: "imageMark",
        url,
        oversize: "shrink",
        gravity: "north",
        dx: 0,
        dy: 0,
        opacity: 50,
        degrees: 45,
        isTiled: true,
        scale: { by: "area", permille: 250 },
      },
    ]);
    expect(watermarkUrls(recipe)).toEqual([url]);
  });
});

describe("parseInstruction() accepts each parameter at its limits and refuses it beyond", () => {
  const text = `watermark/2/text/${b64("x")}`;
  const image = `watermark/1/image/${b64("http://h/a.png")}`;
  test.each([
    ["imageView2/2/w/", ["1", "50000"], ["0", "50001", "-1", "1.5", "", "a", "1e3", "９"], "imageView2/w"],
    ["imageView2/2/h/", ["1", "50000"], ["0", "50001"], "imageView2/h"],
    ["imageView2/2/q/", ["0", "100", "0!", "100!"], ["101", "101!", "!", "-1", "5!!"], "imageView2/q"],
    ["imageView2/2/rq/", ["0", "100"], ["101", "50!"], "imageView2/rq"],
    ["imageView2/2/lq/", ["0", "100"], ["101", "50!"], "imageView2/lq"],
    ["imageView2/2/ignore-error/", ["0", "1"], ["2", "yes"], "imageView2/ignore-error"],
    ["imageView2/2/format/", ["jpg", "JPG", "bmp", "auto", "avif"], ["tpg", "heif", "svg", "exe"], "imageView2/format"],
    [
      "imageMogr2/thumbnail/",
      ["!1p", "!1000p", "!1000px", "!x1p"],
      ["!0p", "!1001p", "!x0p", "50p"],
      "imageMogr2/thumbnail",
    ],
    [
      "imageMogr2/thumbnail/",
      ["1x", "50000x50000", "1@"],
      ["0x", "x0", "50001x", "0@", "x", "9x9r"],
      "imageMogr2/thumbnail",
    ],
    ["imageMogr2/crop/", ["10x10", "16383x16383", "10x"], ["9x10", "10x9", "16384x", "x", "0x0"], "imageMogr2/crop"],
    ["imageMogr2/crop/", ["!1x1a0a0", "!9x9-8-8"], ["!0x9a0a0", "!xa0a0", "!9x9a1"], "imageMogr2/crop"],
    ["imageMogr2/cut/", ["1x1x0x0"], ["0x1x0x0", "1x0x0x0", "1x1x0", "1x1x-1x0"], "imageMogr2/cut"],
    ["imageMogr2/scrop/", ["10x10", "16383x"], ["9x9", "16384x9"], "imageMogr2/scrop"],
    ["imageMogr2/iradius/", ["1"], ["0", "-1", "25001"], "imageMogr2/iradius"],
    ["imageMogr2/rradius/", ["1"], ["0"], "imageMogr2/rradius"],
    ["imageMogr2/rotate/", ["0", "360"], ["361", "-90", "1.5"], "imageMogr2/rotate"],
    [
      "imageMogr2/blur/",
      ["1x1", "50x1000", "50x0.1"],
      ["0x1", "51x1", "1x0", "1x0.0", "1", "1x1001"],
      "imageMogr2/blur",
    ],
    ["imageMogr2/flip/", ["horizontal"], ["diagonal", ""], "imageMogr2/flip"],
    ["imageMogr2/bright/", ["-100", "100", "0"], ["-101", "101", "1.5"], "imageMogr2/bright"],
    ["imageMogr2/contrast/", ["-100", "100"], ["-101", "101"], "imageMogr2/contrast"],
    ["imageMogr2/grayscale/", ["0", "1"], ["2", ""], "imageMogr2/grayscale"],
    ["imageMogr2/sharpen/", ["10", "300"], ["9", "301"], "imageMogr2/sharpen"],
    ["imageMogr2/quality/", ["0", "100!"], ["101"], "imageMogr2/quality"],
    ["imageMogr2/rquality/", ["0", "100"], ["101"], "imageMogr2/rquality"],
    ["imageMogr2/lquality/", ["0", "100"], ["101"], "imageMogr2/lquality"],
    ["imageMogr2/cgif/", ["1", "100"], ["0", "101"], "imageMogr2/cgif"],
    ["imageMogr2/interlace/", ["0", "1"], ["2"], "imageMogr2/interlace"],
    ["imageMogr2/size-limit/", ["1", "1k", "9M!"], ["0", "0k", "1g", "k", "!", "$(fsize)"], "imageMogr2/size-limit"],
    ["imageMogr2/gravity/", ["southeast", "CENTER"], ["middle", ""], "imageMogr2/gravity"],
    ["imageMogr2/ignore-error/", ["0", "1"], ["2"], "imageMogr2/ignore-error"],
    [
      "imageMogr2/thumbnail/9x9/pad/1/color/",
      [b64("#000000"), b64("red")],
      ["#000000", b64("#000"), b64("rouge")],
      "imageMogr2/color",
    ],
    [`${text}/fontsize/`, ["1", "1000"], ["0", "1001"], "watermark/fontsize"],
    [
      `${text}/fill/`,
      [b64("#AbCdEf"), b64("White")],
      [b64("whitish"), b64("#12345"), "red", "Iw", "cmVk0"],
      "watermark/fill",
    ],
    [`${text}/dissolve/`, ["1", "100"], ["0", "101"], "watermark/dissolve"],
    [`${text}/shadow/`, ["0", "100"], ["101"], "watermark/shadow"],
    [`${text}/spacing/`, ["0", "100"], ["101"], "watermark/spacing"],
    [`${text}/degree/`, ["0", "360"], ["361"], "watermark/degree"],
    [`${text}/batch/`, ["0", "1"], ["2"], "watermark/batch"],
    [`${text}/dx/`, ["0", "50000"], ["50001", "-1"], "watermark/dx"],
    [`${text}/dy/`, ["0", "50000"], ["50001"], "watermark/dy"],
    [`${text}/gravity/`, ["North"], ["up"], "watermark/gravity"],
    [`${text}/scatype/1/spcent/`, ["1", "1000"], ["0", "1001"], "watermark/spcent"],
    [`${text}/scatype/3/spcent/`, ["1", "250"], ["251"], "watermark/spcent"],
    [`${text}/spcent/9/scatype/`, ["1", "3"], ["0", "4"], "watermark/scatype"],
    [`${image}/blogo/`, ["1", "2"], ["0", "3"], "watermark/blogo"],
    [
      "watermark/2/text/",
      ["eA", "eA==", "eA=", b64("x".repeat(1024))],
      // A single character in the last group encodes no byte, with or without padding.
      ["", "=", "!", "e", "_w", "aGVsb", "aGVsb===", "eAAAA=", b64("x".repeat(1025))],
      "watermark/text",
    ],
    ["watermark/2/text/eA/font/", [b64("宋体.ttc"), b64("none such")], ["%"], "watermark/font"],
    [
      "watermark/1/image/",
      [b64("http://h/a"), b64("https://h/a"), b64("HTTP://H/a")],
      [b64("ftp://h/a"), b64("a.png"), b64("http:///a"), ""],
      "watermark/image",
    ],
  ])("%s", (before, good, bad, parameter) => {
    for (const value of good) expect(verdict(before + value), before + value).toMatch(/^accepted/);
    for (const value of bad) expect(verdict(before + value), before + value).toBe(parameter);
  });

  test("crops of the later era may be small", () => {
    expect(verdict("imageMogr2/crop/1x1", "later")).toMatch(/^accepted/);
    expect(verdict("imageMogr2/crop/0x1", "later")).toBe("imageMogr2/crop");
  });
});

describe("parseInstruction() refuses", () => {
  test.each([
    ["an unknown mode", "imageView2/6/w/9", "imageView2"],
    ["no mode", "imageView2", "imageView2"],
    ["an unknown key", "imageView2/2/z/9", "imageView2/z"],
    ["a repeated key", "imageView2/2/w/9/w/9", "imageView2/w"],
    ["a key of Object.prototype", "imageView2/2/constructor/9", "imageView2/constructor"],
    ["an unknown key of imageMogr2", "imageMogr2/frobnicate/9", "imageMogr2/frobnicate"],
    ["a key of Object.prototype in imageMogr2", "imageMogr2/toString/9", "imageMogr2/toString"],
    ["imageMogr2 without a key", "imageMogr2", "imageMogr2"],
    ["pad without a box", "imageMogr2/pad/1/thumbnail/30x", "imageMogr2/pad"],
    ["blind watermarks", "watermark/3/type/1", "watermark"],
    ["a watermark without text", "watermark/2/dx/9", "watermark/text"],
    ["a key of the other type", "watermark/2/text/eA/image/eA", "watermark/image"],
    ["a watermark without an image", "watermark/1/dx/9", "watermark/image"],
    ["scatype alone", "watermark/2/text/eA/scatype/1", "watermark/spcent"],
    ["spcent alone", "watermark/2/text/eA/spcent/1", "watermark/scatype"],
    ["parameters of imageInfo", "imageInfo/1", "imageInfo"],
    ["an inspection before the end", "imageInfo|imageView2/2/w/9", "imageInfo"],
    ["two inspections", "imageInfo|exif", "imageInfo"],
    ["an empty operation", "imageView2/2/w/9|", '""'],
    ["an unknown operation", "imageView2/2/w/9|imageView3/1", '"imageView3"'],
    ["more than ten operations", Array(11).fill("imageMogr2/strip").join("|"), "the pipeline"],
    ["more than forty steps", `imageMogr2${"/rotate/9".repeat(41)}`, "the pipeline"],
    ["a text without end", `imageMogr2/${"strip/".repeat(2000)}`, "the instruction"],
  ])("%s", (_what, text, parameter) => {
    expect(verdict(text)).toBe(parameter);
  });

  test("any text only with processing_invalid", () => {
    const word = fc.constantFrom(
      "imageView2",
      "imageMogr2",
      "watermark",
      "/",
      "|",
      "1",
      "2",
      "w",
      "thumbnail",
      "!",
      "x",
      "9",
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 20 }).map((words) => words.join("")),
    );
    fc.assert(
      fc.property(text, (any) => {
        verdict(any);
      }),
    );
  });
});

test("canonicalText() contains no watermark token", () => {
  const marked = (url: string) => meaning(`watermark/1/image/${b64(url)}`);
  expect(marked("http://a.example/m.png?sign=one")).toBe(marked("http://a.example/m.png"));
  expect(marked("http://a.example/m.png?v=2&sign=one")).not.toBe(marked("http://a.example/m.png"));
});

test("canonicalText() is equal for all spellings and differs for different recipes", () => {
  expect(meaning("imageView2/2/h/9/w/8/q/50")).toBe(meaning("imageView2/2/q/50/w/8/h/9"));
  expect(meaning("imageView2/0/w/9/h/8")).toBe(meaning("imageMogr2/thumbnail/9x8"));
  expect(meaning("imageView2/1/w/20/h/30")).toBe(meaning("imageMogr2/crop/20x30"));
  expect(meaning(`watermark/2/text/${b64("a/b=(c)|d")}`)).toContain("/text=a%2Fb%3D%28c%29%7Cd");
  const texts = [
    "imageView2/2/w/1",
    "imageView2/2/h/1",
    "imageView2/3/w/1",
    "imageView2/2/w/1/q/1",
    "imageView2/2/w/1/q/1!",
  ];
  expect(new Set(texts.map((text) => meaning(text))).size).toBe(texts.length);
});

describe("canonicalText() of recipes that make the same bytes", () => {
  const text = (look: string) => `watermark/2/text/${b64("a")}${look}`;
  const watermark = (url: string) => `watermark/1/image/${b64(url)}`;
  test.each([
    ["whatever is done where it fails", "imageView2/2/w/9", "imageView2/2/w/9/ignore-error/1"],
    ["a turn without tiles", text(""), text("/degree/45")],
    ["one watermark under several URLs", watermark("http://h/m.png"), watermark("https://H.:80/m.png")],
  ])("%s", (_what, one, other) => {
    expect(meaning(other)).toBe(meaning(one));
  });

  test.each([
    ["a distance that counts", text("/gravity/north"), text("/gravity/north/dy/6")],
    ["a distance of a corner", text("/dx/5"), text("/dx/6")],
    ["the place of a watermark", text(""), text("/gravity/north")],
    ["tiles that lie apart", text("/batch/1/gravity/center"), text("/batch/1/gravity/center/dx/5")],
    ["texts that lie apart", text("/batch/1"), text("/batch/1/spacing/50")],
    ["watermarks of other queries", watermark("http://h/m.png"), watermark("http://h/m.png?v=1")],
    ["watermarks of other hosts", watermark("http://h/m.png"), watermark("http://i/m.png")],
    ["watermarks of other names", watermark("http://h/m.png"), watermark("http://h/M.png")],
    ["a JPEG that is written anew for it", "imageMogr2/ignore-error/0", "imageMogr2/interlace/0"],
    ["a JPEG that would be progressive", "imageMogr2/format/yjpeg", "imageMogr2/format/yjpeg/interlace/0"],
    ["a progressive JPEG", "imageMogr2/thumbnail/9x", "imageMogr2/thumbnail/9x/interlace/1"],
  ])("differs for %s", (_what, one, other) => {
    expect(meaning(other)).not.toBe(meaning(one));
  });
});

test.each([
  ["imageMogr2/ignore-error/1", true],
  ["imageMogr2/ignore-error/1/ignore-error/0", false],
  ["imageMogr2/ignore-error/0/ignore-error/1", true],
  ["imageMogr2/ignore-error/1|imageView2/2/w/9", true],
  ["imageMogr2/ignore-error/1|imageView2/2/w/9/ignore-error/0", false],
  ["imageView2/2/w/9", false],
])("ignoresErrors() uses the last ignore-error of %s, even in a faulty instruction", (text, expected) => {
  expect(parseInstruction(text, { era: 2015 }).ignoresErrors ?? false).toBe(expected);
  expect(ignoresErrors(`${text}/foo`)).toBe(expected);
  expect(ignoresErrors(`${text}|watermark/9`)).toBe(expected);
});

test("mayServeOriginal() covers faults of the image, never of the server's state, and only with ignore-error/1", () => {
  const careless = parseInstruction("imageView2/2/w/9/ignore-error/1", { era: 2015 });
  const strict = parseInstruction("imageView2/2/w/9", { era: 2015 });
  const broken = new HuiyuanError("image_not_processable", "x");
  expect(mayServeOriginal(careless, broken)).toBe(true);
  expect(mayServeOriginal(strict, broken)).toBe(false);
  expect(mayServeOriginal(careless, new HuiyuanError("render_overloaded", "x"))).toBe(false);
  expect(mayServeOriginal(careless, new HuiyuanError("client_gone", "x"))).toBe(false);
});

test("isRetryable() is true for timeouts, crashes and watermarks, and false for faults of image or instruction", () => {
  const passes = (code: ErrorCode, parameter?: string) => isRetryable(new HuiyuanError(code, "x", { parameter }));
  expect([passes("render_timeout"), passes("render_failed")]).toEqual([true, true]);
  expect(passes("processing_invalid", WATERMARK_PARAMETER)).toBe(true);
  expect([passes("processing_invalid", "imageMogr2/crop"), passes("image_not_processable")]).toEqual([false, false]);
  expect([passes("image_too_large"), passes("image_too_heavy"), passes("output_too_large")]).toEqual(
    Array(3).fill(false),
  );
});
