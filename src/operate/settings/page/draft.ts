// Changes of settings that are not saved yet: they are shown in the form, and become edits of the file in an order in
// which no edit moves the place of another.
import type { SettingSchema } from "../../../settings/setting-schema.ts";
import { type Path, valueAt } from "../../console/tree.ts";

/** The text that the API answers in place of a secret. */
export const MASK = "[secret]";

/** An edit as the calls of the settings take it. Without a value it removes, or moves an item of a list to `to`. */
export interface Edit {
  readonly path: Path;
  readonly value?: unknown;
  readonly to?: number;
}

export interface Draft {
  /** Values of mappings, and items at the end of lists. */
  readonly sets: readonly Edit[];
  /** Items of lists to remove; the others keep their place until the draft is saved. */
  readonly removed: readonly Path[];
}

export const NO_DRAFT: Draft = { sets: [], removed: [] };

/** The tree as it would be with the draft, but with the items to remove. */
export function drafted(tree: unknown, { sets }: Draft): unknown {
  return sets.reduce((inner, { path, value }) => withValue(inner, path, value), tree);
}

/**
 * `value` undefined: the setting is removed. A value equal to the file's is no change; nor is the default, `standard`,
 * of a setting that the file leaves out. Marks of items inside are taken away.
 */
export function withSet(draft: Draft, tree: unknown, { path, value }: Edit, standard?: unknown): Draft {
  const others = {
    sets: draft.sets.filter((set) => !isWithin(set.path, path)),
    removed: draft.removed.filter((each) => !isWithin(each, path)),
  };
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

/** Whether a path is an item to remove, or inside one. */
export function goes({ removed }: Draft, path: Path): boolean {
  return removed.some((each) => isWithin(path, each));
}

/** The number of changes for a reader. */
export function changesIn({ sets, removed }: Draft): number {
  return sets.length + removed.length;
}

export function editsOf({ sets, removed }: Draft): readonly Edit[] {
  // Later items first, so that the places of the others stay.
  const last = (path: Path) => Number(path.at(-1));
  const removals = removed.toSorted((a, b) => b.length - a.length || last(b) - last(a)).map((path) => ({ path }));
  return [...sets.filter(({ path }) => !goes({ sets, removed }, path)), ...removals];
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
      if (isLater) return { ...set, path: [...list, at - 1, ...set.path.slice(list.length + 1)] };
      // The item came with a mapping that was added.
      return isWithin(path, set.path) ? { ...set, value: withoutItem(set.value, path.slice(set.path.length)) } : set;
    });
  return { ...draft, sets };
}

function withoutItem(tree: unknown, path: Path): unknown {
  const list = path.slice(0, -1);
  const items = valueAt(tree, list);
  return Array.isArray(items) ? withValue(tree, list, items.toSpliced(Number(path.at(-1)), 1)) : tree;
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

/** An edit that is shown and saved at once, apart from the draft. */
export interface Single {
  readonly edit: Edit;
  /** A consequence that the diff does not show. */
  readonly note?: string;
  /** Called after it was saved. */
  readonly done?: () => void;
}

/** The drafted settings below a place, and what a form may do with them. */
export interface Form {
  readonly schema: SettingSchema;
  readonly value: (...path: Path) => unknown;
  /** The value in the file, without the changes. */
  readonly saved: (...path: Path) => unknown;
  /** `value` undefined removes the setting: its default holds. That, `standard`, is not written if it holds already. */
  readonly set: (path: Path, value: unknown, standard?: unknown) => void;
  /** Takes the value of the file. */
  readonly reset: (path: Path) => void;
  /** Marks an item of a list as removed, or takes the mark away. */
  readonly remove: (path: Path) => void;
  readonly isRemoved: (path: Path) => boolean;
  /** Undefined while other changes are not saved. */
  readonly review: ((single: Single) => void) | undefined;
  /** The fault that the server found at a path or below it, with its line. */
  readonly fault: (path: Path) => string | undefined;
  /** The path in the whole file, such as `projects[0].appid`; empty for an item that is removed. */
  readonly place: (path: Path) => string;
  readonly isReadOnly: boolean;
}

/** The form of the settings below `outer`, whose schema is `schema`. */
export function formAt(form: Form, outer: Path, schema: SettingSchema): Form {
  const { review } = form;
  return {
    ...form,
    schema,
    value: (...path) => form.value(...outer, ...path),
    saved: (...path) => form.saved(...outer, ...path),
    set: (path, value, standard) => form.set([...outer, ...path], value, standard),
    reset: (path) => form.reset([...outer, ...path]),
    remove: (path) => form.remove([...outer, ...path]),
    isRemoved: (path) => form.isRemoved([...outer, ...path]),
    review:
      review && ((single) => review({ ...single, edit: { ...single.edit, path: [...outer, ...single.edit.path] } })),
    fault: (path) => form.fault([...outer, ...path]),
    place: (path) => form.place([...outer, ...path]),
  };
}
