// Fields of forms: a control with its label, hint and fault.
import type { ComponentChildren, InputHTMLAttributes, JSX, SelectHTMLAttributes } from "preact";
import { useId, useState } from "preact/hooks";

interface FieldProps {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly fault?: ComponentChildren;
  /** The setting that it shows, as faults name it. */
  readonly place?: string | undefined;
  /** Makes the control; its properties tie it to label, hint and fault. */
  readonly control: (properties: ControlProps) => JSX.Element;
}

interface ControlProps {
  readonly id: string;
  readonly "aria-describedby": string | undefined;
  readonly "aria-invalid": boolean;
}

export function Field({ label, hint, fault, place, control }: FieldProps) {
  const id = useId();
  const described = [hint === undefined ? [] : `${id}-hint`, fault === undefined ? [] : `${id}-fault`].flat().join(" ");
  return (
    <div class="field" data-path={place}>
      <label for={id}>{label}</label>
      {control({
        id,
        "aria-describedby": described === "" ? undefined : described,
        "aria-invalid": fault !== undefined,
      })}
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {fault !== undefined && (
        <p class="fault" id={`${id}-fault`} role="alert">
          {fault}
        </p>
      )}
    </div>
  );
}

interface InputProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "value" | "label" | "onInput" | "onChange"> {
  /** Left out: the form reads what is typed. */
  readonly value?: string;
  /** Gets the text when the field is left, or after Enter. */
  readonly set?: (text: string) => void;
  /** Gets the text at each key. */
  readonly typing?: (text: string) => void;
  /** For more than one line. */
  readonly rows?: number;
}

interface TextEvent {
  readonly currentTarget: { readonly value: string };
}

/** A field of text. While someone types, nothing rewrites it; once it is left, it shows `value`. */
export function InputField(props: Omit<FieldProps, "control"> & InputProps) {
  const { label, hint, fault, place, value, set, typing, rows, ...more } = props;
  const [typed, setTyped] = useState<string>();
  const own = value !== undefined && {
    value: typed ?? value,
    onInput: ({ currentTarget: { value: text } }: TextEvent) => {
      setTyped(text);
      typing?.(text);
    },
    onChange: ({ currentTarget }: TextEvent) => {
      setTyped(undefined);
      set?.(currentTarget.value);
    },
    onBlur: () => setTyped(undefined),
  };
  const control = (properties: ControlProps) => {
    const all = { ...properties, ...(more as object), ...own };
    return rows === undefined ? <input {...all} /> : <textarea {...all} rows={rows} />;
  };
  return <Field {...{ label, hint, fault, place, control }} />;
}

/** Its words stand for a value. */
export type Option<Value extends string | number = string> = readonly [value: Value, words: string];

interface SelectProps<Value extends string | number>
  extends Omit<FieldProps, "control">,
    Pick<SelectHTMLAttributes<HTMLSelectElement>, "name" | "disabled" | "required"> {
  readonly options: readonly Option<Value>[];
  /** Left out: the first option at the start, and the form reads the choice. */
  readonly value?: Value | undefined;
  readonly set?: (value: Value) => void;
}

/** A choice of one option. */
export function Select<Value extends string | number = string>(props: SelectProps<Value>) {
  const { options, value, set, label, hint, fault, place, ...more } = props;
  return (
    <Field
      {...{ label, hint, fault, place }}
      control={(properties) => (
        <select
          {...properties}
          {...more}
          value={value}
          onChange={({ currentTarget }) => {
            const chosen = options[currentTarget.selectedIndex];
            if (chosen !== undefined) set?.(chosen[0]);
          }}
        >
          {options.map(([each, words]) => (
            <option key={each} value={each}>
              {words}
            </option>
          ))}
        </select>
      )}
    />
  );
}

interface TextFieldProps extends Omit<FieldProps, "control"> {
  readonly value: string;
  readonly set: (value: string) => void;
  /** Corrects a text when its field is left. */
  readonly tidy?: ((text: string) => string) | undefined;
  readonly more?: Omit<InputProps, "value" | "set" | "typing">;
}

export function TextField({ value, set, tidy, more, ...field }: TextFieldProps) {
  return (
    <InputField
      {...field}
      autocomplete="off"
      {...more}
      value={value}
      typing={(text) => set(text.trimStart())}
      set={(text) => set(tidy === undefined ? text.trim() : tidy(text))}
    />
  );
}

interface ToggleProps extends Omit<FieldProps, "control"> {
  readonly value: boolean;
  readonly set: (value: boolean) => void;
  readonly isDisabled?: boolean;
}

export function Toggle({ label, hint, fault, place, value, set, isDisabled = false }: ToggleProps) {
  return (
    <label class="choice" data-path={place}>
      <input
        type="checkbox"
        checked={value}
        disabled={isDisabled}
        onChange={({ currentTarget }) => set(currentTarget.checked)}
      />
      <span>
        <strong>{label}</strong>
        {hint !== undefined && <span class="hint block">{hint}</span>}
        {fault !== undefined && <span class="fault block">{fault}</span>}
      </span>
    </label>
  );
}
