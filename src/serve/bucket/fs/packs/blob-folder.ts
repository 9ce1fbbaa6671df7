// The folder of content-addressed blobs, `blobs/ab/cd/<sha256>`: places files by rename, removes and
// quarantines them. Synchronous, for the writer thread; a path changes only under the write lock. It does not read the
// catalogue.

import { linkSync, mkdirSync, renameSync, type Stats, statSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errorCodeOf } from "../../../../core/disk-failure.ts";
import { syncDirectory } from "../../../../core/files.ts";
import { blobName, blobPath } from "../blob-places.ts";

/** A blob that was renamed into place, before its name is synced. */
export interface Placement {
  readonly sha256: string;
  readonly sourcePath: string;
  /** Folders to sync before the name is durable, outermost first. */
  readonly unsynced: readonly string[];
}

export interface BlobFolder {
  stat(sha256: string): Stats | undefined;
  /** True if the blob's file exists with this size. */
  has(sha256: string, size: number): boolean;
  /** Renames a synced file to the blob's path. Durable only after `sync`. */
  place(sha256: string, sourcePath: string): Placement;
  /** Makes the names durable; syncs each folder once. */
  sync(placements: readonly Placement[]): void;
  /** Renames the file back to its source path. */
  undoPlace(placement: Placement): void;
  /** Links the file to its source path as well. */
  relinkSource(placement: Placement): void;
  /** Does nothing if the file is missing. */
  remove(sha256: string): void;
  /** Moves the file to `quarantine/`, for inspection, if there is one. */
  quarantine(sha256: string, now: number): void;
  /** Copies damaged bytes from elsewhere to `quarantine/`, for inspection, if they can be read. */
  keepDamaged(sha256: string, now: number, read: () => Buffer): void;
}

export function openBlobFolder(dataDir: string): BlobFolder {
  const root = `${dataDir}/blobs`;
  // Shard folders whose own names are synced. At most 256 + 65,536 of them exist.
  const syncedFolders = new Set<string>([root]);

  /** Creates the folder if it is missing. Returns the folders to sync before its name is durable. */
  function ensureFolder(folder: string): string[] {
    if (syncedFolders.has(folder)) return [];
    const parent = dirname(folder);
    const unsynced = ensureFolder(parent);
    try {
      mkdirSync(folder, { mode: 0o755 });
    } catch (error) {
      // A crash may have left it with an unsynced name, so its parent is synced in any case.
      if (errorCodeOf(error) !== "EEXIST") throw error;
    }
    return [...unsynced, parent];
  }

  const quarantinePath = (sha256: string, now: number) => `${dataDir}/quarantine/${blobName(sha256)}.${now}`;

  function stat(sha256: string): Stats | undefined {
    return statSync(blobPath(dataDir, sha256), { throwIfNoEntry: false });
  }

  return {
    stat,
    has(sha256, size) {
      const found = stat(sha256);
      return found?.isFile() === true && found.size === size;
    },
    place(sha256, sourcePath) {
      const path = blobPath(dataDir, sha256);
      const folder = dirname(path);
      const unsynced = ensureFolder(folder);
      renameSync(sourcePath, path);
      return { sha256, sourcePath, unsynced: [...unsynced, folder] };
    },
    sync(placements) {
      const folders = new Set(placements.flatMap(({ unsynced }) => unsynced));
      for (const folder of folders) syncDirectory(folder);
      // The parent of each folder was synced now or before, the outermost one's included.
      for (const folder of folders) syncedFolders.add(folder);
    },
    undoPlace({ sha256, sourcePath }) {
      renameSync(blobPath(dataDir, sha256), sourcePath);
    },
    relinkSource({ sha256, sourcePath }) {
      linkSync(blobPath(dataDir, sha256), sourcePath);
    },
    remove(sha256) {
      unlinkIfThere(blobPath(dataDir, sha256));
    },
    quarantine(sha256, now) {
      try {
        renameSync(blobPath(dataDir, sha256), quarantinePath(sha256, now));
      } catch (error) {
        if (errorCodeOf(error) !== "ENOENT") throw error;
      }
    },
    keepDamaged(sha256, now, read) {
      try {
        writeFileSync(quarantinePath(sha256, now), read(), { mode: 0o600 });
      } catch {
        // The copy is only for inspection. The damage is handled without it.
      }
    },
  };
}

export function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errorCodeOf(error) !== "ENOENT") throw error;
  }
}
