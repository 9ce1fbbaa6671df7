// Checks GIFs that browsers and libvips read differently. None of them gives a picture that is cropped in silence.
import { expect, test } from "vitest";
import { gated } from "../../../../helpers/gated.ts";
import { type HandFrame, handGif } from "../../../../helpers/gif.ts";
import { animatedGif, noisyJpeg } from "../../../../helpers/images.ts";
import { b64, renderText, verifyHere } from "../../../../helpers/rendering.ts";

const [RED, BLUE] = [0, 2] as const;
const MARK = "http://photos-10001234.localhost/mark.gif";

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
] as const;

test.each(DISTRUSTED)("a GIF of %ix%i is refused if its first frame covers a part", async (width, height) => {
  const small = (left: number, top: number, colour: number): HandFrame => ({ at: [left, top, 20, 10], colour });
  const moving = handGif(width, height, [small(0, 0, RED), small(width - 20, height - 10, BLUE)]);
  const still = handGif(width, height, [small(0, 0, RED)]);
  for (const bytes of [moving, still])
    for (const text of ["imageMogr2/strip", "imageView2/2/w/10", "imageInfo"])
      await expect(renderText(bytes, text)).rejects.toMatchObject({ code: "image_not_processable" });
  const mark = renderText(await noisyJpeg(60, 40), `watermark/1/image/${b64(MARK)}`, { watermarks: { [MARK]: still } });
  await expect(mark).rejects.toMatchObject({ code: "processing_invalid" });
  // An upload is accepted: all of its pixels can be decoded.
  await verifyHere(moving);
});

test.each(DISTRUSTED)("a GIF of %ix%i is processed if its first frame covers it", async (width, height) => {
  const bytes = handGif(width, height, [{ at: [0, 0, width, height], colour: RED }]);
  const { image } = await renderText(bytes, "imageMogr2/strip");
  expect([image.width, image.height]).toEqual([width, height]);
});

test("a GIF of another size is processed whole although its first frame covers a part", async () => {
  const bytes = handGif(100, 80, [{ at: [10, 10, 20, 20], colour: RED }]);
  const { image } = await renderText(bytes, "imageMogr2/strip");
  expect([image.width, image.height]).toEqual([100, 80]);
});

test("a GIF with a zero between its blocks is whole, but not processed", async () => {
  const gif = await animatedGif(24, 16);
  const file = Buffer.concat([gif.subarray(0, -1), Buffer.alloc(1), gif.subarray(-1)]);
  const behindHead = gif.indexOf(Buffer.from([0x21, 0xff]));
  const early = Buffer.concat([gif.subarray(0, behindHead), Buffer.alloc(1), gif.subarray(behindHead)]);
  for (const bytes of [file, early]) expect(gated(bytes).isStructureWhole).toBe(true);
  await expect(renderText(early, "imageView2/2/w/12")).rejects.toMatchObject({ code: "image_not_processable" });
  await expect(verifyHere(early)).rejects.toMatchObject({ code: "image_not_processable" });
});
