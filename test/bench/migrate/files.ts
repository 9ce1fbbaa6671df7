// The sources of the migration bench: folders of small real images, each with bytes of its own.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pictureOf } from "../pictures.ts";

/** About 8 KB on average. */
const SIZES = [3_000, 5_000, 8_000, 11_000, 13_000];
const FOLDER_FILES = 1_000;
const MARK_BYTES = 16;

/** Writes `count` JPEGs into folders of 1,000 below `root`. Returns their names. */
export async function writeJpegs(root: string, count: number): Promise<readonly string[]> {
  const pictures = await Promise.all(SIZES.map(pictureOf));
  return write(root, count, "jpg", (name, index) => pictures[index % pictures.length]!.for(name));
}

/** As writeJpegs(), with gifFor(). */
export function writeGifs(root: string, count: number): void {
  write(root, count, "gif", gifFor);
}

const GIF = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64");
const GIF_COLOURS = 13 + 6;
const GIF_COMMENT = Buffer.concat([Buffer.from([0x21, 0xfe, MARK_BYTES]), Buffer.alloc(MARK_BYTES), Buffer.from([0])]);

/** The smallest image: a GIF of one pixel, 62 bytes, different ones for different names. */
export function gifFor(name: string): Buffer {
  const whole = Buffer.concat([GIF.subarray(0, GIF_COLOURS), GIF_COMMENT, GIF.subarray(GIF_COLOURS)]);
  createHash("md5")
    .update(name)
    .digest()
    .copy(whole, GIF_COLOURS + 3);
  return whole;
}

function write(root: string, count: number, ending: string, bytesOf: (name: string, index: number) => Buffer) {
  const names: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const folder = String(Math.floor(index / FOLDER_FILES)).padStart(4, "0");
    if (index % FOLDER_FILES === 0) mkdirSync(join(root, folder), { recursive: true });
    const name = `${folder}/picture-${index}.${ending}`;
    writeFileSync(join(root, name), bytesOf(name, index));
    names.push(name);
  }
  return names;
}

/** Walks a folder of folders: every file with the bytes that it has now. */
export function* filesIn(root: string): Iterable<readonly [string, Uint8Array]> {
  for (const folder of readdirSync(root)) {
    for (const name of readdirSync(join(root, folder))) {
      yield [`${folder}/${name}`, readFileSync(join(root, folder, name))];
    }
  }
}
