// Changes of settings that are not saved yet: they are shown in the form, and become edits of the file in an order in
// which no edit moves the place of another.
import { type Path, valueAt } from "../../console/tree.ts";

/** As the API shows secrets that stand in the file. */
export const MASK = "[secret]";

/** As the calls of the settings take it: without a value it removes, or moves an item of a list to a position. */
export interface Edit {
  readonly path: Path;
  readonly value?: unknown;
  readonly to?: number;
}

export interface Draft {
  /** Values of mappings, and items at the end of lists. */
  readonly sets: readonly Edit[];
  /** Items of lists that go; the others keep their place until the draft is saved. */
  readonly removed: readonly Path[];
}

export const NO_DRAFT: Draft = { sets: [], removed: [] };

/** The tree as it would be with the draft, but with the items that go. */
export function drafted(tree: unknown, { sets }: Draft): unknown {
  return sets.reduce((inner, { path, value }) => withValue(inner, path, value), tree);
}

/**
 * `value` undefined: the setting is removed. A value that is that of the file is no change; nor is the default,
 * `standard`, if the file leaves the setting out.
 */
export function withSet(draft: Draft, tree: unknown, { path, value }: Edit, standard?: unknown): Draft {
  const others = { ...draft, sets: draft.sets.filter((set) => !isWithin(set.path, path)) };
  const old = valueAt(drafted(tree, others), path) ?? standard;
  const isSame = JSON.stringify(old) === JSON.stringify(value);
  return isSame ? others : { ...others, sets: [...others.sets, value === undefined ? { path } : { path, value }] };
}

/** Marks an item of a list, or takes the mark away. An item that the draft has added is taken out of it. */
export function withRemoved(draft: Draft, tree: unknown, path: Path): Draft {
  if (valueAt(tree, path) === undefined) return withoutAdded(draft, path);
  const others = draft.removed.filter((each) => String(each) !== String(path));
  const removed = others.length < draft.removed.length ? others : [...others, path];
  return { ...draft, removed };
}

export function isRemoved({ removed }: Draft, path: Path): boolean {
  return removed.some((each) => String(each) === String(path));
}

/** The number of changes for a reader. */
export function changesIn({ sets, removed }: Draft): number {
  return sets.length + removed.length;
}

export function editsOf({ sets, removed }: Draft): readonly Edit[] {
  // Later items first, so that the places of the others stay.
  const last = (path: Path) => Number(path.at(-1));
  const goes = removed.toSorted((a, b) => b.length - a.length || last(b) - last(a)).map((path) => ({ path }));
  const isLost = ({ path }: Edit) => removed.some((each) => isWithin(path, each));
  return [...sets.filter((set) => !isLost(set)), ...goes];
}

/** The path of a setting in the file with the draft: removed items before it move it. */
export function movedPath({ removed }: Draft, path: Path): Path {
  return path.map((part, index) => {
    if (typeof part !== "number") return part;
    const list = String(path.slice(0, index));
    return part - removed.filter((each) => String(each.slice(0, -1)) === list && Number(each.at(-1)) < part).length;
  });
}

function withoutAdded(draft: Draft, path: Path): Draft {
  const list = path.slice(0, -1);
  const place = Number(path.at(-1));
  const sets = draft.sets
    .filter((set) => !isWithin(set.path, path))
    .map((set) => {
      const at = set.path[list.length];
      const isLater = isWithin(set.path, list) && typeof at === "number" && at > place;
      return isLater ? { ...set, path: [...list, at - 1, ...set.path.slice(list.length + 1)] } : set;
    });
  return { ...draft, sets };
}

function isWithin(path: Path, outer: Path): boolean {
  return outer.every((part, index) => path[index] === part);
}

function withValue(tree: unknown, [part, ...rest]: Path, value: unknown): unknown {
  if (part === undefined) return value;
  const inner = withValue(valueAt(tree, [part]), rest, value);
  if (typeof part === "number") return Object.assign([...(Array.isArray(tree) ? tree : [])], { [part]: inner });
  const { [part]: _, ...others } = Object(tree) as Record<string, unknown>;
  return inner === undefined ? others : { ...(Object(tree) as object), [part]: inner };
}

/** As faults write it: `projects[0].aliases["a.b"]`. */
export function pathText(path: Path): string {
  const parts = path.map((part) =>
    typeof part === "string" && /^[\w-]+$/.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`,
  );
  return parts.join("").replace(/^\./, "");
}

/** The fault at a path or below it. */
export function faultAt<Fault extends { readonly path: string }>(
  faults: readonly Fault[],
  path: Path,
): Fault | undefined {
  const own = pathText(path);
  return faults.find(({ path: at }) => at === own || at.startsWith(`${own}.`) || at.startsWith(`${own}[`));
}
