// Checks zeros between the blocks of a GIF, which browsers skip.
import { expect, test } from "vitest";
import { gifFramesIn, withoutStrayZeros } from "../../../../../src/serve/image/formats/readable-gif.ts";
import { gated } from "../../../../helpers/gated.ts";
import { animatedGif } from "../../../../helpers/images.ts";
import { renderText, verifyHere } from "../../../../helpers/rendering.ts";

const gif = await animatedGif(24, 16);
const frames = [...gifFramesIn(gif)];
/** Places of the zeros, named by the block after them. */
const PLACES: Readonly<Record<string, readonly number[]>> = {
  "the first frame": [frames[0]?.control ?? 0],
  "the last frame": [frames.at(-1)?.control ?? 0],
  "a picture, behind what is said of it": [frames[1]?.at ?? 0],
  "the trailer": [gif.length - 1],
  "all of these": [...frames.flatMap(({ at, control = at }) => [control, at]), gif.length - 1],
};

function withZeros(places: readonly number[], zeros: number): Buffer {
  const cuts = [0, ...places, gif.length];
  const pieces = cuts.slice(1).map((to, index) => gif.subarray(cuts[index], to));
  return Buffer.concat(pieces.flatMap((piece, index) => (index === 0 ? [piece] : [Buffer.alloc(zeros), piece])));
}

test.each(Object.entries(PLACES))(
  "a GIF with zeros before %s is processed like the GIF without them",
  async (_, places) => {
    const plain = await renderText(gif, "imageView2/2/w/12");
    for (const zeros of [1, 3, 1000]) {
      const file = withZeros(places, zeros);
      expect(gated(file).isStructureWhole).toBe(true);
      expect(withoutStrayZeros(file).equals(gif)).toBe(true);
      await verifyHere(file);
      expect((await renderText(file, "imageView2/2/w/12")).bytes.equals(plain.bytes)).toBe(true);
    }
  },
);

test("withoutStrayZeros() returns a GIF without zeros unchanged and keeps bytes after the trailer", () => {
  expect(withoutStrayZeros(gif)).toBe(gif);
  const tail = Buffer.alloc(9);
  const longer = Buffer.concat([withZeros(PLACES["all of these"] ?? [], 2), tail]);
  expect(withoutStrayZeros(longer).equals(Buffer.concat([gif, tail]))).toBe(true);
});
