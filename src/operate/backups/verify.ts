// Compares the bytes of blobs with their SHA-256, and syncs the files that it reads.
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { errorCodeOf } from "../../core/disk-failure.ts";
import { blobPath, packPath } from "../../serve/bucket/fs/blob-places.ts";
import type { ListedBlob } from "../../serve/bucket/fs/catalogue/inventory.ts";
import type { PlacingOptions } from "./placing.ts";

export interface Damage {
  /** Images whose bytes are missing or differ. They are not in a backup; the server treats them as damaged. */
  readonly damaged: number;
  /** Some of them, as `<appid>/<bucket> <key>`. */
  readonly damagedObjects: readonly string[];
}

export interface VerifyOptions extends Pick<PlacingOptions, "inventory" | "signal"> {
  /** A generation, or a data folder without a server. */
  readonly folder: string;
  /** Offset in a pack before which nothing needs to be verified. */
  readonly verifiedUntil: (pack: number) => number;
  readonly isVerified: (sha256: string) => Promise<boolean>;
  /** Called for each damaged blob that has a file of its own. */
  readonly onDamagedFile: (path: string) => Promise<void>;
  /** Called with the size of each blob, those included that need not be verified. */
  readonly onBytes: (bytes: number) => void;
}

const MOST_NAMED = 20;
const CHUNK_BYTES = 1_048_576;

/** `packs`: those with damaged images. Throws errors of the disk. */
export async function verifyBlobs(options: VerifyOptions): Promise<{ damage: Damage; packs: ReadonlySet<number> }> {
  const { folder, inventory, verifiedUntil, isVerified, onDamagedFile, signal, onBytes } = options;
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const objects: string[] = [];
  const packs = new Set<number>();
  let damaged = 0;

  function note({ sha256 }: ListedBlob): void {
    damaged += 1;
    if (objects.length < MOST_NAMED) objects.push(...inventory.objectsOf(sha256));
  }

  async function isWhole(file: FileHandle | undefined, at: number, { sha256, size }: ListedBlob): Promise<boolean> {
    signal.throwIfAborted();
    const hash = createHash("sha256");
    for (let done = 0; done < size; ) {
      const read = await file?.read(buffer, 0, Math.min(CHUNK_BYTES, size - done), at + done);
      if (read === undefined || read.bytesRead === 0) return false;
      hash.update(buffer.subarray(0, read.bytesRead));
      done += read.bytesRead;
    }
    return hash.digest("hex") === sha256;
  }

  for (const { pack } of inventory.packs()) {
    await withFile(packPath(folder, pack), async (file) => {
      for (const blob of inventory.inPack(pack, 0)) {
        onBytes(blob.size);
        if (blob.at < verifiedUntil(pack) || (await isWhole(file, blob.at, blob))) continue;
        packs.add(pack);
        note(blob);
      }
    });
  }
  for (let page = inventory.filesAfter(""); page.length > 0; page = inventory.filesAfter(page.at(-1)!.sha256)) {
    for (const blob of page) {
      onBytes(blob.size);
      if (await isVerified(blob.sha256)) continue;
      const path = blobPath(folder, blob.sha256);
      const isRight = await withFile(
        path,
        async (file) => (await file?.stat())?.size === blob.size && (await isWhole(file, 0, blob)),
      );
      if (isRight) continue;
      note(blob);
      await onDamagedFile(path);
    }
  }
  return { damage: { damaged, damagedObjects: objects.slice(0, MOST_NAMED) }, packs };
}

/** Runs with undefined if there is no such file. Syncs the file before it closes it. */
async function withFile<Result>(path: string, run: (file: FileHandle | undefined) => Promise<Result>): Promise<Result> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return run(undefined);
    throw error;
  }
  try {
    const result = await run(file);
    await file.sync();
    return result;
  } finally {
    await file.close();
  }
}
