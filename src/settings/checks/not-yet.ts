// THE ONE LIST of settings that this version does not support yet. No setting is accepted and then ignored: a setting
// in this list accepts only the values of its row. Remove the row when the feature is built.
import { isDeepStrictEqual } from "node:util";
import { type PathFault, type SettingsPath, show } from "../faults.ts";

/** `path`: `*` stands for any key or list position. `accepts`: parsed values, so durations are milliseconds. */
export interface NotYet {
  readonly path: readonly string[];
  readonly accepts: readonly unknown[];
}

export const NOT_YET: readonly NotYet[] = [
  { path: ["server", "workers"], accepts: [1] },
  { path: ["coordination", "type"], accepts: ["local"] },
];

/** A fault for each value that is not supported yet. `settings`: parsed, perhaps with other faults. */
export function unsupportedFaults(settings: unknown): readonly PathFault[] {
  return NOT_YET.flatMap(({ path, accepts }) =>
    valuesAt(settings, path).flatMap((found) =>
      found.value === undefined || accepts.some((accepted) => isDeepStrictEqual(accepted, found.value))
        ? []
        : [{ path: found.path, message: notYet(found.value, accepts) }],
    ),
  );
}

function notYet(value: unknown, accepts: readonly unknown[]): string {
  const [only] = accepts;
  // A number may be a parsed duration, which the file writes in another way.
  const isShown = accepts.length === 1 && (typeof only === "string" || typeof only === "boolean");
  return isShown
    ? `${show(value)} is not supported yet, wanted ${show(only)}`
    : `${typeof value === "number" ? "this value" : show(value)} is not supported yet, leave it out`;
}

function valuesAt(
  tree: unknown,
  pattern: readonly string[],
  path: SettingsPath = [],
): readonly { readonly path: SettingsPath; readonly value: unknown }[] {
  const [part, ...rest] = pattern;
  if (part === undefined) return [{ path, value: tree }];
  if (Array.isArray(tree)) {
    return part === "*" ? tree.flatMap((item, index) => valuesAt(item, rest, [...path, index])) : [];
  }
  if (typeof tree !== "object" || tree === null) return [];
  const entries = Object.entries(tree).filter(([key]) => part === "*" || part === key);
  return entries.flatMap(([key, value]) => valuesAt(value, rest, [...path, key]));
}
