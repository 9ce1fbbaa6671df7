// Makes one canonical text for each meaning of a recipe; the name of the variant is its hash. Fields without effect are
// left out. Pure: it does no I/O. The names of steps and fields are part of the text, so renaming one loses stored
// variants.
import { edgesOf, type Output, type Recipe, type Step, type StepOf } from "./recipe.ts";

/**
 * Differs for recipes whose results may differ in a single pixel. Stable across restarts and releases, so that stored
 * variants are found again.
 */
export function canonicalText({ steps, output, inspection }: Recipe): string {
  const parts = steps.map((step) => `${step.name}${fieldsText(step, ["name", ...ignoredFields(step)])}`);
  const written = fieldsText(significantOutput(output, steps.length > 0));
  if (written !== "") parts.push(`output${written}`);
  if (inspection !== undefined) parts.push(inspection);
  return parts.join("|");
}

/** Fields of a step that have no effect. */
function ignoredFields(step: Step): readonly string[] {
  // The token only authorizes the client; the watermark is the same.
  if (step.name === "imageMark") return ["signedUrl", ...ignoredPlaceFields(step)];
  if (step.name === "textMark") return [...(step.isTiled ? [] : ["spacing"]), ...ignoredPlaceFields(step)];
  return [];
}

/**
 * Tiles always begin in the upper left corner. A single watermark uses only distances from edges that its gravity
 * names.
 */
function ignoredPlaceFields(
  place: Pick<StepOf<"textMark">, "isTiled" | "gravity" | "movesCentred">,
): readonly string[] {
  const { isTiled, gravity, movesCentred } = place;
  if (isTiled) return ["gravity"];
  if (movesCentred) return [];
  const { isBeside, isAbove } = edgesOf(gravity);
  return [...(isBeside ? [] : ["dx"]), ...(isAbove ? [] : ["dy"])];
}

/** Fields of the output that have an effect: a newly encoded JPEG is baseline by default, unless it is optimised. */
function significantOutput({ isProgressive, ...rest }: Output, hasSteps: boolean): Output {
  const isBaseline = isProgressive !== true && rest.isOptimised !== true;
  const isWrittenAnyway = hasSteps || Object.keys(rest).length > 0;
  return isBaseline && isWrittenAnyway ? rest : { ...rest, ...(isProgressive !== undefined && { isProgressive }) };
}

/** `/key=value` in the order of the keys; nested records in parentheses. */
function fieldsText(record: object, without: readonly string[] = []): string {
  return Object.entries(record)
    .filter(([key, value]) => value !== undefined && !without.includes(key))
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, value]) => `/${key}=${valueText(value)}`)
    .join("");
}

function valueText(value: unknown): string {
  if (typeof value === "object" && value !== null) return `(${fieldsText(value)})`;
  if (typeof value !== "string") return String(value);
  // Parentheses, too: encodeURIComponent keeps them, but this text uses them itself.
  return encodeURIComponent(String(value)).replace(/[()]/g, (sign) => (sign === "(" ? "%28" : "%29"));
}
