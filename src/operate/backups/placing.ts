// Puts the files of blobs and packs into a generation: by hard link if possible, else by copy. It reads the rows of the
// copied catalogue; the caller keeps the server from removing files meanwhile.

import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, link, mkdir, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { errorCodeOf } from "../../core/disk-failure.ts";
import { blobPath, packPath } from "../../serve/bucket/fs/blob-places.ts";
import type { Inventory } from "../../serve/bucket/fs/catalogue/inventory.ts";
import type { Generation } from "./generations.ts";

export interface PlacingOptions {
  /** The data folder. */
  readonly data: string;
  /** The generation that is being written. */
  readonly target: string;
  readonly previous: Generation | undefined;
  /** Copies all bytes, so that a disk error of the data folder cannot reach the backup. */
  readonly copies: boolean;
  readonly inventory: Inventory;
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

export interface Placed {
  /** Bytes that were copied. */
  readonly writtenBytes: number;
  /** All folders that were made, each behind its parent. */
  readonly folders: readonly string[];
  /** Offset in a pack before which the previous generation has verified the same file. */
  verifiedUntil(pack: number): number;
}

const CHUNK_BYTES = 1_048_576;

/** Skips files that are missing: the verification finds them. Throws errors of the disk. */
export async function placeFiles(options: PlacingOptions): Promise<Placed> {
  const { data, target, previous, copies, inventory, signal, onBytes } = options;
  const folders = new Set<string>([target]);
  const verifiedUntil = new Map<number, number>();
  let writtenBytes = 0;

  async function makeFolder(path: string): Promise<void> {
    if (folders.has(path)) return;
    await makeFolder(dirname(path));
    await mkdir(path);
    folders.add(path);
  }

  /** The path of the same file in the previous generation. */
  const before = (to: string) => previous && join(previous.path, relative(target, to));
  const inData = (to: string) => join(data, relative(target, to));

  /** Links the file of the previous generation, unless it is the data folder's own and may not be shared. */
  async function linkBefore(to: string, mayBeShared: boolean): Promise<boolean> {
    const from = before(to);
    if (from === undefined || (!mayBeShared && (await isSameFile(from, inData(to))))) return false;
    return tryLink(from, to);
  }

  async function placeBlob(sha256: string, size: number): Promise<void> {
    const to = blobPath(target, sha256);
    await makeFolder(dirname(to));
    if (!copies && (await tryLink(inData(to), to))) return;
    if (await linkBefore(to, !copies)) return;
    if (await unlessMissing(copyFile(inData(to), to).then(() => true))) writtenBytes += size;
  }

  /** The newest pack grows, so the generation never shares it with the data folder, only with other generations. */
  async function placePack(pack: number, end: number, isNewest: boolean): Promise<void> {
    const to = packPath(target, pack);
    await makeFolder(dirname(to));
    const known = previous?.manifest.packs[pack] ?? 0;
    const from = known > 0 && inventory.continues(pack, known) ? known : 0;
    if (!copies && !isNewest && (await tryLink(inData(to), to))) {
      if (from > 0 && (await isSameFile(to, before(to)!))) verifiedUntil.set(pack, from);
      return;
    }
    const isContinued = from > 0 && (await linkBefore(to, false));
    if (isContinued) verifiedUntil.set(pack, from);
    writtenBytes += (await unlessMissing(copyRange(inData(to), to, isContinued ? from : 0, end))) ?? 0;
  }

  const packs = inventory.packs();
  for (const { pack, end } of packs) {
    signal.throwIfAborted();
    await placePack(pack, end, pack === packs.at(-1)?.pack);
    onBytes(inventory.inPack(pack, 0).reduce((sum, { size }) => sum + size, 0));
  }
  for (let page = inventory.filesAfter(""); page.length > 0; page = inventory.filesAfter(page.at(-1)!.sha256)) {
    for (const { sha256, size } of page) {
      signal.throwIfAborted();
      await placeBlob(sha256, size);
      onBytes(size);
    }
  }
  return { writtenBytes, folders: [...folders], verifiedUntil: (pack) => verifiedUntil.get(pack) ?? 0 };
}

/** False if a path does not exist. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([a, b].map((path) => unlessMissing(stat(path))));
  return first !== undefined && first.ino === second?.ino && first.dev === second.dev;
}

/** False if there are no hard links between these places, or not so many. A copy meets all other faults of a disk. */
const tryLink = (from: string, to: string): Promise<boolean> =>
  link(from, to).then(
    () => true,
    () => false,
  );

/** Undefined if a file or folder does not exist. */
export async function unlessMissing<Value>(action: Promise<Value>): Promise<Value | undefined> {
  return action.catch((error: unknown) => {
    if (errorCodeOf(error) === "ENOENT") return undefined;
    throw error;
  });
}

/** Copies existing bytes to the same place of another file, which is new if `from` is 0. Returns their number. */
async function copyRange(source: string, target: string, from: number, end: number): Promise<number> {
  if (end <= from) return 0;
  const output = createWriteStream(target, { flags: from === 0 ? "wx" : "r+", start: from, mode: 0o600 });
  await pipeline(createReadStream(source, { start: from, end: end - 1, highWaterMark: CHUNK_BYTES }), output);
  return output.bytesWritten;
}

/** Begins a step over `total` bytes of images. Returns a function that is called with the bytes that are done then. */
export type OnProgress = (step: "placing" | "verifying", total: number) => (bytes: number) => void;
