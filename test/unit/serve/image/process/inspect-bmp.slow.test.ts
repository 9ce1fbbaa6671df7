// Counts how often a BMP is decoded. It mocks the reader, which needs a test file of its own.
import { expect, test, vi } from "vitest";
import { readBmp } from "../../../../../src/serve/image/formats/bmp.ts";
import { RED, renderText, solid } from "../../../../helpers/rendering.ts";

vi.mock("../../../../../src/serve/image/formats/bmp.ts", { spy: true });

test.each([
  ["imageInfo", 1],
  ["imageAve", 1],
  ["exif", 0],
  ["imageView2/2/w/5|imageInfo", 2],
  ["imageView2/2/w/5/format/png|imageInfo", 1],
  ["imageView2/2/w/5|exif", 1],
])("%s decodes a BMP %d times", async (text, times) => {
  const bmp = (await renderText(await solid(9, 5, RED).png().toBuffer(), "imageView2/2/format/bmp")).bytes;
  vi.mocked(readBmp).mockClear();
  await renderText(bmp, text);
  expect(readBmp).toHaveBeenCalledTimes(times);
});
