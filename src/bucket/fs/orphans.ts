// The background scan for files that a crash left without a row. It walks one folder at a time with a pause after each,
// and only finds: the writer decides and removes, under its lock.
import { readdir } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { errorCodeOf } from "./failure.ts";

export interface OrphanScan {
  readonly dataDir: string;
  readonly hasBlob: (sha256: string) => boolean;
  /** Removes those of the files that are old enough and still have no row; returns how many. */
  readonly remove: (sha256s: readonly string[]) => Promise<number>;
  /** Ends the walk early. */
  readonly signal: AbortSignal;
  readonly pauseMs?: number;
}

const PAUSE_MS = 2;
const SHARD_NAME = /^[0-9a-f]{2}$/;
const BLOB_NAME = /^[0-9a-f]{64}$/;

/** Returns how many orphans were removed. Resolves early when aborted. */
export async function removeOrphans({
  dataDir,
  hasBlob,
  remove,
  signal,
  pauseMs = PAUSE_MS,
}: OrphanScan): Promise<number> {
  let removed = 0;
  const root = `${dataDir}/blobs`;
  for (const outer of await namesIn(root, SHARD_NAME)) {
    for (const inner of await namesIn(`${root}/${outer}`, SHARD_NAME)) {
      if (signal.aborted) return removed;
      const names = await namesIn(`${root}/${outer}/${inner}`, BLOB_NAME);
      const strangers = names.filter((sha256) => !hasBlob(sha256));
      if (strangers.length > 0) removed += await remove(strangers);
      await pause(pauseMs);
    }
  }
  return removed;
}

async function namesIn(folder: string, pattern: RegExp): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => pattern.test(name)).sort();
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT" || errorCodeOf(error) === "ENOTDIR") return [];
    throw error;
  }
}
