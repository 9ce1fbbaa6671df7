import { afterEach, expect, test } from "vitest";
import { allocatePixels, limitMemory } from "../../../../../src/serve/image/pixels/memory.ts";

afterEach(() => limitMemory(Number.POSITIVE_INFINITY));

test("allocatePixels() returns a buffer of the given size", () => {
  expect(allocatePixels(1000)).toHaveLength(1000);
});

test("allocatePixels() refuses a buffer beyond the limit before it allocates", () => {
  const { rss } = process.memoryUsage();
  limitMemory(rss + 100_000_000);
  expect(allocatePixels(1000)).toHaveLength(1000);
  expect(() => allocatePixels(200_000_000)).toThrow(expect.objectContaining({ code: "image_too_large" }));
});
