// Where secrets stand in the settings, how `env:NAME` and `file:PATH` become their values, and how they are kept out
// of dumps. Reading is done by the functions that the caller passes.
import { resolve } from "node:path";
import { inspect } from "node:util";
import type { PathFault, SettingsPath } from "./faults.ts";
import { SECRET_PATHS } from "./secret-paths.ts";

/** What secrets are read with. */
export interface SecretSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** UTF-8 text of a file; throws when it cannot be read. */
  readonly readFile: (path: string) => string;
  /** The folder that relative paths start from. */
  readonly folder: string;
}

/** The tree with every reference replaced by its value. The input is left as it is. */
export function resolveSecrets(
  tree: unknown,
  sources: SecretSources,
): { readonly tree: unknown; readonly faults: readonly PathFault[] } {
  const faults: PathFault[] = [];
  const replace = (value: unknown, path: SettingsPath): unknown => {
    if (typeof value !== "string") return value;
    const secret = resolveSecret(value, sources);
    if (typeof secret === "string") return secret;
    faults.push({ path, message: secret.fault });
    // So that the missing value is not reported a second time, for its length neither.
    return "an-unresolved-secret";
  };
  const resolved = SECRET_PATHS.reduce((current, pattern) => mapAt(current, pattern, replace), tree);
  return { tree: resolved, faults };
}

/** Absolute paths of every file that the tree's secrets are read from. */
export function secretFiles(tree: unknown, folder: string): readonly string[] {
  return SECRET_PATHS.flatMap((pattern) => textsAt(tree, pattern))
    .filter((text) => text.startsWith("file:"))
    .map((text) => resolve(folder, text.slice(5)));
}

/** Absolute paths of the pages that buckets show instead of a 404. */
export function pageFiles(tree: unknown, folder: string): readonly string[] {
  return textsAt(tree, ["projects", "*", "buckets", "*", "notFound", "file"]).map((text) => resolve(folder, text));
}

function textsAt(tree: unknown, pattern: readonly string[]): readonly string[] {
  const texts: string[] = [];
  mapAt(tree, pattern, (value) => {
    if (typeof value === "string") texts.push(value);
    return value;
  });
  return texts;
}

function resolveSecret(text: string, sources: SecretSources): string | { readonly fault: string } {
  if (text.startsWith("env:")) return fromEnvironment(text.slice(4), sources.env);
  if (text.startsWith("file:")) return fromFile(text.slice(5), sources);
  return text;
}

function fromEnvironment(name: string, env: SecretSources["env"]): string | { readonly fault: string } {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return { fault: "env: is not followed by the name of a variable" };
  const value = env[name];
  if (value === undefined) return { fault: `the environment variable ${name} is not set` };
  return value === "" ? { fault: `the environment variable ${name} is empty` } : value;
}

function fromFile(path: string, sources: SecretSources): string | { readonly fault: string } {
  if (path === "") return { fault: "file: is not followed by a path" };
  try {
    const value = sources.readFile(resolve(sources.folder, path)).replace(/\r?\n$/, "");
    return value === "" ? { fault: `the file ${path} is empty` } : value;
  } catch (error) {
    return { fault: `the file ${path} cannot be read (${failureCode(error)})` };
  }
}

/** The short reason of a failed read: `ENOENT`, `EACCES`, … */
export function failureCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown reason";
}

/** Makes JSON.stringify and util.inspect write `[secret]`; the values themselves stay plain text for those who read them. */
export function hideSecrets(settings: unknown): void {
  const leaves = new Map<Record<string, unknown>, Set<string>>();
  for (const pattern of SECRET_PATHS) {
    const leaf = pattern.at(-1) ?? "";
    mapAt(settings, pattern.slice(0, -1), (owner) => {
      if (isMapping(owner)) leaves.set(owner, (leaves.get(owner) ?? new Set()).add(leaf));
      return owner;
    });
  }
  for (const [owner, hidden] of leaves) {
    const masked = () => mask(owner, hidden);
    Object.defineProperty(owner, "toJSON", { value: masked });
    Object.defineProperty(owner, inspect.custom, { value: masked });
  }
}

function mask(owner: Readonly<Record<string, unknown>>, hidden: ReadonlySet<string>): Record<string, unknown> {
  const isHidden = (key: string, value: unknown) => value !== undefined && (hidden.has("*") || hidden.has(key));
  return Object.fromEntries(
    Object.entries(owner).map(([key, value]) => [key, isHidden(key, value) ? "[secret]" : value]),
  );
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A copy of the tree in which `change` has replaced the values at the pattern; what is unchanged is shared. */
function mapAt(
  tree: unknown,
  pattern: readonly string[],
  change: (value: unknown, path: SettingsPath) => unknown,
  path: SettingsPath = [],
): unknown {
  const [part, ...rest] = pattern;
  if (part === undefined) return change(tree, path);
  if (Array.isArray(tree)) {
    if (part !== "*") return tree;
    const items = tree.map((item, index) => mapAt(item, rest, change, [...path, index]));
    return items.some((item, index) => item !== tree[index]) ? items : tree;
  }
  if (!isMapping(tree)) return tree;
  let copy = tree;
  for (const key of part === "*" ? Object.keys(tree) : Object.hasOwn(tree, part) ? [part] : []) {
    const value = mapAt(tree[key], rest, change, [...path, key]);
    if (value !== tree[key]) copy = { ...copy, [key]: value };
  }
  return copy;
}
