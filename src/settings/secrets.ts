// The secrets of the settings as a whole: replaces their references, and hides secrets from dumps. setting-paths.ts
// knows which settings are secrets.
import { hash } from "node:crypto";
import { resolve } from "node:path";
import { inspect } from "node:util";
import { isMapping } from "./checks/path-nodes.ts";
import type { PathFault, SettingsPath } from "./faults.ts";
import { MASK, resolveSecret, type SecretSources } from "./secret.ts";
import { FILE_PATHS, mapAt, SECRET_PATHS, textsAt } from "./setting-paths.ts";

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
