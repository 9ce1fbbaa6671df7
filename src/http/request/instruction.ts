// Tells a processing instruction from a query that means nothing here, and an alias from a name. It does not know what
// an instruction does.
import { isKey, type Key } from "../../core/object.ts";
import { remember } from "./remember.ts";

/** What the query asks for, once the token has been taken out. */
export type Instruction =
  | { readonly kind: "none" }
  /** `text`: decoded once. `raw`: as it stands in the query. */
  | { readonly kind: "processing"; readonly text: string; readonly raw: string }
  /** Served as the plain original. */
  | { readonly kind: "unknown" };

const NONE: Instruction = { kind: "none" };
const UNKNOWN: Instruction = { kind: "unknown" };
const OPERATION = /^(?:imageView2|imageMogr2|watermark|imageInfo|exif|imageAve)(?=$|[/|])/;

/** `query`: raw. The later product joins the instruction to other parameters with `&`, before or after. */
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
    return part; // Not UTF-8: no operation is spelled so.
  }
}

/**
 * `a.jpg!small` → base `a.jpg`, style `small`: split at the last enabled separator, since a style's name holds none.
 * Undefined: no separator, or nothing on one side of it.
 */
export function splitStyle(
  key: Key,
  separators: readonly string[],
): { readonly base: Key; readonly style: string } | undefined {
  const at = Math.max(...separators.map((separator) => key.lastIndexOf(separator)));
  if (at <= 0 || at === key.length - 1) return undefined;
  const base = key.slice(0, at);
  // What is left of a good key may be none: `..!small` names no image in the folder above.
  return isKey(base) ? { base, style: key.slice(at + 1) } : undefined;
}
