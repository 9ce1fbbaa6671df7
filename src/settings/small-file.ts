// Reads a file that an operator has named, if it is a regular one of at most 1 MiB.
import { readFileSync, type Stats, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";

/** Largest settings file, secret's file and 404 page. Bytes, inclusive. */
export const MAX_FILE_BYTES = 1_048_576;

/** The file as UTF-8 text. Throws as readFileSync() does, or an error with the code `EFBIG` or `no plain file`. */
export function readSmallFileSync(path: string): string {
  refuse(statSync(path));
  return readFileSync(path, "utf8");
}

/** The file as bytes. Rejects with the errors of readSmallFileSync(). */
export async function readSmallFile(path: string): Promise<Buffer> {
  refuse(await stat(path));
  return readFile(path);
}

/** A device may never end, and a pipe may block its reader. Folders pass, because reading them fails with EISDIR. */
function refuse(stats: Stats): void {
  const isPlain = stats.isFile() || stats.isDirectory();
  const code = isPlain ? "EFBIG" : "no plain file";
  if (!isPlain || stats.size > MAX_FILE_BYTES) throw Object.assign(new Error(`Cannot read: ${code}`), { code });
}
