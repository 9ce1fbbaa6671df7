// One text for one meaning of a recipe, which names the variant: what nobody heeds in it is left out. Pure.
import type { Output, Recipe, Step, StepOf } from "./recipe.ts";

/**
 * The variant's name, the cache's key. Differs for recipes that may differ in a single pixel; stable across restarts, so that
 * stored variants are found again.
 */
export function canonicalText({ steps, output, inspection }: Recipe): string {
  const parts = steps.map((step) => `${step.name}${fieldsText(step, ["name", ...ignoredFields(step)])}`);
  const written = fieldsText(significantOutput(output, steps.length > 0));
  if (written !== "") parts.push(`output${written}`);
  if (inspection !== undefined) parts.push(inspection);
  return parts.join("|");
}

/** What is said of a step and makes no difference. */
function ignoredFields(step: Step): readonly string[] {
  // The same mark, whoever was let in to it.
  if (step.name === "imageMark") return ["signedUrl", ...ignoredPlaceFields(step)];
  if (step.name === "textMark") return [...(step.isTiled ? [] : ["spacing"]), ...ignoredPlaceFields(step)];
  return [];
}

/** Tiles begin in the upper left corner; a mark that lies once heeds distances from the edges that its gravity names. */
function ignoredPlaceFields({ isTiled, gravity }: Pick<StepOf<"textMark">, "isTiled" | "gravity">): readonly string[] {
  if (isTiled) return ["gravity"];
  const isBeside = gravity.endsWith("west") || gravity.endsWith("east");
  const isAbove = gravity.startsWith("north") || gravity.startsWith("south");
  return [...(isBeside ? [] : ["dx"]), ...(isAbove ? [] : ["dy"])];
}

/** Whatever is written anew is a baseline JPEG where nobody says otherwise, but for an optimised one. */
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
  // Also what encodeURIComponent leaves alone and this text uses itself.
  return encodeURIComponent(String(value)).replace(/[()]/g, (sign) => (sign === "(" ? "%28" : "%29"));
}
