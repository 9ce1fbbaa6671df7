// Generates the requests of the image soak. Good images of every format get processing with a known result; hostile
// ones get a list of allowed outcomes. It sends nothing.
import sharp from "sharp";
import { errorRow } from "../../src/core/errors.ts";
import { drawSources } from "../gallery/sources.ts";
import { HOSTILE_ORDERS } from "../helpers/hostile-menu.ts";
import { b64 } from "../helpers/rendering.ts";

/** One request and its expected response. */
export interface ImageOrder {
  /** Key of the tally. */
  readonly kind: string;
  /** The request target. */
  readonly target: string;
  readonly statuses: readonly number[];
  /** Expected image of a 200 response. */
  readonly image?: { readonly format: string; readonly width: number; readonly height: number };
}

export interface ImageMenu {
  /** The origin's files, by path. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** A different `turn` gives a different request; `dice` returns 0 to 1. */
  good(dice: () => number): ImageOrder;
  hostile(turn: number): ImageOrder;
}

/** The domain of the only bucket, used in watermark URLs. */
const HOST = "any.example";
const FORMATS = ["jpg", "png", "webp", "gif", "jpg", "webp", "bmp", "avif"] as const;
/** The formats' names in sharp. */
const FOUND: Readonly<Record<(typeof FORMATS)[number], string>> = {
  jpg: "jpeg",
  png: "png",
  webp: "webp",
  gif: "gif",
  bmp: "bmp",
  avif: "heif",
};
const WHITE = b64("#FFFFFF");
/** Operations before the resize to the checked size, or after it if they keep the size. */
const OPERATIONS: readonly ((size: string) => string)[] = [
  (size) => `imageMogr2/crop/${size}`,
  (size) => `imageMogr2/thumbnail/${size}!`,
  (size) => `imageMogr2/thumbnail/${size}/pad/1/color/${WHITE}`,
  (size) => `imageMogr2/auto-orient/rotate/20/crop/${size}`,
  (size) => `imageMogr2/scrop/${size}/sharpen/70`,
  (size) => `imageMogr2/crop/${size}/blur/8x3`,
  (size) => `imageMogr2/crop/${size}|watermark/2/text/${b64("回源 soak")}/fontsize/20/fill/${WHITE}/shadow/50`,
  (size) => `imageMogr2/crop/${size}|watermark/1/image/${b64(`http://${HOST}/good/logo.png`)}/dissolve/60/batch/1`,
];

/** Draws all images; takes some seconds. */
export async function imageMenu(): Promise<ImageMenu> {
  const files = new Map<string, Buffer>();
  const sources = [...(await drawSources()).values()];
  for (const { name, bytes } of sources) files.set(`/good/${name}`, bytes);
  for (const [index, { make }] of HOSTILE_ORDERS.entries()) files.set(`/hostile/${index}`, await make());
  const jpeg = await sharp({ create: { width: 900, height: 600, channels: 3, background: "#456" } })
    .jpeg()
    .toBuffer();
  files.set("/hostile/cut.jpg", jpeg.subarray(0, jpeg.length / 2));
  files.set("/hostile/page.jpg", Buffer.from("<!doctype html><p>not an image</p>"));
  files.set("/hostile/drawing.svg", Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'));
  const pick = <Item>(list: readonly Item[], dice: () => number) => list[Math.floor(dice() * list.length)] as Item;

  function good(dice: () => number): ImageOrder {
    const { name } = pick(sources, dice);
    if (dice() < 0.05) return { kind: "facts", target: `/good/${name}?imageInfo`, statuses: [200] };
    if (dice() < 0.05) return { kind: "original", target: `/good/${name}`, statuses: [200] };
    const [width, height] = [40 + Math.floor(dice() * 360), 40 + Math.floor(dice() * 260)];
    const format = pick(FORMATS, dice);
    const operation = pick(OPERATIONS, dice)(`${width}x${height}`);
    const target = `/good/${name}?${operation}|imageMogr2/format/${format}/quality/${40 + Math.floor(dice() * 55)}!`;
    // A photograph stored on its side keeps its EXIF tag. AVIF decoders always apply the tag, so they report upright
    // sides.
    const isSeenUpright = format === "avif" && name === "turned.jpg" && !operation.includes("auto-orient");
    const sides = isSeenUpright ? { width: height, height: width } : { width, height };
    return { kind: `made ${format}`, target, statuses: [200], image: { format: FOUND[format], ...sides } };
  }

  // Only bytes that are proven to be a whole image may be processed.
  const odd: readonly ImageOrder[] = [
    { kind: "hostile: cut short", target: "/hostile/cut.jpg?imageView2/2/w/100", statuses: [424] },
    { kind: "hostile: a page", target: "/hostile/page.jpg?imageView2/2/w/100", statuses: [424] },
    { kind: "hostile: a drawing", target: "/hostile/drawing.svg?imageView2/2/w/100", statuses: [424] },
  ];

  function hostile(turn: number): ImageOrder {
    const at = turn % (HOSTILE_ORDERS.length + odd.length);
    const order = HOSTILE_ORDERS[at];
    if (order === undefined) return odd[at - HOSTILE_ORDERS.length] as ImageOrder;
    const { what, instruction, outcomes } = order;
    // Each turn uses another quality, so that no earlier result is reused.
    return {
      kind: `hostile: ${what}`,
      target: `/hostile/${at}?${instruction}|imageMogr2/quality/${1 + (turn % 100)}`,
      statuses: outcomes.map((outcome) => (outcome === "rendered" ? 200 : errorRow(outcome).status)),
    };
  }

  return { files, good, hostile };
}
