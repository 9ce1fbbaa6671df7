// Bounds what edits over the admin API may name: files below the folder of the settings file, and no variables of the
// environment. The holder of the admin token need not be the operator of the machine, and an origin of their own could
// receive the secret.
import { realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { formatPath } from "../faults.ts";
import { FILE_PATHS, type PathPattern, SECRET_PATHS, textsAt } from "../setting-paths.ts";
import { refused } from "./edit-text.ts";

/** Anything else is no page, and its bytes would be public. */
const PAGE = /\.(?:html?|txt|png|jpe?g|gif|webp)$/i;
const FORBIDDEN = { answerStatus: 403 };

/**
 * Throws request_invalid with 403 for a name that `next` has, and that `tree`, the settings of the file, does not have
 * at such a place. Whether a file exists outside of the folder is not told.
 */
export function checkNames(file: string, tree: unknown, next: unknown): void {
  const folder = dirname(resolve(file));
  const isBelow = (path: string) => {
    const inside = relative(folder, resolve(folder, path));
    const real = relative(realOf(folder), realOf(resolve(folder, path)));
    return ![inside, real].some((each) => each === ".." || each.startsWith(`..${sep}`));
  };
  const secrets = SECRET_PATHS.flatMap((pattern) => textsAt(tree, pattern)).filter((text) => text.startsWith("file:"));
  const reserved = new Set(
    [file, ...secrets.map((text) => text.slice(5))].map((path) => realOf(resolve(folder, path))),
  );
  const check = (pattern: PathPattern, path: string) => {
    const place = placeOf(pattern);
    if (!isBelow(path))
      throw refused(`${JSON.stringify(path)} (${place}) is not below the folder of the settings file`, FORBIDDEN);
    const isPage = !pattern.includes("notFound") || PAGE.test(path);
    if (reserved.has(realOf(resolve(folder, path))) || !isPage)
      throw refused(`${JSON.stringify(path)} holds secrets or is no page, so ${place} may not name it`, FORBIDDEN);
  };
  for (const pattern of SECRET_PATHS)
    for (const text of added(pattern, tree, next)) {
      if (text.startsWith("env:"))
        throw refused(`only the file itself may name a new variable, ${text} (${placeOf(pattern)})`, FORBIDDEN);
      if (text.startsWith("file:")) check(pattern, text.slice(5));
    }
  for (const pattern of FILE_PATHS)
    for (const path of added(pattern, tree, next)) {
      // They decide which files the holder of the token can read by a migration.
      if (pattern.includes("migrationFolders"))
        throw refused("only the file itself may name migrationFolders", FORBIDDEN);
      check(pattern, path);
    }
}

/** The end of a pattern, for messages. */
const placeOf = (pattern: PathPattern) => formatPath(pattern.filter((part) => part !== "*").slice(-2));

function added(pattern: PathPattern, tree: unknown, next: unknown): readonly string[] {
  const known = new Set(textsAt(tree, pattern));
  return textsAt(next, pattern).filter((text) => !known.has(text));
}

/** Without symbolic links, as far as the path exists. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path); // No such file, or its folder may not be read.
    return parent === path ? path : join(realOf(parent), basename(path));
  }
}
