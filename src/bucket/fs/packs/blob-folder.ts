// The folder of content-addressed blobs, `blobs/ab/cd/<sha256>`: paths, placing by rename, removing, setting aside.
// Synchronous, for the writer thread: a path changes only under the write lock. It does not know the catalogue.
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { errorCodeOf } from "../failure.ts";

/** Where the file of a blob lies. `sha256`: lower-case hex. */
export function blobPath(dataDir: string, sha256: string): string {
  return `${dataDir}/blobs/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}/${sha256}`;
}

/** A blob that was renamed into place and whose name is not yet known to be on the disk. */
export interface Placement {
  readonly sha256: string;
  readonly sourcePath: string;
  /** Folders to be synced for the name to last, outermost first. */
  readonly unsynced: readonly string[];
}

export interface BlobFolder {
  /** True when the blob's file is there with this many bytes. */
  has(sha256: string, size: number): boolean;
  stat(sha256: string): Stats | undefined;
  /** Renames a synced file to the blob's path. It lasts only after `sync`. */
  place(sha256: string, sourcePath: string): Placement;
  /** Syncs each folder once; returns the placements that failed, with why. */
  sync(placements: readonly Placement[]): ReadonlyMap<Placement, unknown>;
  /** Undoes `place`: the file goes back to where it was. */
  undoPlace(placement: Placement): void;
  /** The file has its old name again, and keeps the blob's. */
  relinkSource(placement: Placement): void;
  /** No error when the file is not there. */
  remove(sha256: string): void;
  /** Moves the file to `quarantine/`, for a person to look at. False when it is not there. */
  quarantine(sha256: string, now: number): boolean;
  /** Leaves damaged bytes that lie elsewhere in `quarantine/`, as far as they can be read. */
  keepDamaged(sha256: string, now: number, read: () => Buffer): void;
}

export function openBlobFolder(dataDir: string): BlobFolder {
  const root = `${dataDir}/blobs`;
  // Shard folders whose own names are known to be on the disk; at most 256 + 65,536 of them exist.
  const syncedFolders = new Set<string>([root]);

  /** Makes the folder where it is missing and returns the folders that must be synced for its name to last. */
  function ensureFolder(folder: string): string[] {
    if (syncedFolders.has(folder)) return [];
    const parent = dirname(folder);
    const unsynced = ensureFolder(parent);
    try {
      mkdirSync(folder, { mode: 0o755 });
    } catch (error) {
      // It may be left from before a crash with its name not yet on the disk, so the parent is synced all the same.
      if (errorCodeOf(error) !== "EEXIST") throw error;
    }
    return [...unsynced, parent];
  }

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
      const faults = syncEach(new Set(placements.flatMap(({ unsynced }) => unsynced)));
      const failed = new Map<Placement, unknown>();
      for (const placement of placements) {
        const broken = placement.unsynced.find((folder) => faults.has(folder));
        if (broken !== undefined) failed.set(placement, faults.get(broken));
        // Each folder but the outermost has had its parent synced just now, or was lasting before.
        else for (const folder of placement.unsynced) syncedFolders.add(folder);
      }
      return failed;
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
        renameSync(blobPath(dataDir, sha256), `${dataDir}/quarantine/${sha256}.${now}`);
        return true;
      } catch (error) {
        if (errorCodeOf(error) === "ENOENT") return false;
        throw error;
      }
    },
    keepDamaged(sha256, now, read) {
      try {
        writeFileSync(`${dataDir}/quarantine/${sha256}.${now}`, read(), { mode: 0o600 });
      } catch {
        // For a person to look at, no more: the damage is dealt with all the same.
      }
    },
  };
}

function syncEach(folders: ReadonlySet<string>): Map<string, unknown> {
  const faults = new Map<string, unknown>();
  for (const folder of folders) {
    try {
      syncDirectory(folder);
    } catch (error) {
      faults.set(folder, error);
    }
  }
  return faults;
}

/** Makes the names in a folder last. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

export function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errorCodeOf(error) !== "ENOENT") throw error;
  }
}
