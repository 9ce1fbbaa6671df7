// Fields of forms: a control with its label, hint and fault.
import type { ComponentChildren, InputHTMLAttributes, JSX } from "preact";
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

interface TextInputProps
  extends Omit<InputHTMLAttributes<HTMLInputElement>, "value" | "type" | "onInput" | "onChange"> {
  readonly value: string;
  /** Gets the text when the field is left, or after Enter. */
  readonly set?: (text: string) => void;
  /** Gets the text at each key. */
  readonly typing?: (text: string) => void;
  readonly type?: string;
  /** For more than one line. */
  readonly rows?: number;
}

/** A field of text. While someone types, nothing rewrites it; once it is left, it shows `value`. */
function TextInput({ value, set, typing, rows, ...more }: TextInputProps) {
  const [typed, setTyped] = useState<string>();
  const all = {
    ...(more as object),
    value: typed ?? value,
    onInput: ({ currentTarget: { value: text } }: { readonly currentTarget: { readonly value: string } }) => {
      setTyped(text);
      typing?.(text);
    },
    onChange: ({ currentTarget }: { readonly currentTarget: { readonly value: string } }) => {
      setTyped(undefined);
      set?.(currentTarget.value);
    },
    onBlur: () => setTyped(undefined),
  };
  return rows === undefined ? <input {...all} /> : <textarea {...all} rows={rows} />;
}

interface InputFieldProps extends Omit<FieldProps, "control">, Omit<TextInputProps, "value" | "label"> {
  readonly value?: string;
}

/** A field of text. Without a `value` the form reads what is typed. */
export function InputField({ label, hint, fault, place, value, ...more }: InputFieldProps) {
  return (
    <Field
      {...{ label, hint, fault, place }}
      control={(properties) =>
        value === undefined ? (
          <input {...properties} {...(more as object)} />
        ) : (
          <TextInput {...properties} {...more} value={value} />
        )
      }
    />
  );
}

/** Its words stand for a value. */
export type Option<Value extends string | number = string> = readonly [value: Value, words: string];

interface SelectProps<Value extends string | number> extends Omit<FieldProps, "control"> {
  readonly options: readonly Option<Value>[];
  /** Left out: the first option at the start, and the form reads the choice. */
  readonly value?: Value | undefined;
  readonly set?: (value: Value) => void;
  readonly name?: string | undefined;
  readonly isDisabled?: boolean;
  readonly isRequired?: boolean;
}

/** A choice of one option. */
export function Select<Value extends string | number = string>({
  options,
  value,
  set,
  name,
  isDisabled = false,
  isRequired = false,
  ...field
}: SelectProps<Value>) {
  return (
    <Field
      {...field}
      control={(properties) => (
        <select
          {...properties}
          name={name}
          value={value}
          disabled={isDisabled}
          required={isRequired}
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
  readonly more?: Omit<TextInputProps, "value" | "set" | "typing">;
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
