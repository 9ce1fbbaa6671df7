// Bounds what edits over the admin API may name: no new secret of a variable or a file, no folder, and as 404 page only
// a page below the folder of the settings file. The holder of the admin token need not be the operator of the machine,
// and an origin of their own could receive the secret.
import { dirname, resolve } from "node:path";
import { formatPath, type SettingsPath } from "../faults.ts";
import { isBelow, PAGE_NAME, realOf } from "../real-paths.ts";
import { FILE_PATHS, textsAt } from "../setting-paths.ts";
import { refused, type SettingsEdit } from "./edit-text.ts";

const FORBIDDEN = { answerStatus: 403 };

/**
 * `tree`: the settings of the file, `next`: those after the edits. Throws request_invalid with 403 for a new name.
 * Whether a file exists outside of the folder is not told.
 */
export function checkNames(file: string, tree: unknown, next: unknown, edits: readonly SettingsEdit[]): void {
  for (const { path, value } of edits) refuseReferences(value, path, tree);
  const folder = dirname(resolve(file));
  for (const pattern of FILE_PATHS) {
    const place = formatPath(pattern.filter((part) => part !== "*").slice(-2));
    const known = new Set(textsAt(tree, pattern));
    for (const path of textsAt(next, pattern).filter((text) => !known.has(text))) {
      if (!pattern.includes("notFound")) throw refused(`only the file itself may name ${place}`, FORBIDDEN);
      const [real, name] = [realOf(resolve(folder, path)), `${JSON.stringify(path)} (${place})`];
      if (!isBelow(realOf(folder), real))
        throw refused(`${name} is not below the folder of the settings file`, FORBIDDEN);
      if (!PAGE_NAME.test(path) || !PAGE_NAME.test(real))
        throw refused(`${name} is no page: wanted .html, .htm, .png, .jpg, .jpeg, .gif or .webp`, FORBIDDEN);
    }
  }
}

/** Wherever it is written: an alias may lead from there to a secret. */
function refuseReferences(value: unknown, path: SettingsPath, tree: unknown): void {
  const known = path.reduce<unknown>(
    (inner, part) => (inner as Readonly<Record<string, unknown>> | null | undefined)?.[part],
    tree,
  );
  if (typeof value === "object" && value !== null)
    for (const [key, inner] of Object.entries(value)) refuseReferences(inner, [...path, key], tree);
  else if (typeof value === "string" && /^(?:env|file):/.test(value) && value !== known)
    throw refused(`only the file itself may name ${value} (${formatPath(path.slice(-2))})`, FORBIDDEN);
}
