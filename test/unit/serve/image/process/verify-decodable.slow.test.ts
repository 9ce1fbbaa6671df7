import { randomBytes } from "node:crypto";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { createGate } from "../../../../../src/serve/body/gate/gate.ts";
import { writeBmp } from "../../../../../src/serve/image/formats/bmp.ts";
import { createRenderer, type Renderer } from "../../../../../src/serve/image/renderer.ts";
import { claimingPng } from "../../../../helpers/hostile-images.ts";

const OPTIONS = { renders: 2, renderMs: 8000, pixels: 4_000_000, frames: 20 };

let renderer: Renderer;
const whole: Record<string, Buffer> = {};

beforeAll(async () => {
  renderer = createRenderer(OPTIONS);
  const raw = { width: 400, height: 300, channels: 3 } as const;
  const pixels = await sharp(randomBytes(400 * 300 * 3), { raw })
    .blur(2)
    .raw()
    .toBuffer();
  const picture = () => sharp(pixels, { raw });
  whole.jpeg = await picture().jpeg().toBuffer();
  whole["progressive jpeg"] = await picture().jpeg({ progressive: true }).toBuffer();
  whole["cmyk jpeg"] = await picture().toColourspace("cmyk").jpeg().toBuffer();
  whole.png = await picture().png().toBuffer();
  whole["interlaced png"] = await picture().png({ progressive: true }).toBuffer();
  whole.webp = await picture().webp().toBuffer();
  whole.gif = await picture().gif().toBuffer();
  const frames = sharp(pixels, { raw: { ...raw, height: 30, pageHeight: 30 } as never });
  whole["moving webp"] = await sharp(await frames.gif().toBuffer(), { animated: true })
    .webp()
    .toBuffer();
  whole.avif = await picture().avif({ effort: 0 }).toBuffer();
  whole.bmp = writeBmp({ data: pixels, width: 400, height: 300, channels: 3, frames: 1 });
});
afterAll(() => renderer.close());

function prove(bytes: Buffer, load = async () => bytes): Promise<void> {
  const gate = createGate();
  gate.push(bytes);
  const { image } = gate;
  if (image === undefined) throw new Error("its magic is gone");
  return renderer.verify({ size: bytes.length, image, load, signal: new AbortController().signal });
}

/** The same head and end with random bytes between. */
function hollow(bytes: Buffer): Buffer {
  return Buffer.from(bytes).fill(0, Math.floor(bytes.length / 3), Math.floor((bytes.length * 9) / 10));
}

test("verify() accepts a decodable image of every format", async () => {
  for (const [name, bytes] of Object.entries(whole)) await expect(prove(bytes), name).resolves.toBeUndefined();
});

describe("verify() refuses an image without its pixels", () => {
  test.each(["jpeg", "progressive jpeg", "png", "interlaced png", "gif", "avif"])("%s", async (name) => {
    await expect(prove(hollow(whole[name]!))).rejects.toMatchObject({ code: "image_not_processable" });
  });
  // The WebP decoder makes pixels of any bits; it fails only on an impossible beginning.
  test.each(["webp", "moving webp"])("%s", async (name) => {
    const bytes = Buffer.from(whole[name]!);
    const pixelsAt = bytes.indexOf("VP8") + 18;
    bytes.fill(0x55, pixelsAt, bytes.length - 2);
    await expect(prove(bytes)).rejects.toMatchObject({ code: "image_not_processable" });
  });
  test("a BMP that claims to be larger", async () => {
    const bytes = Buffer.from(whole.bmp!);
    bytes.writeUInt32LE(3000, 18);
    await expect(prove(bytes)).rejects.toMatchObject({ code: "image_not_processable" });
  });
  test("a PNG with few of its pixels", async () => {
    await expect(prove(claimingPng(1000, 1000))).rejects.toMatchObject({ code: "image_not_processable" });
  });
});

test("verify() accepts the padding of cameras", async () => {
  const jpeg = whole.jpeg!;
  const end = jpeg.lastIndexOf(Buffer.from([0xff, 0xd9]));
  const padded = Buffer.concat([jpeg.subarray(0, end), Buffer.alloc(200), jpeg.subarray(end)]);
  await expect(prove(padded)).resolves.toBeUndefined();
});

test("verify() refuses formats without a decoder and images beyond the limits without a process", async () => {
  const image = (format: "tiff" | "png", width: number) => ({
    size: 100,
    image: { format, width, height: 3000 },
    load: () => Promise.reject(new Error("it was loaded")),
    signal: new AbortController().signal,
  });
  await expect(renderer.verify(image("tiff", 10))).rejects.toMatchObject({ code: "image_not_processable" });
  await expect(renderer.verify(image("png", 3000))).rejects.toMatchObject({ code: "image_too_large" });
  await expect(renderer.verify({ ...image("png", 1), size: 21_000_000 })).rejects.toMatchObject({
    code: "image_too_heavy",
  });
});

test("verify() throws the error of load()", async () => {
  const gone = prove(whole.png!, () => Promise.reject(new HuiyuanError("store_failed", "it is gone")));
  await expect(gone).rejects.toMatchObject({ code: "store_failed" });
});

test("verify() checks large files one at a time and loads none while they wait", async () => {
  let [loading, most] = [0, 0];
  const bytes = whole.png!;
  const one = async () => {
    const load = async () => {
      loading += 1;
      most = Math.max(most, loading);
      return bytes;
    };
    const image = { format: "png", width: 400, height: 300 } as const;
    await renderer.verify({ size: 5_000_000, image, load, signal: new AbortController().signal });
    loading -= 1;
  };
  await Promise.all(Array.from({ length: 8 }, one));
  expect([most, loading, renderer.running]).toEqual([1, 0, 0]);
});
