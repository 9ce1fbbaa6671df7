// Parses a processing instruction, operations joined by `|` in the spelling of an era, into a Recipe. It checks every
// limit that does not depend on the image. It does not know the image, aliases, or the URL around the text.
import type { Draft, OperationReader } from "./draft.ts";
import { readMogr } from "./mogr.ts";
import { QINIU_OPERATIONS } from "./qiniu/operations.ts";
import { type Era, type Inspection, isUntouched, type Recipe } from "./recipe.ts";
import { refuse } from "./values.ts";
import { readView } from "./view.ts";
import { readWatermark } from "./watermark.ts";

/** Steps and image watermarks of one recipe. */
const MAX_STEPS = 40;
const MAX_IMAGE_WATERMARKS = 10;
const MAX_TEXT_LENGTH = 8192;

/** The rules of one service. */
interface Grammar {
  readonly operations: Readonly<Record<string, OperationReader>>;
  readonly inspections: Readonly<Record<string, Inspection>>;
  /** Inspections of an original; they may not follow an operation. */
  readonly aloneOnly: readonly Inspection[];
  /** Operations of one pipeline. */
  readonly maxOperations: number;
  readonly skipsEmpty: boolean;
}

const TENCENT: Grammar = {
  operations: { imageView2: readView, imageMogr2: readMogr, watermark: readWatermark },
  inspections: { imageInfo: "imageInfo", exif: "exif", imageAve: "imageAve" },
  aloneOnly: [],
  maxOperations: 10,
  skipsEmpty: false,
};
const GRAMMARS: Readonly<Record<Era, Grammar>> = {
  2015: TENCENT,
  later: TENCENT,
  qiniu: {
    operations: QINIU_OPERATIONS,
    inspections: { ...TENCENT.inspections, imageInfo: "numericInfo" },
    aloneOnly: ["exif", "imageAve"],
    maxOperations: 30,
    skipsEmpty: true,
  },
};

/**
 * `text`: the instruction, percent-decoded once. Throws processing_invalid with the `parameter` as the manual names it.
 */
export function parseInstruction(text: string, { era }: { readonly era: Era }): Recipe {
  if (text.length > MAX_TEXT_LENGTH)
    refuse({ name: "the instruction", value: text }, `at most ${MAX_TEXT_LENGTH} characters`);
  const grammar = GRAMMARS[era];
  const operations = operationsOf(text, grammar);
  const [last = ""] = operations.slice(-1).map(({ name }) => name);
  const inspection = own(grammar.inspections, last);
  const draft: Draft = {
    era,
    steps: [],
    output: {},
    ignoresErrors: false,
    isAlone: operations.length === (inspection === undefined ? 1 : 2),
    parseInner: (inner) => parseInner(inner, era),
  };
  for (const [index, operation] of operations.entries())
    readOperation(draft, operation, { grammar, isFirst: index === 0, isLast: index === operations.length - 1 });
  checkAmounts(draft, text);
  const { steps, output, ignoresErrors } = draft;
  return { steps, output, ...(inspection && { inspection }), ...(ignoresErrors && { ignoresErrors }) };
}

interface Operation {
  readonly name: string;
  readonly segments: readonly string[];
  readonly value: string;
}

/** A final `/` or `=` of an operation has no meaning: some clients add it. */
function operationsOf(text: string, { maxOperations, skipsEmpty }: Grammar): readonly Operation[] {
  const written = text.split("|").map((operation) => operation.replace(/\/?=?$/, ""));
  const kept = skipsEmpty ? written.filter((operation) => operation !== "") : written;
  if (kept.length < 1 || kept.length > maxOperations)
    refuse({ name: "the pipeline", value: text }, `1 to ${maxOperations} operations`);
  return kept.map((value) => {
    const [name = "", ...segments] = value.split("/");
    return { name, segments, value };
  });
}

function readOperation(
  draft: Draft,
  { name, segments, value }: Operation,
  { grammar, isFirst, isLast }: { readonly grammar: Grammar; readonly isFirst: boolean; readonly isLast: boolean },
): void {
  const inspection = own(grammar.inspections, name);
  const read = own(grammar.operations, name);
  if (inspection !== undefined) {
    if (segments.length > 0) refuse({ name, value }, "no parameters");
    if (!isLast) refuse({ name, value }, "as the last operation");
    if (!isFirst && grammar.aloneOnly.includes(inspection)) refuse({ name, value }, "as the only operation");
  } else if (read !== undefined) read(draft, segments);
  else {
    const known = [...Object.keys(grammar.operations), ...Object.keys(grammar.inspections)];
    refuse({ name: JSON.stringify(name.slice(0, 40)), value }, `one of ${known.join(", ")}`);
  }
}

function own<Value>(record: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** The instruction of an image watermark: it makes an image, and lays none over it. */
function parseInner(text: string, era: Era): Recipe | undefined {
  const recipe = parseInstruction(text, { era });
  if (recipe.inspection !== undefined || recipe.steps.some(({ name }) => name === "imageMark"))
    refuse({ name: "watermark/image", value: text }, "an instruction without image watermarks that makes an image");
  return isUntouched(recipe) ? undefined : recipe;
}

/** Whether the last `ignore-error` of an instruction is 1. The instruction may have faults anywhere else. */
export function ignoresErrors(text: string): boolean {
  const said = text.split("|").flatMap((operation) => {
    const [name = "", ...segments] = operation.split("/");
    if (!/^image(?:View|Mogr)2?$/.test(name)) return [];
    return segments.flatMap((segment, at) => (segment === "ignore-error" ? [segments[at + 1]] : []));
  });
  return said.at(-1) === "1";
}

function checkAmounts({ steps }: Draft, value: string): void {
  if (steps.length > MAX_STEPS) refuse({ name: "the pipeline", value }, `at most ${MAX_STEPS} steps`);
  const watermarks = steps.filter(({ name }) => name === "imageMark").length;
  if (watermarks > MAX_IMAGE_WATERMARKS)
    refuse({ name: "watermark/1", value }, `at most ${MAX_IMAGE_WATERMARKS} of them`);
}
