// A recipe while its instruction is parsed: the parts that every operation may add to, and the readers of parameters
// that two operations share. grammar.ts makes the final Recipe of it.
import type { Era, Output, OutputFormat, QualityRule, Step } from "./recipe.ts";
import { type Parameter, readInteger, readSwitch, readWord, refuse } from "./values.ts";

export type Mutable<Record> = { -readonly [Key in keyof Record]: Record[Key] };

export interface Draft {
  readonly era: Era;
  readonly steps: Step[];
  readonly output: Mutable<Output>;
  ignoresErrors: boolean;
}

const FORMATS: Readonly<Record<string, OutputFormat>> = {
  jpg: "jpeg",
  jpeg: "jpeg",
  yjpeg: "jpeg",
  png: "png",
  gif: "gif",
  webp: "webp",
  avif: "avif",
  bmp: "bmp",
};
const FORMAT_WORDS = [...Object.keys(FORMATS), "auto"];

type OutputReader = (draft: Draft, parameter: Parameter) => void;

/** The keys that imageView2 and imageMogr2 share. `quality`: that key's spelling in the operation. */
export function outputKeys(quality: "q" | "quality"): Readonly<Record<string, OutputReader>> {
  return {
    format: readFormat,
    [quality]: readQuality,
    [`r${quality}`]: (draft, parameter) => readOtherQuality(draft, parameter, "relative"),
    [`l${quality}`]: (draft, parameter) => readOtherQuality(draft, parameter, "atLeast"),
    "ignore-error": (draft, parameter) => {
      draft.ignoresErrors = readSwitch(parameter);
    },
  };
}

/** Reads `format/<f>`; the last one of an instruction wins. */
function readFormat(draft: Draft, parameter: Parameter): void {
  const word = readWord(parameter, FORMAT_WORDS);
  delete draft.output.isOptimised;
  draft.output.format = word === "auto" ? "auto" : (FORMATS[word] ?? refuse(parameter, FORMAT_WORDS.join(", ")));
  if (word === "yjpeg") draft.output.isOptimised = true;
}

/** Reads `q/<n>` and `q/<n>!`. */
function readQuality(draft: Draft, parameter: Parameter): void {
  const isForced = parameter.value.endsWith("!");
  const value = isForced ? parameter.value.slice(0, -1) : parameter.value;
  const number = readInteger({ ...parameter, value }, 0, 100);
  draft.output.quality = { kind: isForced ? "exactly" : "atMost", value: number };
}

/** Reads `rq/<n>` and `lq/<n>`. */
function readOtherQuality(draft: Draft, parameter: Parameter, kind: QualityRule["kind"]): void {
  draft.output.quality = { kind, value: readInteger(parameter, 0, 100) };
}
