// Reading the small files: the settings, and the secrets and pages that they name. Bounded, and plain files only: a device never ends, and a
// pipe keeps its reader waiting.
import { readFileSync, type Stats, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";

/** Bytes. */
export const MAX_FILE_BYTES = 1_048_576;

/** UTF-8 text. Throws as readFileSync does, and with the code `EFBIG` or `no plain file`. */
export function readSmallFileSync(path: string): string {
  refuse(statSync(path));
  return readFileSync(path, "utf8");
}

/** The bytes. Rejects as readSmallFileSync throws. */
export async function readSmallFile(path: string): Promise<Buffer> {
  refuse(await stat(path));
  return readFile(path);
}

/** Folders are left to the read, which says what they are. */
function refuse(stats: Stats): void {
  const isPlain = stats.isFile() || stats.isDirectory();
  const code = isPlain ? "EFBIG" : "no plain file";
  if (!isPlain || stats.size > MAX_FILE_BYTES) throw Object.assign(new Error(`Cannot read: ${code}`), { code });
}
