import { createHash } from "node:crypto";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { makeSamplePictures, type SamplePicture } from "../../../src/image/sample-pictures.ts";
import { MEDIA_TYPES } from "../../../src/object.ts";

let first: readonly SamplePicture[];
let second: readonly SamplePicture[];

// Two runs for the comparison; a busy machine may need a multiple of the usual three seconds for each.
beforeAll(async () => {
  first = await makeSamplePictures();
  second = await makeSamplePictures();
}, 60_000);

const digests = (pictures: readonly SamplePicture[]): string[] =>
  pictures.map(({ name, bytes }) => `${name} ${createHash("sha256").update(bytes).digest("hex")}`);

test("makeSamplePictures() makes at least a dozen pictures, each under its own name", () => {
  expect(first.length).toBeGreaterThanOrEqual(12);
  expect(new Set(first.map(({ name }) => name)).size).toBe(first.length);
  expect(new Set(digests(first).map((line) => line.slice(-64))).size).toBe(first.length);
});

test("makeSamplePictures() makes the same bytes on every run", () => {
  expect(digests(second)).toEqual(digests(first));
});

test("makeSamplePictures() covers the formats and the names that real sites have", () => {
  const types = new Set(first.map(({ mediaType }) => mediaType));
  expect([...types].sort()).toEqual(["image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"]);
  const names = first.map(({ name }) => name);
  expect(names).toContain("晨雾.jpg");
  expect(names).toContain("city at dusk.png");
});

test("makeSamplePictures() states the true size and type, and each picture decodes whole", async () => {
  for (const picture of first) {
    const metadata = await sharp(picture.bytes).metadata();
    const size = [picture.name, picture.width, picture.height];
    expect([picture.name, metadata.width, metadata.height]).toEqual(size);
    // sharp calls the container of AVIF by its own name.
    const format = metadata.format === "heif" ? "avif" : metadata.format;
    expect(picture.mediaType).toBe(MEDIA_TYPES[format as keyof typeof MEDIA_TYPES]);
    await sharp(picture.bytes, { failOn: "warning", animated: format === "gif" })
      .raw()
      .toBuffer();
  }
});

test("makeSamplePictures() keeps every picture between 40 and 400 kB", () => {
  for (const { name, bytes } of first) {
    expect(bytes.length, name).toBeGreaterThan(40_000);
    expect(bytes.length, name).toBeLessThan(400_000);
  }
});

test("makeSamplePictures() fills its pictures: none is a blank", async () => {
  for (const { name, bytes } of first) {
    const { entropy } = await sharp(bytes).stats();
    expect(entropy, name).toBeGreaterThan(3);
  }
});

test("makeSamplePictures() has one animated picture of several frames", async () => {
  const pages = await Promise.all(first.map(async ({ bytes }) => (await sharp(bytes).metadata()).pages ?? 1));
  expect(pages.filter((count) => count > 1)).toEqual([8]);
});
