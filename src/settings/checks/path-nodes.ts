// Walks a tree of settings that may be faulty. It skips values of an unexpected shape, because the schema reports them.
// It checks nothing.
import type { Both } from "../fault-words.ts";
import type { PathFault, SettingsPath } from "../faults.ts";

type Mapping = Readonly<Record<string, unknown>>;

/** A mapping of the tree, and its path. */
export interface PathNode {
  readonly path: SettingsPath;
  readonly value: Mapping;
}

export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The mapping under a key; empty if there is none. */
export function child({ path, value }: PathNode, key: string): PathNode {
  const inner = value[key];
  return { path: [...path, key], value: isMapping(inner) ? inner : {} };
}

/** The mappings of the list under a key. */
export function items({ path, value }: PathNode, key: string): readonly PathNode[] {
  const list = value[key];
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown, index) =>
    isMapping(item) ? [{ path: [...path, key, index], value: item }] : [],
  );
}

/** The text under a key; undefined for any other value. */
export function text({ value }: PathNode, key: string): string | undefined {
  const found = value[key];
  return typeof found === "string" ? found : undefined;
}

/** The fault of the value under a key. */
export function faultAt({ path }: PathNode, key: string, message: Both): PathFault {
  return { path: [...path, key], message };
}
