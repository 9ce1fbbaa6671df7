// Parses a processing instruction, operations joined by `|` in the spelling of either era, into a Recipe. It checks
// every limit that does not depend on the image. It does not know the image, aliases, or the URL around the text.
import type { Draft } from "./draft.ts";
import { readMogr } from "./mogr.ts";
import type { Era, Inspection, Recipe } from "./recipe.ts";
import { refuse } from "./values.ts";
import { readView } from "./view.ts";
import { readWatermark } from "./watermark.ts";

/** Operations of one pipeline. */
const MAX_OPERATIONS = 10;
/** Steps and image watermarks of one recipe. */
const MAX_STEPS = 40;
const MAX_IMAGE_WATERMARKS = 10;
const MAX_TEXT_LENGTH = 8192;

/** Reads one operation into the draft; `segments` are the ones after its name. */
type OperationReader = (draft: Draft, segments: readonly string[]) => void;

const READERS = {
  imageView2: readView,
  imageMogr2: readMogr,
  watermark: readWatermark,
} as const satisfies Record<string, OperationReader>;

const INSPECTIONS: readonly string[] = ["imageInfo", "exif", "imageAve"] satisfies readonly Inspection[];

/**
 * `text`: the instruction, percent-decoded once; it begins with a known operation. Throws processing_invalid with the
 * `parameter` as the manual names it.
 */
export function parseInstruction(text: string, { era }: { readonly era: Era }): Recipe {
  if (text.length > MAX_TEXT_LENGTH)
    refuse({ name: "the instruction", value: text }, `at most ${MAX_TEXT_LENGTH} characters`);
  const operations = text.split("|");
  if (operations.length > MAX_OPERATIONS)
    refuse({ name: "the pipeline", value: text }, `at most ${MAX_OPERATIONS} operations`);
  const draft: Draft = { era, steps: [], output: {}, ignoresErrors: false };
  let inspection: Inspection | undefined;
  operations.forEach((operation, index) => {
    const [name = "", ...segments] = operation.split("/");
    if (isInspection(name)) {
      if (segments.length > 0) refuse({ name, value: operation }, "no parameters");
      if (index < operations.length - 1) refuse({ name, value: operation }, "as the last operation");
      inspection = name;
    } else if (isReadable(name)) READERS[name](draft, segments);
    else
      refuse(
        { name: JSON.stringify(name.slice(0, 40)), value: operation },
        `one of ${[...Object.keys(READERS), ...INSPECTIONS].join(", ")}`,
      );
  });
  checkAmounts(draft, text);
  const { steps, output } = draft;
  return {
    steps,
    output,
    ...(inspection !== undefined && { inspection }),
    ...(draft.ignoresErrors && { ignoresErrors: true }),
  };
}

/** Whether the last `ignore-error` of an instruction is 1. The instruction may have faults anywhere else. */
export function ignoresErrors(text: string): boolean {
  const said = text.split("|").flatMap((operation) => {
    const [name = "", ...segments] = operation.split("/");
    if (name !== "imageView2" && name !== "imageMogr2") return [];
    return segments.flatMap((segment, at) => (segment === "ignore-error" ? [segments[at + 1]] : []));
  });
  return said.at(-1) === "1";
}

function isInspection(name: string): name is Inspection {
  return INSPECTIONS.includes(name);
}

function isReadable(name: string): name is keyof typeof READERS {
  return Object.hasOwn(READERS, name);
}

function checkAmounts({ steps }: Draft, value: string): void {
  if (steps.length > MAX_STEPS) refuse({ name: "the pipeline", value }, `at most ${MAX_STEPS} steps`);
  const watermarks = steps.filter(({ name }) => name === "imageMark").length;
  if (watermarks > MAX_IMAGE_WATERMARKS)
    refuse({ name: "watermark/1", value }, `at most ${MAX_IMAGE_WATERMARKS} of them`);
}
