// Finds values in the tree of the settings file, as GET /settings shows it. The file may have faults, so nothing of its
// form is sure.

export type Path = readonly (string | number)[];

export function valueAt(tree: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, part) => (isOwner(inner) ? inner[part] : undefined), tree);
}

export function textAt(tree: unknown, path: Path, fallback = ""): string {
  const value = valueAt(tree, path);
  return value === undefined || value === null ? fallback : String(value);
}

export function listAt(tree: unknown, path: Path): readonly unknown[] {
  const value = valueAt(tree, path);
  return Array.isArray(value) ? value : [];
}

type Owner = Readonly<Record<string | number, unknown>>;

function isOwner(value: unknown): value is Owner {
  return typeof value === "object" && value !== null;
}
