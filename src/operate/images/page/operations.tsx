// A few controls that write a processing instruction. What is typed into the field of the instruction counts after it.
import { useSignal } from "@preact/signals";
import { InputField, type Option, Select } from "../../console/parts/fields.tsx";
import { type TextName, t } from "../words.ts";
import { type Choices, instructionOf, NO_CHOICES } from "./instruction.ts";

const SIZES: readonly (readonly [Choices["size"], TextName])[] = [
  ["none", "asStored"],
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
  const own = { choices: choices.value, set };
  const { size, gravity, rotate, format, text } = choices.value;
  return (
    <div class="controls">
      <Select
        label={t("sizing")}
        options={SIZES.map(([name, words]) => [name, t(words)])}
        value={size}
        set={(value) => set({ size: value })}
      />
      <Whole name="width" {...own} most={10_000} isOff={size === "none"} />
      <Whole name="height" {...own} most={10_000} isOff={size === "none"} />
      <Select
        label={t("position")}
        options={GRAVITIES.map((name) => [name, t(name)])}
        value={gravity}
        disabled={size !== "cut"}
        set={(value) => set({ gravity: value })}
      />
      <Select
        label={t("rotate")}
        options={[["", t("notRotated")], ...ANGLES.map((angle): Option => [angle, `${angle}°`])]}
        value={rotate}
        set={(value) => set({ rotate: value })}
      />
      <Select
        label={t("format")}
        options={[["", t("asStored")], ...FORMATS.map((name): Option => [name, name.toUpperCase()])]}
        value={format}
        set={(value) => set({ format: value })}
      />
      <Whole name="quality" {...own} most={100} placeholder={t("byDefault")} />
      <InputField
        label={t("watermarkText")}
        value={text}
        maxLength={100}
        set={(typed) => set({ text: typed.trim() })}
      />
      <Whole name="textSize" {...own} most={1_000} placeholder={t("byDefault")} isOff={text === ""} />
    </div>
  );
}

interface WholeProps {
  readonly name: "width" | "height" | "quality" | "textSize";
  readonly choices: Choices;
  readonly set: (change: Partial<Choices>) => void;
  readonly isOff?: boolean;
  readonly most: number;
  readonly placeholder?: string;
}

/** A whole number from 1; what is none counts as not given. */
function Whole({ name, choices, most, placeholder, isOff = false, set }: WholeProps) {
  return (
    <InputField
      label={t(name)}
      type="number"
      inputMode="numeric"
      min={1}
      max={most}
      value={choices[name]}
      placeholder={placeholder}
      disabled={isOff}
      set={(text) => set({ [name]: Number(text) >= 1 ? String(Math.min(Math.round(Number(text)), most)) : "" })}
    />
  );
}
