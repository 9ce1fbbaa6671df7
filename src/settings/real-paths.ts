// Follows the symbolic links of paths in the settings, and knows the names of pages.
import { realpathSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";

/** The names of pages, which everyone may read. A secret never has such a name, so no page was ever a secret. */
export const PAGE_NAME = /\.(?:html?|png|jpe?g|gif|webp)$/i;

/** Without symbolic links, as far as the path exists. `path` is absolute. */
export function realOf(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    const parent = dirname(path); // No such file, or its folder may not be read.
    return parent === path ? path : join(realOf(parent), basename(path));
  }
}

/** True for the folder itself, too. Both are real paths. */
export function isBelow(folder: string, path: string): boolean {
  const inside = relative(folder, path);
  return inside !== ".." && !inside.startsWith(`..${sep}`);
}
