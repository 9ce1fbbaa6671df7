import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { blurOptions } from "../../../../../src/serve/image/process/kernels.ts";
import { colourAt, type RenderOptions, renderText, solid } from "../../../../helpers/rendering.ts";

async function samples(bytes: Buffer, instruction: string, options?: RenderOptions) {
  const rendered = await renderText(bytes, `${instruction}|imageMogr2/format/png`, options);
  return sharp(rendered.bytes).raw().toBuffer({ resolveWithObject: true });
}

describe("blur", () => {
  test.each(["1x0.3", "1x0.5", "2x1", "3x0.9", "1x50", "2x50", "5x1.2", "7x3", "15x5", "20x10", "50x50", "50x1000"])(
    "%s keeps a flat colour",
    async (value) => {
      const flat = await solid(120, 110, [255, 200, 40]).png().toBuffer();
      const { data } = await samples(flat, `imageMogr2/blur/${value}`);
      for (let at = 0; at < data.length; at += 3) {
        expect(Math.abs(data[at]! - 255)).toBeLessThanOrEqual(1);
        expect(Math.abs(data[at + 1]! - 200)).toBeLessThanOrEqual(1);
        expect(Math.abs(data[at + 2]! - 40)).toBeLessThanOrEqual(1);
      }
    },
  );

  test("a large image with a wide blur uses the fast kernel", () => {
    expect(blurOptions({ radius: 2, sigma: 1 }, 2_000_000).precision).toBe("float");
    expect(blurOptions({ radius: 50, sigma: 50 }, 240_000).precision).toBe("float");
    expect(blurOptions({ radius: 50, sigma: 50 }, 2_000_000).precision).toBe("integer");
    // Sigma ends a curve, too.
    expect(blurOptions({ radius: 50, sigma: 1 }, 2_000_000).precision).toBe("float");
  });

  test("of a large image leaves solid pixels nearly solid, and transparent ones transparent", async () => {
    const side = 1200;
    const data = Buffer.alloc(side * side * 4, 255).fill(0, side * 600 * 4);
    const source = await sharp(data, { raw: { width: side, height: side, channels: 4 } })
      .png()
      .toBuffer();
    const { bytes } = await renderText(source, "imageMogr2/blur/20x5");
    const [solidAlpha, clearAlpha] = await Promise.all([0.1, 0.9].map(async (y) => (await colourAt(bytes, 0.5, y))[3]));
    expect(solidAlpha).toBeGreaterThanOrEqual(250);
    expect(clearAlpha).toBe(0);
  });

  test("keeps a white edge beside transparent pixels white", async () => {
    const disc = `<svg width="100" height="100"><circle cx="50" cy="50" r="30" fill="#fff"/></svg>`;
    const { data } = await samples(await sharp(Buffer.from(disc)).png().toBuffer(), "imageMogr2/blur/10x4");
    for (let at = 0; at < data.length; at += 4) if (data[at + 3]! > 16) expect(data[at]).toBeGreaterThan(235);
  });
});

describe("sharpen", () => {
  /** A dark disc with a soft edge on a transparent background. */
  const disc = (more = "") =>
    sharp(Buffer.from(`<svg width="100" height="100"><circle cx="50" cy="50" r="30" fill="#a02020"/>${more}</svg>`));

  test("does not change alpha, and sharpens edges inside", async () => {
    const source = await disc('<rect x="40" y="40" width="20" height="20" fill="#c86464"/>').png().toBuffer();
    const before = await sharp(source).raw().toBuffer();
    const { data } = await samples(source, "imageMogr2/sharpen/200");
    let strongest = 0;
    for (let at = 0; at < data.length; at += 4) {
      expect(data[at + 3]).toBe(before[at + 3]);
      strongest = Math.max(strongest, data[at]! - 0xc8);
    }
    expect(strongest).toBeGreaterThan(10);
  });

  test.each([
    ["imageMogr2/sharpen/300", 6],
    ["imageMogr2/auto-orient/sharpen/300", 1],
    ["imageMogr2/thumbnail/60x/sharpen/300/blur/1x1", 6],
    ["imageMogr2/sharpen/300/rotate/180", 6],
  ])(
    "%s makes of a picture with clear parts and EXIF what it makes of one without, and keeps it",
    async (steps, last) => {
      const plain = await disc().png().toBuffer();
      const exif = sharp(plain).withExif({ IFD0: { Make: "Canon" } });
      const { bytes } = await renderText(await exif.withMetadata({ orientation: 6 }).png().toBuffer(), steps);
      const metadata = await sharp(bytes).metadata();
      expect([metadata.exif?.includes("Canon"), metadata.orientation ?? 1]).toEqual([true, last]);
      const tagged = await samples(bytes, "imageMogr2/strip");
      const untagged = await samples(plain, steps.replace("auto-orient", "rotate/90"));
      for (let at = 0; at < tagged.data.length; at += 4) {
        expect(tagged.data[at + 3]).toBe(untagged.data[at + 3]);
        if (tagged.data[at + 3]! < 16) continue;
        expect(Math.abs(tagged.data[at]! - untagged.data[at]!)).toBeLessThanOrEqual(2);
        expect(Math.abs(tagged.data[at + 1]! - untagged.data[at + 1]!)).toBeLessThanOrEqual(2);
      }
    },
  );

  test("keeps EXIF of a turned photograph", async () => {
    const photograph = await solid(80, 40, [90, 120, 150])
      .jpeg()
      .withExif({ IFD0: { Make: "Canon" } })
      .toBuffer();
    const { bytes } = await renderText(photograph, "imageMogr2/rotate/90/sharpen/70");
    expect((await sharp(bytes).metadata()).exif?.toString("latin1")).toContain("Canon");
  });
});
