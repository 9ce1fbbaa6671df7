// The one list of the settings that hold secrets. It does not read them: secrets.ts does.

const MIRROR = ["projects", "*", "buckets", "*", "domains", "*", "mirror"];

/** Paths below a mirror source or one of its rules. Headers and queries may hold credentials of the origin. */
const OF_MIRROR: readonly (readonly string[])[] = [
  ["origins", "*", "headers", "*"],
  ["origins", "*", "basicAuth", "password"],
  ["origins", "*", "secretKey"],
  ["origins", "*", "secretAccessKey"],
];

/** `*` stands for any key or list position. */
export const SECRET_PATHS: readonly (readonly string[])[] = [
  ["server", "adminToken"],
  ["store", "secretAccessKey"],
  ["projects", "*", "keys", "*", "secretKey"],
  ["projects", "*", "buckets", "*", "callback", "secret"],
  ...OF_MIRROR.flatMap((path) => [
    [...MIRROR, ...path],
    [...MIRROR, "rules", "*", ...path],
  ]),
  [...MIRROR, "rules", "*", "passHeaders", "set", "*"],
  [...MIRROR, "rules", "*", "setQuery", "*"],
];

/** True if the value at the path must never be shown. */
export function isSecretPath(path: readonly PropertyKey[]): boolean {
  return SECRET_PATHS.some(
    (pattern) =>
      pattern.length === path.length && pattern.every((part, index) => part === "*" || part === String(path[index])),
  );
}
