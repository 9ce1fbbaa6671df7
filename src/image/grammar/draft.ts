// A recipe while its instruction is parsed: the parts that every operation may add to, and the readers of parameters
// that two operations share. grammar.ts makes the final Recipe of it.
import type { Era, Output, OutputFormat, QualityRule, Step } from "./recipe.ts";
import { type Parameter, readInteger, readWord, refuse } from "./values.ts";

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

/** Reads `format/<f>`; the last one of an instruction wins. */
export function readFormat(draft: Draft, parameter: Parameter): void {
  const word = readWord(parameter, FORMAT_WORDS);
  delete draft.output.isOptimised;
  draft.output.format = word === "auto" ? "auto" : (FORMATS[word] ?? refuse(parameter, FORMAT_WORDS.join(", ")));
  if (word === "yjpeg") draft.output.isOptimised = true;
}

/** Reads `q/<n>` and `q/<n>!`. */
export function readQuality(draft: Draft, parameter: Parameter): void {
  const isForced = parameter.value.endsWith("!");
  const value = isForced ? parameter.value.slice(0, -1) : parameter.value;
  const number = readInteger({ ...parameter, value }, 0, 100);
  draft.output.quality = { kind: isForced ? "exactly" : "atMost", value: number };
}

/** Reads `rq/<n>` and `lq/<n>`. */
export function readOtherQuality(draft: Draft, parameter: Parameter, kind: QualityRule["kind"]): void {
  draft.output.quality = { kind, value: readInteger(parameter, 0, 100) };
}
