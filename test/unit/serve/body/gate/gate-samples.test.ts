// Real files of every format are whole for every division into chunks, and never before their end.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gatedIn, wholeAfter } from "../../../../helpers/gated.ts";
import {
  animatedGif,
  jpegWithRestarts,
  jpegWithThumbnail,
  noisyAvif,
  noisyBmp,
  noisyGif,
  noisyIco,
  noisyJpeg,
  noisyPng,
  noisyTiff,
  noisyWebp,
  progressiveJpeg,
  runLengthBmp,
} from "../../../../helpers/images.ts";

const WHOLE_END = { framing: "length", isFramingWhole: true, isHashRight: true } as const;
const CLOSED = { framing: "close", isFramingWhole: false, isHashRight: true } as const;

const marked = [
  { name: "jpeg, baseline", format: "jpeg", width: 160, height: 120, body: await noisyJpeg(160, 120) },
  { name: "jpeg, progressive", format: "jpeg", width: 160, height: 120, body: await progressiveJpeg(160, 120) },
  { name: "jpeg, EXIF thumbnail", format: "jpeg", width: 160, height: 120, body: await jpegWithThumbnail(160, 120) },
  { name: "jpeg, restart markers", format: "jpeg", width: 64, height: 48, body: jpegWithRestarts(8, 6) },
  { name: "png", format: "png", width: 70, height: 50, body: await noisyPng(70, 50) },
  { name: "gif", format: "gif", width: 70, height: 50, body: await noisyGif(70, 50) },
  { name: "gif, animated", format: "gif", width: 40, height: 30, body: await animatedGif(40, 30) },
  { name: "webp, lossy", format: "webp", width: 70, height: 50, body: await noisyWebp(70, 50) },
  { name: "webp, lossless", format: "webp", width: 70, height: 50, body: await noisyWebp(70, 50, "lossless") },
  { name: "webp, alpha", format: "webp", width: 70, height: 50, body: await noisyWebp(70, 50, "alpha") },
  { name: "webp, animated", format: "webp", width: 40, height: 30, body: await noisyWebp(40, 30, "animated") },
  { name: "avif", format: "avif", width: 64, height: 48, body: await noisyAvif(64, 48) },
  { name: "bmp", format: "bmp", width: 33, height: 20, body: noisyBmp(33, 20) },
  { name: "bmp, top-down", format: "bmp", width: 33, height: 20, body: noisyBmp(33, 20, true) },
  { name: "bmp, run-length", format: "bmp", width: 30, height: 20, body: runLengthBmp(30, 20) },
  { name: "tiff", format: "tiff", width: 32, height: 24, body: await noisyTiff(32, 24) },
  { name: "ico", format: "ico", width: 32, height: 16, body: await noisyIco(32, 16) },
] as const;

describe.each(marked)("$name", ({ format, width, height, body }) => {
  const whole = { kind: "whole", image: { format, width, height } };

  test("verdict() is whole for one chunk", () => {
    expect(gatedIn(body, [body.length]).verdict(WHOLE_END)).toEqual(whole);
  });

  test("verdict() is whole for chunks of one byte", () => {
    expect(gatedIn(body, [1]).verdict(WHOLE_END)).toEqual(whole);
  });

  test("verdict() does not depend on chunk boundaries", () => {
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 5000 })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(lengths, (chunkLengths) => {
        expect(gatedIn(body, chunkLengths).verdict(WHOLE_END)).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });
});

describe.each(marked)("$name", ({ body, format }) => {
  test("isStructureWhole is true at the last byte and not before", () => {
    expect(wholeAfter(body)).toBe(body.length);
  });

  test("verdict() is whole for a body ended by the connection's close", () => {
    expect(gatedIn(body, [4096]).verdict(CLOSED).kind).toBe("whole");
  });

  test("verdict() is truncated for a close at any kilobyte", () => {
    for (let cut = Math.min(1024, body.length - 1); cut < body.length; cut += 1024) {
      const verdict = gatedIn(body.subarray(0, cut), [1000]).verdict(CLOSED);
      expect(verdict).toEqual({ kind: "broken", code: "origin_truncated" });
    }
  });

  test.each(["\n", "<!-- cached by proxy -->", "\0\0\0\0\0\0\0\0", "\xff\xd8\xff\xff\xff\xff\xff\xff\xff"])(
    "verdict() is whole with %j behind the end",
    (garbage) => {
      const bytes = Buffer.concat([body, Buffer.from(garbage, "latin1")]);
      for (const chunkLength of [1, bytes.length]) {
        const verdict = gatedIn(bytes, [chunkLength]).verdict(CLOSED);
        expect(verdict).toMatchObject({ kind: "whole", image: { format } });
      }
    },
  );
});
