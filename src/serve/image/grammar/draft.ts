// A recipe while its instruction is parsed: the parts that every operation may add to, and the readers of parameters
// that two operations share. grammar.ts makes the final Recipe of it.
import type { Era, Output, OutputFormat, QualityRule, Recipe, Step } from "./recipe.ts";
import { type Parameter, readInteger, readSwitch, readWord, refuse } from "./values.ts";

export type Mutable<Record> = { -readonly [Key in keyof Record]: Record[Key] };

export interface Draft {
  readonly era: Era;
  readonly steps: Step[];
  readonly output: Mutable<Output>;
  ignoresErrors: boolean;
  /** Whether the instruction has one operation, apart from an inspection. */
  readonly isAlone: boolean;
  /** Parses the instruction of an image watermark; undefined if it does nothing. */
  readonly parseInner: (text: string) => Recipe | undefined;
}

/** Reads one operation into the draft; `segments` are the ones after its name. */
export type OperationReader = (draft: Draft, segments: readonly string[]) => void;

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

export type OutputReader = (draft: Draft, parameter: Parameter) => void;

/** The keys that imageView2 and imageMogr2 share. `quality`: that key's spelling in the operation. */
export function outputKeys(quality: "q" | "quality"): Readonly<Record<string, OutputReader>> {
  return {
    format: (draft, parameter) => readFormat(draft, parameter, FORMAT_WORDS),
    [quality]: (draft, parameter) => readQuality(draft, parameter, 0, "atMost"),
    [`r${quality}`]: (draft, parameter) => readOtherQuality(draft, parameter, "relative"),
    [`l${quality}`]: (draft, parameter) => readOtherQuality(draft, parameter, "atLeast"),
    "ignore-error": (draft, parameter) => {
      draft.ignoresErrors = readSwitch(parameter);
    },
  };
}

/** Reads `format/<f>`; the last one of an instruction wins. */
export function readFormat({ output }: Draft, parameter: Parameter, words: readonly string[]): void {
  const word = readWord(parameter, words);
  delete output.isOptimised;
  delete output.format;
  if (word === "copy") return;
  output.format = word === "auto" ? "auto" : (FORMATS[word] ?? refuse(parameter, words.join(", ")));
  if (word === "yjpeg") output.isOptimised = true;
}

/** Reads `q/<n>` and `q/<n>!`; `kind`: that of the former. */
export function readQuality(draft: Draft, parameter: Parameter, least: number, kind: QualityRule["kind"]): void {
  const isForced = parameter.value.endsWith("!");
  const value = isForced ? parameter.value.slice(0, -1) : parameter.value;
  const number = readInteger({ ...parameter, value }, least, 100);
  draft.output.quality = { kind: isForced ? "exactly" : kind, value: number };
}

/** Reads `rq/<n>` and `lq/<n>`. */
function readOtherQuality(draft: Draft, parameter: Parameter, kind: QualityRule["kind"]): void {
  draft.output.quality = { kind, value: readInteger(parameter, 0, 100) };
}

const UNIT_BYTES: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 * 1024 };

/** Reads `size-limit/<n>[k|m][!]`, in the era of Qiniu also `$(fsize)` for the bytes of the source. */
export function readSizeLimit({ era, output }: Draft, parameter: Parameter): void {
  const match = /^(?:(\d{1,9})([km]?)|(\$\(fsize\)))(!?)$/i.exec(parameter.value);
  const isSource = match?.[3] !== undefined;
  const bytes = Number(match?.[1]) * (UNIT_BYTES[match?.[2]?.toLowerCase() ?? ""] ?? 1);
  if (isSource ? era !== "qiniu" : !(bytes >= 1)) refuse(parameter, "<n>, <n>k or <n>m, with or without !");
  output.maxBytes = isSource ? "source" : bytes;
  delete output.returnsSmaller;
  if (match?.[4] === "!") output.returnsSmaller = true;
}
