import { readdirSync, readFileSync } from "node:fs";
import sharp from "sharp";
import { expect, test } from "vitest";
import { MEDIA_TYPES } from "../../../../../src/core/object.ts";
import { readSamplePictures } from "../../../../../src/operate/trial/run/sample-pictures.ts";
import { createGate } from "../../../../../src/serve/body/gate/gate.ts";

const ROOT = new URL("../../../../../", import.meta.url);
const pictures = await readSamplePictures();

test("readSamplePictures() reads every file of config/samples/, each once", () => {
  const files = readdirSync(new URL("config/samples/", ROOT)).filter((name) => name !== "README.md");
  expect(pictures.map(({ name }) => name).sort()).toEqual(files.sort());
  expect(pictures).toHaveLength(15);
  expect(new Set(pictures.map(({ bytes }) => bytes.toString("base64"))).size).toBe(15);
});

test("readSamplePictures() states the actual type of whole images", () => {
  const found = pictures.map(({ name, bytes }) => {
    const gate = createGate();
    gate.push(bytes);
    const verdict = gate.verdict({ framing: "close", isFramingWhole: false, isHashRight: true });
    return [name, verdict.kind === "whole" ? verdict.image.format : verdict];
  });
  const stated = pictures.map(({ name, mediaType }) => {
    const format = Object.entries(MEDIA_TYPES).find(([, type]) => type === mediaType)?.[0];
    return [name, format];
  });
  expect(found).toEqual(stated);
});

test("readSamplePictures() has formats and names like those of real sites", () => {
  const types = new Set(pictures.map(({ mediaType }) => mediaType));
  expect([...types].sort()).toEqual(["image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"]);
  const names = pictures.map(({ name }) => name);
  expect(names).toContain("晨雾.jpg");
  expect(names).toContain("city at dusk.png");
});

test("readSamplePictures() keeps every picture between 40 and 400 kB", () => {
  for (const { name, bytes } of pictures) {
    expect(bytes.length, name).toBeGreaterThan(40_000);
    expect(bytes.length, name).toBeLessThan(400_000);
  }
});

test("readSamplePictures() has pictures that decode completely, one of them animated", async () => {
  const pages = await Promise.all(
    pictures.map(async ({ bytes }) => {
      const image = sharp(bytes, { failOn: "warning", animated: true });
      await image.raw().toBuffer();
      return (await image.metadata()).pages ?? 1;
    }),
  );
  expect(pages.filter((count) => count > 1)).toEqual([8]);
});

test("the package has the folder of the sample pictures", () => {
  const { files } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8")) as { files: string[] };
  expect(files).toContain("config/samples");
});
