// A few controls that write a processing instruction. What is typed into the field of the instruction counts after it.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Field, TextInput } from "../../console/parts/parts.tsx";
import { type TextName, t } from "../words.ts";
import { type Choices, instructionOf, NO_CHOICES } from "./instruction.ts";

const SIZES: readonly (readonly [Choices["size"], TextName])[] = [
  ["none", "sizeNone"],
  ["fit", "sizeFit"],
  ["cover", "sizeCover"],
  ["cut", "sizeCut"],
];
const GRAVITIES = [
  ...["northwest", "north", "northeast", "west", "center", "east", "southwest", "south", "southeast"],
] as const satisfies readonly TextName[];
const FORMATS = ["jpg", "webp", "avif", "png", "gif"];
const ANGLES = ["90", "180", "270"];

export function Operations({ write }: { readonly write: (instruction: string) => void }) {
  const choices = useSignal<Choices>(NO_CHOICES);
  const set = (change: Partial<Choices>) => {
    choices.value = { ...choices.value, ...change };
    write(instructionOf(choices.value));
  };
  const { size, width, height, gravity, rotate, format, quality, text, textSize } = choices.value;
  return (
    <div class="controls">
      <Select label="sizing" value={size} set={(value) => set({ size: value as Choices["size"] })}>
        {SIZES.map(([name, words]) => (
          <option key={name} value={name}>
            {t(words)}
          </option>
        ))}
      </Select>
      <Whole label="width" value={width} most={10_000} isOff={size === "none"} set={(value) => set({ width: value })} />
      <Whole
        label="height"
        value={height}
        most={10_000}
        isOff={size === "none"}
        set={(value) => set({ height: value })}
      />
      <Select label="position" value={gravity} isOff={size !== "cut"} set={(value) => set({ gravity: value })}>
        {GRAVITIES.map((name) => (
          <option key={name} value={name}>
            {t(name)}
          </option>
        ))}
      </Select>
      <Select label="rotate" value={rotate} set={(value) => set({ rotate: value })}>
        <option value="">{t("notRotated")}</option>
        {ANGLES.map((angle) => (
          <option key={angle} value={angle}>
            {angle}°
          </option>
        ))}
      </Select>
      <Select label="format" value={format} set={(value) => set({ format: value })}>
        <option value="">{t("formatAsStored")}</option>
        {FORMATS.map((name) => (
          <option key={name} value={name}>
            {name.toUpperCase()}
          </option>
        ))}
      </Select>
      <Whole
        label="quality"
        value={quality}
        most={100}
        placeholder={t("byDefault")}
        set={(value) => set({ quality: value })}
      />
      <Field
        label={t("watermarkText")}
        control={(properties) => (
          <TextInput {...properties} value={text} maxLength={100} set={(typed) => set({ text: typed.trim() })} />
        )}
      />
      <Whole
        label="textSize"
        value={textSize}
        most={1_000}
        placeholder={t("byDefault")}
        isOff={text === ""}
        set={(value) => set({ textSize: value })}
      />
    </div>
  );
}

interface ControlProps {
  readonly label: TextName;
  readonly value: string;
  readonly isOff?: boolean;
  readonly set: (value: string) => void;
}

function Select({ label, value, isOff = false, set, children }: ControlProps & { children: ComponentChildren }) {
  return (
    <Field
      label={t(label)}
      control={(properties) => (
        <select
          {...properties}
          value={value}
          disabled={isOff}
          onChange={({ currentTarget }) => set(currentTarget.value)}
        >
          {children}
        </select>
      )}
    />
  );
}

interface WholeProps extends ControlProps {
  readonly most: number;
  readonly placeholder?: string;
}

/** A whole number from 1; what is none counts as not given. */
function Whole({ label, value, most, placeholder, isOff = false, set }: WholeProps) {
  return (
    <Field
      label={t(label)}
      control={(properties) => (
        <TextInput
          {...properties}
          type="number"
          inputMode="numeric"
          min={1}
          max={most}
          value={value}
          placeholder={placeholder}
          disabled={isOff}
          set={(text) => set(Number(text) >= 1 ? String(Math.min(Math.round(Number(text)), most)) : "")}
        />
      )}
    />
  );
}
