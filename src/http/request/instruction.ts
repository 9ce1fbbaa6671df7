// Tells processing instructions from other queries, and aliases from names. It does not interpret an instruction.
import { isKey, type Key } from "../../core/object.ts";
import { remember } from "./remember.ts";

/** The meaning of a query without its token. */
export type Instruction =
  | { readonly kind: "none" }
  /** `text`: decoded once. `raw`: as it stands in the query. */
  | { readonly kind: "processing"; readonly text: string; readonly raw: string }
  /** The original is served. */
  | { readonly kind: "unknown" };

const NONE: Instruction = { kind: "none" };
const UNKNOWN: Instruction = { kind: "unknown" };
const OPERATION = /^(?:imageView2|imageMogr2|watermark|imageInfo|exif|imageAve)(?=$|[/|])/;

/** `query`: raw. In the later product other parameters may stand before or after the instruction, joined with `&`. */
export const readInstruction = remember(readQuery);

function readQuery(query: string): Instruction {
  if (query === "") return NONE;
  for (const part of query.split("&")) {
    const text = decodeOnce(part);
    if (OPERATION.test(text)) return { kind: "processing", text, raw: part };
  }
  return UNKNOWN;
}

function decodeOnce(part: string): string {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // Not UTF-8, so it is no operation.
  }
}

/**
 * `a.jpg!small` → base `a.jpg`, style `small`. Splits at the last enabled separator, because names of styles contain
 * none. Undefined: there is no separator, or one side of it is empty.
 */
export function splitStyle(
  key: Key,
  separators: readonly string[],
): { readonly base: Key; readonly style: string } | undefined {
  const at = Math.max(...separators.map((separator) => key.lastIndexOf(separator)));
  if (at <= 0 || at === key.length - 1) return undefined;
  const base = key.slice(0, at);
  // The rest of a valid key may be invalid: `..!small` must not name the folder above.
  return isKey(base) ? { base, style: key.slice(at + 1) } : undefined;
}
