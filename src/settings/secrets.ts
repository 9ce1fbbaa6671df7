// Replaces `env:NAME` and `file:PATH` by the secrets that they name, and hides secrets from dumps of the settings.
// It reads no files itself: the caller passes the functions. setting-paths.ts knows which settings are secrets.
import { hash } from "node:crypto";
import { realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { inspect } from "node:util";
import { errorCodeOf } from "../core/disk-failure.ts";
import { isMapping } from "./checks/path-nodes.ts";
import { type Both, both, say } from "./fault-words.ts";
import type { PathFault, SettingsPath } from "./faults.ts";
import { FILE_PATHS, mapAt, SECRET_PATHS, textsAt } from "./setting-paths.ts";

/** The environment and the files that secrets are read from. */
export interface SecretSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** UTF-8 text of the file at an absolute path. Throws if it cannot be read. */
  readonly readFile: (path: string) => string;
  /** Base folder of relative paths. */
  readonly folder: string;
}

/** A copy of the tree in which every reference is replaced by its value. */
export function resolveSecrets(
  tree: unknown,
  sources: SecretSources,
): { readonly tree: unknown; readonly faults: readonly PathFault[] } {
  const faults: PathFault[] = [];
  const replace = (value: unknown, path: SettingsPath): unknown => {
    if (typeof value !== "string") return value;
    const secret = resolveSecret(value, sources);
    if (typeof secret === "string") return secret;
    faults.push({ path, message: secret });
    // A placeholder, so that the schema does not report the missing value again, or its length.
    return "an-unresolved-secret";
  };
  const resolved = SECRET_PATHS.reduce((current, pattern) => mapAt(current, pattern, replace), tree);
  return { tree: resolved, faults };
}

/** Absolute paths of the files that the tree names: those of its secrets, and the 404 pages of buckets. */
export function namedFiles(tree: unknown, folder: string): readonly string[] {
  const secrets = SECRET_PATHS.flatMap((pattern) => textsAt(tree, pattern));
  const files = secrets.filter((text) => text.startsWith("file:")).map((text) => text.slice(5));
  const pages = FILE_PATHS.filter((pattern) => pattern.includes("notFound")).flatMap((pattern) =>
    textsAt(tree, pattern),
  );
  return [...new Set([...files, ...pages].map((path) => resolve(folder, path)))];
}

/** Stands for a secret wherever settings are shown. */
export const MASK = "[secret]";

function resolveSecret(text: string, sources: SecretSources): string | Both {
  if (text === MASK) return say("masked", { mask: MASK });
  if (text.startsWith("env:")) return fromEnvironment(text.slice(4), sources.env);
  if (text.startsWith("file:")) return fromFile(text.slice(5), sources);
  return text;
}

function fromEnvironment(name: string, env: SecretSources["env"]): string | Both {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return say("envWithoutName");
  const value = env[name];
  if (value !== undefined && value !== "") return value;
  return say(value === undefined ? "envNotSet" : "envEmpty", { name });
}

function fromFile(path: string, sources: SecretSources): string | Both {
  if (path === "") return say("fileWithoutPath");
  const whole = resolve(sources.folder, path);
  if ([path, realOf(whole)].some((each) => PAGE_NAME.test(each))) return say("secretIsPage", { path });
  try {
    const value = sources.readFile(whole).replace(/\r?\n$/, "");
    return value === "" ? say("secretEmpty", { path }) : value;
  } catch (error) {
    return say("secretUnreadable", { path, why: failureReason(error) });
  }
}

/** The error code of a failed read: `ENOENT`, `EACCES`, … */
export function failureCode(error: unknown): string {
  return errorCodeOf(error) || say("unknownReason").en;
}

/** As failureCode(), in both languages. */
export function failureReason(error: unknown): Both {
  const code = failureCode(error);
  return [say("belowData"), say("unknownReason")].find(({ en }) => en === code) ?? both(code, code);
}

/** Makes JSON.stringify() and util.inspect() print `[secret]`. Code that reads a property still gets the secret. */
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
  return Object.fromEntries(Object.entries(owner).map(([key, value]) => [key, isHidden(key, value) ? MASK : value]));
}

/**
 * Compares parts of the settings: equal for equal values; differs if any value, secret or the order of keys differs. A
 * SHA-256 in hex, which may be logged. JSON.stringify() alone hides secrets.
 */
export function fingerprintOf(...parts: readonly unknown[]): string {
  return hash("sha256", JSON.stringify(parts, withSecrets), "hex");
}

function withSecrets(this: unknown, key: string, masked: unknown): unknown {
  const value = (this as Record<string, unknown>)[key];
  // The copy lacks the toJSON() that hides secrets.
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : masked;
}

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
