import sharp from "sharp";
import { describe, expect, test } from "vitest";
import type { Era } from "../../../../../src/serve/image/grammar/recipe.ts";
import { type Row, resultOf } from "../../../../helpers/manual-rows.ts";
import { animation, BLUE, b64, colourAt, difference, RED, renderText, solid } from "../../../../helpers/rendering.ts";

const LOGO_URL = "http://photos-10001234.localhost/logo.png";
const LOGO = `watermark/1/image/${b64(LOGO_URL)}`;
const TEXT = `watermark/2/text/${b64("█")}`;
const VIEW_2015 = "Tencent 2015: imageView2";
const MOGR_2015 = "Tencent 2015: imageMogr2";
const MARK_2015 = "Tencent 2015: watermark";
const LATER = "Tencent CI";
const MAGICK = "ImageMagick 7.1: -gravity … -crop";
const OURS = "a choice where the manuals are silent";

/** Rows that hold in both eras. */
const BOTH: readonly Row[] = [
  ["imageView2/1/w/500/h/400", "500x400 png", VIEW_2015, "1000x500"],
  ["imageView2/1/w/200", "200x200 png", VIEW_2015, "1000x500"],
  ["imageView2/1/w/800/h/800", "800x800 png", VIEW_2015],
  ["imageView2/2/w/500/h/400", "500x250 png", VIEW_2015, "1000x500"],
  ["imageView2/2/w/200", "200x100 png", VIEW_2015, "1000x500"],
  ["imageView2/2/w/2000", "1000x500 png", OURS, "1000x500"],
  ["imageView2/3/w/500/h/400", "800x400 png", VIEW_2015, "1000x500"],
  ["imageView2/3/w/200", "400x200 png", VIEW_2015, "1000x500"],
  ["imageView2/4/w/500/h/400", "800x400 png", VIEW_2015, "1000x500"],
  ["imageView2/5/w/500/h/400", "500x400 png", VIEW_2015, "1000x500"],
  ["imageView2/5/w/500/h/400", "400x500 png", OURS, "500x1000"],
  ["imageView2/2/w/200/format/jpg", "200x100 jpeg", VIEW_2015, "1000x500"],
  ["imageView2/2/w/200/format/gif", "200x100 gif", VIEW_2015, "1000x500"],
  ["imageView2/2/w/200/format/webp/q/90", "200x100 webp", VIEW_2015, "1000x500"],
  ["imageView2/2/w/200/format/bmp", "200x100 bmp", VIEW_2015, "1000x500"],
  ["imageView2/2/format/avif", "100x50 avif", LATER, "100x50"],
  ["imageView2/2/format/tpg", "400 imageView2/format", OURS],
  ["imageView2/2/w/100", "100x150 jpeg", OURS, "300x450 turned"],
  ["imageView2/6/w/9", "400 imageView2", VIEW_2015],
  ["imageView2/2/z/9", "400 imageView2/z", OURS],
  ["imageView2/2/q/101", "400 imageView2/q", VIEW_2015],
  ["imageView2/2/colors/8", "400 imageView2/colors", OURS],
  ["imageMogr2/auto-orient", "450x300 jpeg", MOGR_2015, "300x450 turned"],
  ["imageMogr2/thumbnail/!50p", "500x250 png", MOGR_2015, "1000x500"],
  ["imageMogr2/thumbnail/!50px", "500x500 png", MOGR_2015, "1000x500"],
  ["imageMogr2/thumbnail/!x50p", "1000x250 png", MOGR_2015, "1000x500"],
  ["imageMogr2/thumbnail/400x", "400x200 png", MOGR_2015, "1000x500"],
  ["imageMogr2/thumbnail/x100", "200x100 png", MOGR_2015, "1000x500"],
  ["imageMogr2/thumbnail/400x400", "400x200 png", MOGR_2015, "1000x500"],
  ["imageMogr2/thumbnail/800x800", "640x427 png", OURS],
  ["imageMogr2/thumbnail/!400x400r", "800x400 png", MOGR_2015, "1000x500"],
  ["imageMogr2/thumbnail/400x400!", "400x400 png", MOGR_2015, "1000x500"],
  ["imageMogr2/thumbnail/125000@", "500x250 png", MOGR_2015, "1000x500"],
  ["imageMogr2/thumbnail/350000@", "640x427 png", OURS],
  ["imageMogr2/thumbnail/2000x300>", "600x300 png", LATER, "1000x500"],
  ["imageMogr2/thumbnail/1200x1200<", "1200x600 png", LATER, "1000x500"],
  ["imageMogr2/thumbnail/300x300/pad/1", "300x300 png", LATER],
  ["imageMogr2/crop/600x600", "600x600 png", MOGR_2015, "1500x1200"],
  ["imageMogr2/crop/300x300", "300x300 png", MOGR_2015],
  ["imageMogr2/crop/!600x600a20a20", "600x600 png @20,20", MOGR_2015, "1500x1200"],
  ["imageMogr2/crop/!600x600-20a20", "580x600 png @0,20", MOGR_2015, "1500x1200"],
  ["imageMogr2/crop/!600x600a20-20", "600x580 png @20,0", MOGR_2015, "1500x1200"],
  ["imageMogr2/crop/!600x600-20-20", "580x580 png @0,0", MOGR_2015, "1500x1200"],
  ["imageMogr2/gravity/NorthWest/crop/!200x200a10a20", "200x200 png @10,20", MAGICK],
  ["imageMogr2/gravity/North/crop/!200x200a10a20", "200x200 png @230,20", MAGICK],
  ["imageMogr2/gravity/NorthEast/crop/!200x200a10a20", "200x200 png @430,20", MAGICK],
  ["imageMogr2/gravity/West/crop/!200x200a10a20", "200x200 png @10,133", MAGICK],
  ["imageMogr2/gravity/Center/crop/!200x200a10a20", "200x200 png @230,133", MAGICK],
  ["imageMogr2/gravity/East/crop/!200x200a10a20", "200x200 png @430,133", MAGICK],
  ["imageMogr2/gravity/SouthWest/crop/!200x200a10a20", "200x200 png @10,207", MAGICK],
  ["imageMogr2/gravity/South/crop/!200x200a10a20", "200x200 png @230,207", MAGICK],
  ["imageMogr2/gravity/SouthEast/crop/!200x200a10a10", "200x200 png @430,217", MAGICK],
  ["imageMogr2/gravity/SouthEast/crop/!200x200-10-20", "190x180 png @450,247", MAGICK],
  ["imageMogr2/gravity/Center/crop/!200x200-10-20", "200x200 png @210,93", MAGICK],
  ["imageMogr2/gravity/Center/crop/!900x100", "640x100 png @0,163", MAGICK],
  ["imageMogr2/crop/!100x100a10a20/gravity/SouthEast", "100x100 png @10,20", MOGR_2015],
  ["imageMogr2/gravity/SouthEast/cut/100x100x10x20", "100x100 png @10,20", LATER],
  ["imageMogr2/crop/!100x100a640a0", "400 imageMogr2/crop or cut", OURS],
  ["imageMogr2/crop/!100x100-100a0", "400 imageMogr2/crop or cut", OURS],
  ["imageMogr2/scrop/300x200", "300x200 png", MOGR_2015],
  ["imageMogr2/iradius/100", "200x200 png", LATER],
  ["imageMogr2/rradius/100", "640x427 png", LATER],
  ["imageMogr2/iradius/214", "400 imageMogr2/iradius", LATER],
  ["imageMogr2/rotate/90", "427x640 png", MOGR_2015],
  ["imageMogr2/rotate/361", "400 imageMogr2/rotate", MOGR_2015],
  ["imageMogr2/format/jpg/interlace/1", "640x427 jpeg", MOGR_2015],
  ["imageMogr2/cgif/1", "640x427 png", MOGR_2015],
  ["imageMogr2/blur/5x2", "640x427 png", LATER],
  ["imageMogr2/blur/51x2", "400 imageMogr2/blur", LATER],
  ["imageMogr2/sharpen/70", "640x427 png", LATER],
  ["imageMogr2/sharpen/9", "400 imageMogr2/sharpen", LATER],
  ["imageMogr2/flip/horizontal", "640x427 png @639,0", LATER],
  ["imageMogr2/flip/vertical", "640x427 png @0,426", LATER],
  ["imageMogr2/bright/50", "640x427 png", LATER],
  ["imageMogr2/contrast/-101", "400 imageMogr2/contrast", LATER],
  ["imageMogr2/grayscale/1", "640x427 png", LATER],
  ["imageMogr2/size-limit/9m!", "the source", LATER, "300x200 jpeg-30"],
  ["imageMogr2/quality/90!/thumbnail/!110p/size-limit/9m!", "the source", LATER, "300x200 jpeg-30"],
  ["imageMogr2/thumbnail/!10p/size-limit/9m!", "30x20 jpeg", LATER, "300x200 jpeg-30"],
  ["imageMogr2/size-limit/x", "400 imageMogr2/size-limit", LATER],
  ["imageMogr2/thumbnail/!50p/", "320x214 png", "trailing sign"],
  ["imageMogr2/thumbnail/!50p=", "320x214 png", "trailing sign"],
  ["imageMogr2/density/9", "400 imageMogr2/density", OURS],
  ["imageMogr2", "400 imageMogr2", OURS],
  [LOGO, "mark 40x20 @160,80", MARK_2015, "200x100 white"],
  [`${LOGO}/gravity/northwest/dx/9/dy/5`, "mark 40x20 @9,5", MARK_2015, "200x100 white"],
  [`${LOGO}/gravity/north/dx/9/dy/5`, "mark 40x20 @80,5", MARK_2015, "200x100 white"],
  [`${LOGO}/gravity/east/dx/9/dy/5`, "mark 40x20 @151,40", MARK_2015, "200x100 white"],
  [`${LOGO}/gravity/center/dx/9/dy/5`, "mark 40x20 @80,40", MARK_2015, "200x100 white"],
  [`${LOGO}/scatype/1/spcent/500`, "mark 100x50 @100,50", LATER, "200x100 white"],
  [`${LOGO}/degree/90`, "mark 40x20 @160,80", LATER, "200x100 white"],
  [`${LOGO}/degree/90/batch/1/dx/999/dy/999`, "mark 20x40 @0,0", LATER, "200x100 white"],
  [LOGO, "mark 30x15 @0,0", OURS, "30x15 white"],
  [`${LOGO}/gravity/middle`, "400 watermark/gravity", MARK_2015],
  [`${LOGO}/dissolve/0`, "400 watermark/dissolve", MARK_2015],
  [`${TEXT}/fontsize/20/dx/9/dy/9`, "640x427 png", MARK_2015],
  [`${TEXT}/fill/red`, "400 watermark/fill", MARK_2015],
  ["watermark/2/dx/9", "400 watermark/text", MARK_2015],
  ["watermark/3/type/1", "400 watermark", LATER],
  ["watermark/4", "400 watermark", LATER],
  // Operations of Qiniu
  ["imageView/2/w/200", '400 "imageView"', "Qiniu: older operations"],
  ["imageMogr/thumbnail/200x", '400 "imageMogr"', "Qiniu: older operations"],
  ["imageslim", '400 "imageslim"', "Qiniu: imageslim"],
  ["roundPic/radius/9", '400 "roundPic"', "Qiniu: roundPic"],
];

const ERA_2015: readonly Row[] = [
  ["imageMogr2/thumbnail/200x400", "100x200 png", MOGR_2015, "500x1000"],
  ["imageMogr2/thumbnail/!200x400r", "400x800 png", MOGR_2015, "500x1000"],
  ["imageView2/0/w/200/h/400", "100x200 png", VIEW_2015, "500x1000"],
  ["imageMogr2/crop/9x9", "400 imageMogr2/crop", MOGR_2015],
];

const ERA_LATER: readonly Row[] = [
  ["imageMogr2/thumbnail/400x200", "100x200 png", LATER, "500x1000"],
  ["imageMogr2/thumbnail/!200x400r", "200x400 png", LATER, "500x1000"],
  ["imageMogr2/crop/9x9", "9x9 png", LATER],
];

function checkRows(rows: readonly Row[], eras: readonly Era[]): void {
  for (const row of rows) {
    const [instruction, expected, from, source = ""] = row;
    test(`${eras.join(" and ")}: ${instruction} ${source} → ${expected} (${from})`, async () => {
      const watermarks = { [LOGO_URL]: await solid(40, 20, RED).png().toBuffer() };
      for (const era of eras) expect(await resultOf(row, era, watermarks), String(era)).toBe(expected);
    });
  }
}

checkRows(BOTH, [2015, "later"]);
checkRows(ERA_2015, [2015]);
checkRows(ERA_LATER, ["later"]);

describe("the later keys change colours", () => {
  const grey = (value: number) => [value, value, value] as const;
  test.each([
    ["bright/50", grey(100), grey(228)],
    ["bright/-100", grey(200), grey(0)],
    ["contrast/100", grey(200), grey(255)],
    ["contrast/-100", grey(200), grey(128)],
    ["contrast/0", grey(77), grey(77)],
    ["grayscale/1", [255, 0, 0], grey(54)],
  ] as const)("imageMogr2/%s of %j", async (key, from, to) => {
    const { bytes } = await renderText(await solid(4, 4, from).png().toBuffer(), `imageMogr2/${key}`);
    const colour = await colourAt(bytes, 0.5, 0.5);
    expect(difference(colour, to)).toBeLessThanOrEqual(1);
  });

  test("of each frame of an animation", async () => {
    const file = await animation(40, 20, [RED, BLUE]).gif().toBuffer();
    const { bytes, image } = await renderText(file, "imageMogr2/flip/vertical/grayscale/1");
    expect(image).toMatchObject({ width: 40, height: 20, frames: 2 });
    const [first, second] = await Promise.all([0, 1].map((page) => colourAt(bytes, 0.5, 0.5, page)));
    expect(first).not.toEqual(second);
    expect(difference(first ?? [], [first?.[0] ?? 0, first?.[0] ?? 0, first?.[0] ?? 0])).toBeLessThanOrEqual(1);
  });

  test("and keep transparency and EXIF", async () => {
    const clear = await solid(4, 4, RED, 0.5).png().toBuffer();
    expect((await colourAt((await renderText(clear, "imageMogr2/bright/20")).bytes, 0.5, 0.5))[3]).toBe(128);
    const camera = await solid(4, 4, RED)
      .withExif({ IFD0: { Make: "X" } })
      .jpeg()
      .toBuffer();
    const { bytes } = await renderText(camera, "imageMogr2/flip/horizontal/contrast/20");
    expect((await sharp(bytes).metadata()).exif).toBeDefined();
  });
});
