// Controls with a label for texts and for yes or no, and what comes into view when it appears.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Field, TextInput, type TextInputProps } from "../../console/parts/parts.tsx";

interface TextFieldProps {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly fault?: ComponentChildren;
  readonly value: string;
  readonly set: (value: string) => void;
  /** Corrects a text when its field is left. */
  readonly tidy?: ((text: string) => string) | undefined;
  readonly more?: Omit<TextInputProps, "value" | "set" | "typing">;
}

export function TextField({ label, hint, fault, value, set, tidy, more }: TextFieldProps) {
  return (
    <Field
      label={label}
      hint={hint}
      fault={fault}
      control={(properties) => (
        <TextInput
          autocomplete="off"
          {...properties}
          {...more}
          value={value}
          typing={(text) => set(text.trimStart())}
          set={(text) => set(tidy === undefined ? text.trim() : tidy(text))}
        />
      )}
    />
  );
}

interface ToggleProps {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly value: boolean;
  readonly set: (value: boolean) => void;
  readonly isDisabled?: boolean;
}

export function Toggle({ label, hint, value, set, isDisabled = false }: ToggleProps) {
  return (
    <label class="choice">
      <input
        type="checkbox"
        checked={value}
        disabled={isDisabled}
        onChange={({ currentTarget }) => set(currentTarget.checked)}
      />
      <span>
        <strong>{label}</strong>
        {hint !== undefined && <span class="hint block">{hint}</span>}
      </span>
    </label>
  );
}

/** Scrolls to what it holds when that appears, so that a next step is not missed, and moves the focus there. */
export function Reveal({ children }: { readonly children: ComponentChildren }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    element.current?.focus({ preventScroll: true });
    element.current?.scrollIntoView({ block: "start" });
  }, []);
  return (
    <div ref={element} tabIndex={-1} class="reveal">
      {children}
    </div>
  );
}
