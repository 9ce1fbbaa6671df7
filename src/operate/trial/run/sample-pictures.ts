// Reads the pictures of the trial's sample site from config/samples/. It serves and processes nothing.
import { readFile } from "node:fs/promises";
import { MEDIA_TYPES } from "../../../core/object.ts";

/** One picture of the sample site, with its bytes. */
export interface SamplePicture {
  /** File name, not encoded for a URL; it may contain blanks and Chinese. */
  readonly name: string;
  readonly title: string;
  readonly titleZh: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

const { jpeg, png, gif, webp, avif } = MEDIA_TYPES;

/** In the order of the gallery, with formats and names like those of real sites. */
const PICTURES: readonly Omit<SamplePicture, "bytes">[] = [
  { name: "mountains-at-dawn.jpg", title: "Mountains at dawn", titleZh: "群山破晓", mediaType: jpeg },
  { name: "paper-waves.png", title: "Waves of paper", titleZh: "青海波", mediaType: png },
  { name: "晨雾.jpg", title: "Morning mist", titleZh: "晨雾", mediaType: jpeg },
  { name: "aurora.avif", title: "Northern lights", titleZh: "极光", mediaType: avif },
  { name: "sunset-over-the-sea.jpg", title: "Sunset over the sea", titleZh: "海上落日", mediaType: jpeg },
  { name: "lotus-pond.jpg", title: "Carp and lotus", titleZh: "锦鲤荷塘", mediaType: jpeg },
  { name: "city at dusk.png", title: "City at dusk", titleZh: "暮色之城", mediaType: png },
  { name: "milky-way.jpg", title: "Milky Way", titleZh: "银河", mediaType: jpeg },
  { name: "cherry-blossoms.jpg", title: "Cherry blossoms", titleZh: "樱花", mediaType: jpeg },
  { name: "dunes.webp", title: "Caravan in the dunes", titleZh: "沙丘驼队", mediaType: webp },
  { name: "autumn-lake.jpg", title: "Autumn lake", titleZh: "秋湖", mediaType: jpeg },
  { name: "paper-canyon.jpg", title: "Canyon of paper", titleZh: "纸峡谷", mediaType: jpeg },
  { name: "lighthouse.jpg", title: "Lighthouse at nightfall", titleZh: "灯塔", mediaType: jpeg },
  { name: "山水.webp", title: "Ink landscape", titleZh: "山水", mediaType: webp },
  { name: "snowfall.gif", title: "Snowfall", titleZh: "雪夜", mediaType: gif },
];

/** The folder of the files; src/ and dist/ both lie beside config/. */
const FOLDER = new URL("../../../../config/samples/", import.meta.url);

/** Reads every picture, 2.3 MB in all, in the order of the gallery. Rejects if a file is missing. */
export function readSamplePictures(): Promise<readonly SamplePicture[]> {
  return Promise.all(
    PICTURES.map(async (picture) => ({ ...picture, bytes: await readFile(new URL(picture.name, FOLDER)) })),
  );
}
