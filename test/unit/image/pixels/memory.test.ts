import { afterEach, expect, test } from "vitest";
import { allocatePixels, limitMemory } from "../../../../src/image/pixels/memory.ts";

afterEach(() => limitMemory(Number.POSITIVE_INFINITY));

test("roomFor() gives room of the asked size", () => {
  expect(allocatePixels(1000)).toHaveLength(1000);
});

test("roomFor() refuses what the process has no room for, before it takes it", () => {
  const { rss } = process.memoryUsage();
  limitMemory(rss + 100_000_000);
  expect(allocatePixels(1000)).toHaveLength(1000);
  expect(() => allocatePixels(200_000_000)).toThrow(expect.objectContaining({ code: "image_too_large" }));
});
