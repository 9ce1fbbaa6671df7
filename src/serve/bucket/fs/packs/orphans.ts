// Scans in the background for files that a crash left without a row. It pauses after each folder. It removes nothing
// itself: the writer decides and removes, under its lock.
import { readdir } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { errorCodeOf } from "../../../../core/disk-failure.ts";
import { isBlobName } from "../blob-places.ts";
import type { CatalogueReads } from "../catalogue/reads.ts";
import { packNumbers } from "./pack-folder.ts";

export interface OrphanScan {
  readonly dataDir: string;
  readonly reads: Pick<CatalogueReads, "blob" | "hasPack">;
  /** Removes the files that are old enough and still have no row. Returns their number. */
  readonly remove: (found: {
    readonly sha256s: readonly string[];
    readonly packs: readonly number[];
  }) => Promise<number>;
  /** Ends the scan early. */
  readonly signal: AbortSignal;
}

const PAUSE_MS = 2;
const isShardName = (name: string) => /^[0-9a-f]{2}$/.test(name);

/** Returns the number of removed orphans. Resolves early if aborted. */
export async function removeOrphans({ dataDir, reads, remove, signal }: OrphanScan): Promise<number> {
  function hasFile(sha256: string): boolean {
    const blob = reads.blob(sha256);
    return blob !== undefined && blob.place === undefined;
  }

  const packs = packNumbers(await namesIn(`${dataDir}/packs`)).filter((pack) => !reads.hasPack(pack));
  let removed = packs.length === 0 ? 0 : await remove({ sha256s: [], packs });
  const root = `${dataDir}/blobs`;
  for (const outer of await namesIn(root, isShardName)) {
    for (const inner of await namesIn(`${root}/${outer}`, isShardName)) {
      if (signal.aborted) return removed;
      const names = await namesIn(`${root}/${outer}/${inner}`, isBlobName);
      const withoutRow = names.filter((sha256) => !hasFile(sha256));
      if (withoutRow.length > 0) removed += await remove({ sha256s: withoutRow, packs: [] });
      await pause(PAUSE_MS);
    }
  }
  return removed;
}

async function namesIn(folder: string, isWanted: (name: string) => boolean = () => true): Promise<string[]> {
  try {
    return (await readdir(folder)).filter(isWanted).sort();
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT" || errorCodeOf(error) === "ENOTDIR") return [];
    throw error;
  }
}
