// The drafted settings below a place, and what a form may do with them.

import type { SettingSchema } from "../../../settings/setting-schema.ts";
import type { Path } from "../../console/tree.ts";
import type { Edit } from "./draft.ts";

/** An edit that is shown and saved at once, apart from the draft. */
export interface Single {
  readonly edit: Edit;
  /** A consequence that the diff does not show. */
  readonly note?: string;
  /** Called after it was saved. */
  readonly done?: () => void;
}

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
