// Fields of the bucket page: each shows one value of the settings file, and changes it in the draft.
import type { ComponentChildren } from "preact";
import { Field, type Option, Select, TextField, TextInput, Toggle } from "../../console/parts/fields.tsx";
import { listAt, type Path, textAt, valueAt } from "../../console/tree.ts";
import { type TextName, t } from "../../buckets/words.ts";
import { MASK } from "../../buckets/page/tree.ts";

/** The drafted settings below a path, and their changes. */
export interface Form {
  readonly value: (...path: Path) => unknown;
  /** `value` undefined removes the setting: its default holds. That, `standard`, is not written if it holds already. */
  readonly set: (path: Path, value: unknown, standard?: unknown) => void;
  /** Takes the value of the file. */
  readonly reset: (path: Path) => void;
  /** Marks an item of a list as one that goes, or takes the mark away. */
  readonly remove: (path: Path) => void;
  readonly isRemoved: (path: Path) => boolean;
  /** The fault that the server found at a path or below it, with its line. */
  readonly fault: (path: Path) => string | undefined;
  readonly isReadOnly: boolean;
}

export function formAt(form: Form, outer: Path): Form {
  return {
    ...form,
    value: (...path) => form.value(...outer, ...path),
    set: (path, value, standard) => form.set([...outer, ...path], value, standard),
    reset: (path) => form.reset([...outer, ...path]),
    remove: (path) => form.remove([...outer, ...path]),
    isRemoved: (path) => form.isRemoved([...outer, ...path]),
    fault: (path) => form.fault([...outer, ...path]),
  };
}

interface LeafProps {
  readonly form: Form;
  readonly path: Path;
  readonly label: string;
  readonly hint?: string | undefined;
}

interface TextLeafProps extends LeafProps {
  /** The default; shown while the setting is left out. */
  readonly placeholder?: string;
  /** The mapping that goes if the text is empty; else the setting alone. */
  readonly whole?: Path;
}

export function TextLeaf({ form, path, label, hint, placeholder, whole = path }: TextLeafProps) {
  return (
    <TextField
      label={label}
      hint={hint}
      fault={form.fault(path)}
      value={textAt(form.value(...path), [])}
      set={(text) => (text === "" ? form.set(whole, undefined) : form.set(path, text))}
      more={{ readOnly: form.isReadOnly, placeholder }}
    />
  );
}

/** A secret that stands in the file is not shown, and stays if nothing is typed. */
export function SecretLeaf({ form, path, label, hint }: LeafProps) {
  const value = textAt(form.value(...path), []);
  const isHidden = value === MASK;
  const isReference = /^(?:env|file):/.test(value);
  return (
    <TextField
      label={label}
      hint={hint ?? (isHidden ? t("secretKept") : t("secretHint"))}
      fault={form.fault(path)}
      value={isHidden ? "" : value}
      set={(text) => (text === "" ? form.reset(path) : form.set(path, text))}
      more={{
        ...{ class: isReference ? "" : "secret", spellcheck: false, readOnly: form.isReadOnly },
        placeholder: isHidden ? "••••••••" : "",
      }}
    />
  );
}

/** The first choice is the default. */
interface ChoiceLeafProps extends LeafProps {
  readonly choices: readonly (readonly [value: string | number, name: TextName])[];
}

export function ChoiceLeaf({ form, path, label, hint, choices }: ChoiceLeafProps) {
  const [[standard] = [""]] = choices;
  const value = textAt(form.value(...path), [], String(standard));
  const isListed = choices.some(([choice]) => String(choice) === value);
  const options: readonly Option<string | number>[] = choices.map(([choice, name]) => [choice, t(name)]);
  return (
    <Select
      label={label}
      hint={hint}
      fault={form.fault(path)}
      options={isListed ? options : [...options, [value, value]]}
      value={value}
      isDisabled={form.isReadOnly}
      set={(chosen) => form.set(path, chosen === "" ? undefined : chosen, standard)}
    />
  );
}

interface ToggleLeafProps extends LeafProps {
  readonly standard?: boolean;
}

export function ToggleLeaf({ form, path, label, hint, standard = false }: ToggleLeafProps) {
  const value = form.value(...path) ?? standard;
  return (
    <Toggle
      label={label}
      hint={hint}
      value={value === true}
      isDisabled={form.isReadOnly}
      set={(isOn) => form.set(path, isOn, standard)}
    />
  );
}

/** A list of texts, one a line. */
export function LinesLeaf({ form, path, label, hint, placeholder }: LeafProps & { readonly placeholder?: string }) {
  const lines = listAt(form.value(...path), []).map(String);
  return (
    <Field
      label={label}
      hint={hint}
      fault={form.fault(path)}
      control={(properties) => (
        <TextInput
          {...properties}
          class="mono"
          rows={Math.max(2, lines.length + 1)}
          value={lines.join("\n")}
          readOnly={form.isReadOnly}
          placeholder={placeholder}
          set={(text) => {
            const wanted = text.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
            const values = wanted.map((line) => (/^\d+$/.test(line) ? Number(line) : line));
            form.set(path, wanted.length === 0 ? undefined : values);
          }}
        />
      )}
    />
  );
}

/** A button that marks an item of a list as one that goes, and takes the mark away. */
export function RemoveButton({ form, path, name }: Pick<LeafProps, "form" | "path"> & { readonly name: string }) {
  if (form.isReadOnly) return null;
  const isRemoved = form.isRemoved(path);
  return (
    <button
      type="button"
      class="quiet"
      aria-label={`${isRemoved ? t("keep") : t("remove")}: ${name}`}
      onClick={() => form.remove(path)}
    >
      {isRemoved ? t("keep") : t("remove")}
    </button>
  );
}

/** Fields side by side where there is room. */
export function Fields({ children }: { readonly children: ComponentChildren }) {
  return <div class="halves">{children}</div>;
}

interface OtherSettingsProps {
  readonly form: Form;
  readonly shown: Readonly<Record<string, readonly string[]>>;
}

/** Names the settings that stand in the file and have no field. `shown`: those with one, by their mapping. */
export function OtherSettings({ form, shown }: OtherSettingsProps) {
  const names = Object.entries(shown).flatMap(([outer, known]) => {
    const path = outer === "" ? [] : [outer];
    const all = Object.keys(Object(form.value(...path)));
    return all.filter((name) => !known.includes(name)).map((name) => [...path, name].join("."));
  });
  return names.length === 0 ? null : <p class="hint">{t("otherSettings", { names: names.join(", ") })}</p>;
}

/** The entries of a mapping of texts. */
export function entriesAt(form: Form, path: Path): readonly (readonly [name: string, value: string])[] {
  const value = valueAt(form.value(...path), []);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).map(([name, inner]) => [name, String(inner)]);
}
