// Makes one canonical text of a recipe, whatever its spelling; the name of the variant is its hash. Pure: it does no
// I/O. The names of steps and fields are part of the text, so renaming one loses stored variants.
import type { Recipe } from "./recipe.ts";

/**
 * Differs for recipes whose results may differ in a single pixel. Stable across restarts and releases, so that stored
 * variants are found again.
 */
export function canonicalText({ steps, output, inspection }: Recipe): string {
  const parts = steps.map(({ name, ...fields }) => `${name}${fieldsText(fields)}`);
  const written = fieldsText(output);
  if (written !== "") parts.push(`output${written}`);
  if (inspection !== undefined) parts.push(inspection);
  return parts.join("|");
}

/**
 * `/key=value` in the order of the keys; nested records in parentheses. The token of a `signedUrl` only authorizes the
 * client; the watermark is the same.
 */
function fieldsText(record: object): string {
  return Object.entries(record)
    .filter(([key, value]) => value !== undefined && key !== "signedUrl")
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
