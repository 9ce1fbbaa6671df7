// Hundreds of real pictures under awkward names, for an origin to serve: Debian's wallpaper photographs in every
// format. Made once per machine, then reused from the temporary folder. Not for tests that need exact pixels.
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { PHOTOGRAPHS_FOLDER } from "./services.ts";

/** One file of the corpus. */
export interface CorpusImage {
  /** Decoded path below the root with `/` between the parts, which is the fileid. */
  readonly key: string;
  /** An absolute path. */
  readonly path: string;
  readonly bytes: number;
}

export interface Corpus {
  /** The folder that a web server serves. Runs share it: do not write to it. */
  readonly root: string;
  /** Sorted by key; at least 300 images. */
  readonly images: readonly CorpusImage[];
}

/** The default of `limits.objectSize`, 20 MiB; the largest image of the corpus is one byte below it. */
const SIZE_LIMIT = 20 * 1024 * 1024;
const LARGEST = join(PHOTOGRAPHS_FOLDER, "abstract/Elephants_5640x3172.jpg");

const WIDTHS = [24, 48, 96, 160, 240];
const FORMATS: Readonly<Record<string, (image: Sharp) => Sharp>> = {
  jpg: (image) => image.jpeg({ quality: 80 }),
  png: (image) => image.png(),
  gif: (image) => image.gif({ effort: 1 }),
  webp: (image) => image.webp({ quality: 75 }),
  avif: (image) => image.avif({ quality: 50, effort: 0 }),
};

/**
 * Names that break if a path is decoded twice, not at all, cut at a special character, or normalized. None contains the
 * default separator.
 */
const AWKWARD_NAMES = [
  "with space.jpg",
  " leading and trailing .jpg",
  "two  spaces.jpg",
  "plus+plus.jpg",
  "100%.jpg",
  "100%25.jpg",
  "%2F.jpg",
  "%E4%B8%AD.jpg",
  "%zz.jpg",
  "hash#1.jpg",
  "question?w=100.jpg",
  "imageView2?imageView2/2/w/100.jpg",
  "ampersand&sign=x.jpg",
  "semi;colon=equals,comma.jpg",
  "quote'\"`.jpg",
  "brackets[1](2){3}<4>.jpg",
  "back\\slash|caret^.jpg",
  "at@tilde~dollar$star*.jpg",
  "colon:8080.jpg",
  ".hidden.jpg",
  "...jpg",
  "dots..jpg",
  "trailing.dot.",
  "a",
  "a.jpg",
  "a.jpg.jpg",
  "A.JPG",
  "no-extension",
  "dash-under_score.jpg",
  "中文图片.jpg",
  "图片 副本(1).jpg",
  "全角 空格+加号%.jpg",
  "caf\u00e9 composed.jpg",
  "cafe\u0301 decomposed.jpg",
  "日本語カナ.jpg",
  "한국어.jpg",
  "عربي.jpg",
  "😀 emoji 👩‍👩‍👧.jpg",
  "长".repeat(80),
  "2015/a.jpg",
  "2015/01/a.jpg",
  "相册/二〇一五/春 天/花+草.jpg",
  "con fig/%41/#/?/&/ü.jpg",
  `${Array.from({ length: 40 }, (_, depth) => `d${depth}`).join("/")}/deep.jpg`,
  `${"很深/".repeat(20)}照片.jpg`,
];

/**
 * Returns the corpus; the first call makes it within seconds, later calls reuse it. Rejects if the photographs are
 * missing: the test declares `needs("photographs")`.
 */
export async function photographCorpus(): Promise<Corpus> {
  // The folder is named after this file's contents, so that a changed recipe gets a new folder.
  const recipe = createHash("sha256")
    .update(await readFile(new URL(import.meta.url)))
    .digest("hex")
    .slice(0, 12);
  const root = join(tmpdir(), `huiyuan-photographs-${recipe}`);
  const found = await listed(root);
  if (found.length > 0) return { root, images: found };

  // Made in a separate folder and renamed as a whole, so that a killed run leaves no partial corpus.
  const making = await mkdtemp(`${root}-`);
  try {
    await make(making);
    await rename(making, root).catch(async (cause: unknown) => {
      if ((await listed(root)).length === 0) throw cause; // otherwise another run has made the same corpus first
    });
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return { root, images: await listed(root) };
}

async function make(root: string): Promise<void> {
  const folder = join(PHOTOGRAPHS_FOLDER, "nature");
  const photographs = (await readdir(folder)).filter((name) => name.endsWith(".jpg")).sort();
  if (photographs.length === 0) throw new Error(`Cannot make the corpus: no photograph in ${folder}`);
  const write = async (key: string, bytes: Uint8Array) => {
    const path = join(root, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes, { flag: "wx" });
  };
  await mkdir(join(root, "originals"));
  const small: Buffer[] = [];
  for (const name of photographs) {
    await copyFile(join(folder, name), join(root, "originals", name));
    const pixels = await sharp(join(folder, name))
      .resize(Math.max(...WIDTHS))
      .png({ compressionLevel: 0 })
      .toBuffer();
    small.push(pixels);
    await Promise.all(
      WIDTHS.flatMap((width) =>
        Object.entries(FORMATS).map(async ([extension, encode]) => {
          const bytes = await encode(sharp(pixels).resize(width)).toBuffer();
          await write(`made/${width}/${name.replace(/jpg$/, extension)}`, bytes);
        }),
      ),
    );
  }
  for (const [index, name] of AWKWARD_NAMES.entries()) {
    // Each image gets a different width, so that no two are equal and mixed-up names are noticed.
    const image = sharp(small[index % small.length]).resize(100 + index);
    await write(`names/${name}`, await image.jpeg().toBuffer());
  }
  // Equal bytes under several names: a store keeps one copy.
  const twin = await sharp(small[0]).resize(99).webp().toBuffer();
  for (const name of ["first.webp", "second.webp", "第三.webp"]) await write(`twins/${name}`, twin);
  // Bytes after a JPEG's end are allowed, so the padded file is still whole.
  const largest = await readFile(LARGEST);
  await write("just below the limit.jpg", Buffer.concat([largest, Buffer.alloc(SIZE_LIMIT - 1 - largest.length)]));
}

/** Lists all files below `root`; none if it does not exist. */
async function listed(root: string): Promise<CorpusImage[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return [];
      throw cause;
    },
  );
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const images = files.map(async (path) => ({
    key: path.slice(root.length + 1),
    path,
    bytes: (await stat(path)).size,
  }));
  return (await Promise.all(images)).sort((left, right) => (left.key < right.key ? -1 : 1));
}
