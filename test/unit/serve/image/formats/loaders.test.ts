import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import type { KnownFacts } from "../../../../../src/serve/image/formats/loaders.ts";
import { blackPng, claimingJpeg, claimingPng, claimingWebp, framesGif } from "../../../../helpers/hostile-images.ts";
import { noisyJpeg, noisyPng, noisyWebp } from "../../../../helpers/images.ts";
import {
  animation,
  BLUE,
  GREEN,
  LIMITS,
  quadrants,
  RED,
  readSource,
  renderText,
} from "../../../../helpers/rendering.ts";

/** The facts as `png 10x20x1`, or the error code. */
function verdict(bytes: Buffer, limits = LIMITS): string {
  try {
    const { format, width, height, frames } = readSource(bytes, limits);
    return `${format} ${width}x${height}x${frames}`;
  } catch (error) {
    return error instanceof HuiyuanError ? error.code : String(error);
  }
}

test.each(["jpeg", "png", "gif", "webp", "avif"] as const)("readSource() reads the claims of a %s", async (format) => {
  expect(verdict(await quadrants(64, 48).toFormat(format).toBuffer())).toBe(`${format} 64x48x1`);
});

test.each(["gif", "webp"] as const)("readSource() counts the frames of a %s", async (format) => {
  const bytes = await animation(30, 20, [RED, GREEN, BLUE]).toFormat(format).toBuffer();
  expect(verdict(bytes)).toBe(`${format} 30x20x3`);
});

describe("readSource() counts the frames of a WebP that its decoder shows", () => {
  /** Chunks of an animation by type. */
  const chunksOf = async (colours: readonly (typeof RED)[]) => {
    const bytes = await animation(30, 20, colours).webp().toBuffer();
    const chunks: [string, Buffer][] = [];
    for (let at = 12; at + 8 <= bytes.length; ) {
      const end = at + 8 + bytes.readUInt32LE(at + 4);
      chunks.push([bytes.toString("latin1", at, at + 4), bytes.subarray(at, end + (end & 1))]);
      at = end + (end & 1);
    }
    const of = (type: string) => chunks.filter(([other]) => other === type).map(([, chunk]) => chunk);
    return { head: of("VP8X"), control: of("ANIM"), frames: of("ANMF") };
  };
  const webp = (...chunks: Buffer[]) => {
    const head = Buffer.from("RIFF\0\0\0\0WEBP", "latin1");
    const bytes = Buffer.concat([head, ...chunks]);
    bytes.writeUInt32LE(bytes.length - 8, 4);
    return bytes;
  };
  test.each([
    ["frames behind a still picture", 1],
    ["frames of a file that says it is still", 1],
  ])("%s are none", async (what, shown) => {
    const { head, control, frames } = await chunksOf([RED, GREEN]);
    const picture = (await quadrants(30, 20).webp().toBuffer()).subarray(12);
    const stillHead = head.map((chunk) => Buffer.from(chunk).fill(0, 8, 9));
    const bytes = {
      "frames behind a still picture": webp(picture, ...frames),
      "frames of a file that says it is still": webp(...stillHead, picture, ...control, ...frames),
    }[what];
    if (bytes === undefined) throw new Error(what);
    expect(verdict(bytes)).toBe(`webp 30x20x${shown}`);
    expect((await sharp(bytes, { animated: true }).metadata()).pages ?? 1).toBe(shown);
    expect((await renderText(bytes, "imageView2/2/w/15")).image).toMatchObject({ width: 15, frames: shown });
  });
});

test("readSource() measures frames that are larger than their canvas", () => {
  expect(verdict(framesGif(1, 500, 2))).toBe("gif 500x500x2");
});

describe("readSource() refuses claims above a limit and accepts them at the limit", () => {
  test.each([
    ["pixels", claimingPng(10_001, 10_000), "image_too_large"],
    ["pixels at the bound", claimingPng(10_000, 10_000), "png 10000x10000x1"],
    ["a side", claimingPng(30_001, 1), "image_too_large"],
    ["a side at the bound", claimingPng(30_000, 1), "png 30000x1x1"],
    ["one bit a pixel", blackPng(30_000, 30_000), "image_too_large"],
    ["frames", framesGif(1, 1, 301), "image_too_large"],
    ["frames at the bound", framesGif(1, 1, 300), "gif 1x1x300"],
    ["pixels of all frames", framesGif(600, 600, 300), "image_too_large"],
    ["a frame beyond its canvas", framesGif(1, 60_000, 1), "image_too_large"],
    ["a WebP's head", claimingWebp(), "image_too_large"],
  ])("%s", (_what, bytes, expected) => {
    expect(verdict(bytes)).toBe(expected);
  });

  test("a JPEG's frame, and bytes", async () => {
    const jpeg = await noisyJpeg(32, 32);
    expect(verdict(claimingJpeg(jpeg))).toBe("image_too_large");
    expect(verdict(jpeg, { ...LIMITS, sourceBytes: jpeg.length - 1 })).toBe("image_too_heavy");
    expect(verdict(jpeg, { ...LIMITS, sourceBytes: jpeg.length })).toBe("jpeg 32x32x1");
  });
});

test.each([
  ["SVG", "<svg xmlns='http://www.w3.org/2000/svg' width='333333' height='333333'/>"],
  ["XML with entities", "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><svg/>"],
  ["PDF", "%PDF-1.7\n"],
  ["PostScript", "%!PS-Adobe-3.0\n"],
  ["MVG", "push graphic-context\nviewbox 0 0 640 480\n"],
  ["HTML", "<!doctype html><img>"],
  ["TIFF", "II*\0\b\0\0\0\0\0"],
  ["nothing", ""],
  ["a PNG's magic alone", "\x89PNG\r\n\x1a\n"],
])("readSource() refuses %s", (_what, text) => {
  expect(verdict(Buffer.from(text, "latin1"))).toBe("image_not_processable");
});

test("readSource() refuses a file cut short anywhere and accepts bytes after the end", async () => {
  for (const bytes of [await noisyJpeg(120, 90), await noisyPng(120, 90), await noisyWebp(120, 90)]) {
    for (let end = 0; end < bytes.length; end += 1024)
      expect(verdict(bytes.subarray(0, end)), `${end} bytes`).toBe("image_not_processable");
    expect(verdict(Buffer.concat([bytes, Buffer.from("<script>alert(1)</script>")]))).toMatch(/120x90x1$/);
  }
});

test("readSource() scans a known image only once and checks limits each time", async () => {
  const bytes = await noisyPng(120, 90);
  const known: KnownFacts = new WeakMap();
  const facts = readSource(bytes, LIMITS, known);
  expect(readSource(bytes, LIMITS, known)).toBe(facts);
  expect(() => readSource(bytes, { ...LIMITS, pixels: 120 * 90 - 1 }, known)).toThrow(/the limits are/);
  expect(() => readSource(bytes, { ...LIMITS, sourceBytes: 100 }, known)).toThrow(/the limit is 100/);
});
