// The pictures of the sample site that a newcomer's first mirror is put in front of: drawn by scenes/, made ready here in
// as many formats as a real site has. Needs no network, no fonts and no files; equal on every run.
import sharp, { type Sharp } from "sharp";
import { MEDIA_TYPES } from "../object.ts";
import { createRandom } from "./scenes/brush.ts";
import { cityAtDusk, SNOW_FRAMES, SNOW_SIZE, snowfallFrame } from "./scenes/city.ts";
import { dunes, paperCanyon } from "./scenes/desert.ts";
import { cherryBlossoms, lotusPond } from "./scenes/garden.ts";
import { inkLandscape, mountainsAtDawn } from "./scenes/mountains.ts";
import { aurora, milkyWay } from "./scenes/night-sky.ts";
import { paperWaves } from "./scenes/paper-waves.ts";
import { lighthouse, sunsetOverTheSea } from "./scenes/sea.ts";
import { HEIGHT, WIDTH } from "./scenes/svg.ts";
import { type Finish, finishPixels } from "./scenes/texture.ts";
import { autumnLake, morningMist } from "./scenes/woods.ts";

/** One picture, ready to be served. */
export interface SamplePicture {
  /** The file's name as a person writes it: may hold blanks and Chinese, not yet encoded for a URL. */
  readonly name: string;
  readonly title: string;
  readonly titleZh: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
  /** Pixels, of one frame. */
  readonly width: number;
  readonly height: number;
}

interface Scene {
  readonly name: string;
  readonly title: string;
  readonly titleZh: string;
  readonly format: "jpeg" | "png" | "webp" | "avif" | "gif";
  readonly finish: Finish;
  readonly draw: () => Promise<string>;
}

const PHOTOGRAPH: Finish = { grain: 5, vignette: 0.5 };
const NIGHT: Finish = { grain: 6, vignette: 0.6 };
const PAPER: Finish = { grain: 4, vignette: 0.35 };
/** Grain would make a PNG four times as large. */
const FLAT: Finish = { grain: 0, vignette: 0 };

const SCENES: readonly Scene[] = [
  {
    name: "mountains-at-dawn.jpg",
    title: "Mountains at dawn",
    titleZh: "群山破晓",
    format: "jpeg",
    finish: PHOTOGRAPH,
    draw: mountainsAtDawn,
  },
  {
    name: "paper-waves.png",
    title: "Waves of paper",
    titleZh: "青海波",
    format: "png",
    finish: FLAT,
    draw: paperWaves,
  },
  { name: "晨雾.jpg", title: "Morning mist", titleZh: "晨雾", format: "jpeg", finish: PHOTOGRAPH, draw: morningMist },
  {
    name: "aurora.avif",
    title: "Northern lights",
    titleZh: "极光",
    format: "avif",
    finish: { grain: 3, vignette: 0.4 },
    draw: aurora,
  },
  {
    name: "sunset-over-the-sea.jpg",
    title: "Sunset over the sea",
    titleZh: "海上落日",
    format: "jpeg",
    finish: PHOTOGRAPH,
    draw: sunsetOverTheSea,
  },
  {
    name: "lotus-pond.jpg",
    title: "Carp and lotus",
    titleZh: "锦鲤荷塘",
    format: "jpeg",
    finish: PHOTOGRAPH,
    draw: lotusPond,
  },
  {
    name: "city at dusk.png",
    title: "City at dusk",
    titleZh: "暮色之城",
    format: "png",
    finish: FLAT,
    draw: cityAtDusk,
  },
  { name: "milky-way.jpg", title: "Milky Way", titleZh: "银河", format: "jpeg", finish: NIGHT, draw: milkyWay },
  {
    name: "cherry-blossoms.jpg",
    title: "Cherry blossoms",
    titleZh: "樱花",
    format: "jpeg",
    finish: PAPER,
    draw: cherryBlossoms,
  },
  {
    name: "dunes.webp",
    title: "Caravan in the dunes",
    titleZh: "沙丘驼队",
    format: "webp",
    finish: PHOTOGRAPH,
    draw: dunes,
  },
  {
    name: "autumn-lake.jpg",
    title: "Autumn lake",
    titleZh: "秋湖",
    format: "jpeg",
    finish: PHOTOGRAPH,
    draw: autumnLake,
  },
  {
    name: "paper-canyon.jpg",
    title: "Canyon of paper",
    titleZh: "纸峡谷",
    format: "jpeg",
    finish: PAPER,
    draw: paperCanyon,
  },
  {
    name: "lighthouse.jpg",
    title: "Lighthouse at nightfall",
    titleZh: "灯塔",
    format: "jpeg",
    finish: NIGHT,
    draw: lighthouse,
  },
  { name: "山水.webp", title: "Ink landscape", titleZh: "山水", format: "webp", finish: PAPER, draw: inkLandscape },
];

/** How many pictures are made at once: more would not be faster and would take memory. */
const AT_ONCE = 2;

/** Draws and encodes every picture; takes a few seconds of two cores. The order is that of the gallery. */
export async function makeSamplePictures(): Promise<readonly SamplePicture[]> {
  const tasks: readonly (() => Promise<SamplePicture>)[] = [
    ...SCENES.map((scene) => () => makeStill(scene)),
    makeSnowfall,
  ];
  const pictures: SamplePicture[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < tasks.length; index = next++) {
      const task = tasks[index];
      if (task !== undefined) pictures[index] = await task();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return pictures;
}

async function makeStill(scene: Scene): Promise<SamplePicture> {
  const { data: pixels } = await sharp(Buffer.from(await scene.draw()))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  if (scene.finish !== FLAT) finishPixels({ pixels, width: WIDTH, height: HEIGHT }, scene.finish, createRandom(1));
  const image = sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
  return describe(scene, await encode(image, scene.format).toBuffer(), WIDTH, HEIGHT);
}

function encode(image: Sharp, format: Scene["format"]): Sharp {
  switch (format) {
    case "jpeg":
      return image.jpeg({ quality: 82 });
    case "png":
      return image.png({ palette: true, colours: 256, dither: 0.6, effort: 1, compressionLevel: 7 });
    case "webp":
      return image.webp({ quality: 90, effort: 2 });
    case "avif":
      return image.avif({ quality: 58, effort: 0 });
    case "gif":
      return image.gif();
  }
}

async function makeSnowfall(): Promise<SamplePicture> {
  const frames: Buffer[] = [];
  for (let frame = 0; frame < SNOW_FRAMES; frame += 1) {
    frames.push(
      await sharp(Buffer.from(snowfallFrame(frame)))
        .removeAlpha()
        .raw()
        .toBuffer(),
    );
  }
  const raw = {
    width: SNOW_SIZE.width,
    height: SNOW_SIZE.height * SNOW_FRAMES,
    channels: 3 as const,
    pageHeight: SNOW_SIZE.height,
  };
  const bytes = await sharp(Buffer.concat(frames), { raw })
    .gif({ delay: Array.from({ length: SNOW_FRAMES }, () => 140), loop: 0, colours: 48, dither: 0, effort: 3 })
    .toBuffer();
  const snowfall = { name: "snowfall.gif", title: "Snowfall", titleZh: "雪夜", format: "gif" } as const;
  return describe(snowfall, bytes, SNOW_SIZE.width, SNOW_SIZE.height);
}

function describe(
  facts: Pick<Scene, "name" | "title" | "titleZh" | "format">,
  bytes: Buffer,
  width: number,
  height: number,
): SamplePicture {
  const { name, title, titleZh, format } = facts;
  return { name, title, titleZh, mediaType: MEDIA_TYPES[format], bytes, width, height };
}
