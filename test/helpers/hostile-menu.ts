// Hostile images with the processing requested of them, and the allowed outcomes of each. hostile-images.ts builds the
// files. For tests only.
import sharp from "sharp";
import type { ErrorCode } from "../../src/core/errors.ts";
import { blackPng, claimingPng, framesGif, heavyProfileJpeg, inflatingPng, scansJpeg } from "./hostile-images.ts";
import { b64 } from "./rendering.ts";

export interface HostileOrder {
  readonly what: string;
  readonly make: () => Promise<Buffer> | Buffer;
  readonly instruction: string;
  /** Allowed outcomes; exactly one occurs. */
  readonly outcomes: readonly ("rendered" | ErrorCode)[];
}

/** A modest processing request, for images that are hostile by themselves. */
export const THUMBNAIL = "imageView2/2/w/200/format/webp";

/** A square of one colour, of any size. */
export const grey = (side: number) =>
  sharp({ create: { width: side, height: side, channels: 3, background: "#808080" }, limitInputPixels: false });

export const HOSTILE_ORDERS: readonly HostileOrder[] = [
  {
    what: "a PNG that claims 100 megapixels and has none",
    make: () => claimingPng(9999, 9999),
    instruction: THUMBNAIL,
    outcomes: ["image_not_processable"],
  },
  {
    what: "a PNG of 100 megapixels in 97 KB",
    make: () => blackPng(10_000, 10_000, 8),
    instruction: THUMBNAIL,
    outcomes: ["rendered"],
  },
  {
    what: "a text that inflates to 500 MB",
    make: () => inflatingPng("zTXt", 500_000_000),
    instruction: THUMBNAIL,
    outcomes: ["rendered"],
  },
  {
    what: "a profile that inflates to 500 MB",
    make: () => inflatingPng("iCCP", 500_000_000),
    instruction: THUMBNAIL,
    outcomes: ["rendered"],
  },
  {
    what: "a profile of 15 MB",
    make: () => heavyProfileJpeg(15_000_000),
    instruction: THUMBNAIL,
    outcomes: ["rendered"],
  },
  {
    what: "a GIF of 10 000 frames",
    make: () => framesGif(1, 1, 10_000),
    instruction: THUMBNAIL,
    outcomes: ["image_too_large"],
  },
  {
    what: "a GIF of 300 large frames",
    make: () => framesGif(577, 577, 300),
    instruction: "imageView2/2/w/200",
    outcomes: ["rendered"],
  },
  {
    what: "a JPEG of 1000 scans",
    make: () => scansJpeg(8000, 1000),
    instruction: THUMBNAIL,
    outcomes: ["image_not_processable", "render_timeout"],
  },
  {
    what: "a progressive JPEG of 100 megapixels",
    make: () => grey(10_000).jpeg({ progressive: true }).toBuffer(),
    instruction: THUMBNAIL,
    outcomes: ["rendered", "image_too_large", "render_timeout"],
  },
  {
    what: "a WebP of 100 megapixels in 38 bytes",
    make: () => grey(10_000).webp({ lossless: true, effort: 0 }).toBuffer(),
    instruction: THUMBNAIL,
    outcomes: ["rendered", "render_timeout"],
  },
  {
    what: "an AVIF of 64 megapixels in 1 KB",
    make: () => grey(8000).avif({ effort: 0, quality: 30 }).toBuffer(),
    instruction: THUMBNAIL,
    outcomes: ["image_too_large", "render_timeout"],
  },
  {
    what: "a slow encoder",
    make: () => grey(5000).png().toBuffer(),
    instruction: "imageView2/2/format/avif",
    outcomes: ["image_too_large", "render_timeout"],
  },
  {
    what: "one pixel blown up to 100 megapixels",
    make: () => grey(1).png().toBuffer(),
    instruction: "imageMogr2/thumbnail/9999x9999!/format/yjpeg",
    outcomes: ["rendered", "image_too_large", "render_timeout"],
  },
  {
    what: "one pixel blown up beyond",
    make: () => grey(1).png().toBuffer(),
    instruction: "imageMogr2/thumbnail/16383x16383!",
    outcomes: ["output_too_large"],
  },
  {
    what: "thirty slow steps",
    make: () => grey(4000).png().toBuffer(),
    instruction: `imageMogr2${"/rotate/45/crop/3000x3000".repeat(15)}`,
    // Each step holds the whole image beside the previous step's result. Usually time or memory runs out first, but a
    // fast core finishes in time.
    outcomes: ["render_timeout", "image_too_large", "rendered"],
  },
  {
    what: "tiles of one pixel",
    make: () => grey(5000).png().toBuffer(),
    instruction: `watermark/2/text/${b64("x")}/batch/1/fontsize/1/spacing/0`,
    outcomes: ["rendered", "render_timeout"],
  },
  {
    what: "a text of a thousand large letters",
    make: () => grey(100).png().toBuffer(),
    instruction: `watermark/2/text/${b64("x".repeat(1000))}/fontsize/1000`,
    outcomes: ["processing_invalid"],
  },
];
