// Finds settings by their place: the schema says which ones are secrets or name files, and which places it knows.
import * as z from "zod";
import { isMapping } from "./checks/path-nodes.ts";
import { type Fault, formatFault, type SettingsFaults, type SettingsPath } from "./faults.ts";
import { settingsSchema } from "./schema/schema.ts";

/** A path in which `*` stands for any key or list position. */
export type PathPattern = readonly string[];

/** All secrets. */
export const SECRET_PATHS = markedPaths(settingsSchema, "secret");

/** All settings that name a file or folder of this machine, except secrets. */
export const FILE_PATHS = markedPaths(settingsSchema, "file");

function markedPaths(schema: unknown, mark: "secret" | "file", path: PathPattern = []): readonly PathPattern[] {
  if (schema instanceof z.ZodType && schema.meta()?.[mark] === true) return [path];
  return innerOf(schema).flatMap(([part, inner]) =>
    markedPaths(inner, mark, part === undefined ? path : [...path, part]),
  );
}

/** The schemas inside a schema, with the key that leads there; undefined: they are for the same place. */
function innerOf(schema: unknown): readonly (readonly [string | undefined, unknown])[] {
  if (schema instanceof z.ZodObject) return Object.entries(schema.shape);
  if (schema instanceof z.ZodArray) return [["*", schema.element]];
  if (schema instanceof z.ZodRecord) return [["*", schema.valueType]];
  if (schema instanceof z.ZodUnion) return schema.options.map((option) => [undefined, option]);
  if (schema instanceof z.ZodPipe) return [[undefined, schema.in]];
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return [[undefined, schema.unwrap()]];
  return [];
}

/** True if the value at the path must never be shown. */
export function isSecretPath(path: SettingsPath): boolean {
  return SECRET_PATHS.some(
    (pattern) =>
      pattern.length === path.length && pattern.every((part, index) => part === "*" || part === String(path[index])),
  );
}

/** True if the schema has a setting with a single value at the path. */
export function isKnownPath(path: SettingsPath, schema: unknown = settingsSchema): boolean {
  const inner = innerOf(schema);
  if (inner.length === 0) return path.length === 0;
  const [first, ...rest] = path;
  return inner.some(([part, each]) => {
    if (part === undefined) return isKnownPath(path, each);
    return first !== undefined && (part === "*" || part === String(first)) && isKnownPath(rest, each);
  });
}

const wordsOf = (schema: unknown): readonly string[] =>
  innerOf(schema).flatMap(([part, inner]) => [part ?? "", ...wordsOf(inner)]);
const WORDS: ReadonlySet<string> = new Set(wordsOf(settingsSchema));

const NAMED_FAULTS = 100;

/**
 * The first 100 faults, for the log and /readyz: their places in words of the schema and what is wanted, but no text of
 * the file.
 */
export function namedFaults({ file, faults }: Pick<SettingsFaults, "file" | "faults">): string {
  return faults
    .slice(0, NAMED_FAULTS)
    .map((fault) => formatFault(file, fault.path === "" ? fault : withoutText(fault)))
    .join("\n");
}

function withoutText(fault: Fault): Fault {
  const parts = fault.path.match(/\.?[\w-]+|\[.*?\]/gs) ?? [];
  const end = parts.findIndex((part) => !/^\[\d+\]$/.test(part) && !WORDS.has(part.replace(".", "")));
  const wanted = /^(?!unknown key)(?:.*, )?(wanted .*)$/s.exec(fault.message)?.[1];
  const message = wanted ?? (fault.message.startsWith("unknown key") ? "unknown key" : "is not valid");
  return { ...fault, path: parts.slice(0, end === -1 ? undefined : end).join(""), message };
}

/** The texts at the places of a pattern. */
export function textsAt(tree: unknown, pattern: PathPattern): readonly string[] {
  const texts: string[] = [];
  mapAt(tree, pattern, (value) => {
    if (typeof value === "string") texts.push(value);
    return value;
  });
  return texts;
}

/** A copy of the tree in which `change` has replaced the values at the pattern. Unchanged parts are shared. */
export function mapAt(
  tree: unknown,
  pattern: PathPattern,
  change: (value: unknown, path: SettingsPath) => unknown,
): unknown {
  const path: (string | number)[] = [];
  function mapped(owner: unknown): unknown {
    const part = pattern[path.length];
    if (part === undefined) return change(owner, [...path]);
    let copy = owner as Record<string | number, unknown>;
    for (const key of keysAt(owner, part)) {
      const old = copy[key];
      path.push(key);
      const value = mapped(old);
      path.pop();
      if (value === old) continue;
      if (copy === owner) copy = (Array.isArray(owner) ? [...owner] : { ...copy }) as typeof copy;
      // An assignment to "__proto__" would be none.
      Object.defineProperty(copy, key, { value, writable: true, enumerable: true, configurable: true });
    }
    return copy;
  }
  return mapped(tree);
}

function keysAt(owner: unknown, part: string): Iterable<string | number> {
  if (Array.isArray(owner)) return part === "*" ? owner.keys() : [];
  if (!isMapping(owner)) return [];
  if (part === "*") return Object.keys(owner);
  return Object.hasOwn(owner, part) ? [part] : [];
}
