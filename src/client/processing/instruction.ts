// Builds an instruction from operations, which `|` joins. Steps share one operation if they can, because a pipeline has
// at most ten. It does not know the meaning of the steps.
import { argumentError } from "../api/client-error.ts";

/** `closed`: takes no more keys. `written`: the output keys of an imageView2, each once. */
export type Operation =
  | { readonly kind: "view"; readonly text: string; readonly written: Readonly<Record<string, string>> }
  | { readonly kind: "mogr"; readonly text: string }
  | { readonly kind: "closed"; readonly text: string };

type OutputKey = "format" | "quality" | "rquality" | "lquality";

const MAX_OPERATIONS = 10;

/** Output keys of imageMogr2 → those of imageView2. */
const VIEW_KEYS: Readonly<Record<OutputKey, string>> = {
  format: "format",
  quality: "q",
  rquality: "rq",
  lquality: "lq",
};

export function instructionText(operations: readonly Operation[]): string {
  return operations.map(operationText).join("|");
}

function operationText(operation: Operation): string {
  const written = operation.kind === "view" ? Object.entries(operation.written) : [];
  return operation.text + written.map(([key, value]) => `/${key}/${value}`).join("");
}

/** Appends an operation that takes no more keys. Throws argument_invalid if there are too many operations. */
export function appendClosed(operations: readonly Operation[], text: string): readonly Operation[] {
  return append(operations, { kind: "closed", text });
}

/** Appends keys to the last imageMogr2, or begins one. Its keys apply from left to right. */
export function appendMogr(operations: readonly Operation[], keys: string): readonly Operation[] {
  const last = operations.at(-1);
  if (last?.kind !== "mogr") return append(operations, { kind: "mogr", text: `imageMogr2/${keys}` });
  return [...operations.slice(0, -1), { kind: "mogr", text: `${last.text}/${keys}` }];
}

/** Appends an imageView2. `keys`: such as `/w/100/h/50`. */
export function appendView(operations: readonly Operation[], mode: number, keys: string): readonly Operation[] {
  return append(operations, { kind: "view", text: `imageView2/${mode}${keys}`, written: {} });
}

/** Sets a key of the output. A later value replaces an earlier one; the quality keys replace each other. */
export function setOutput(operations: readonly Operation[], key: OutputKey, value: string): readonly Operation[] {
  const last = operations.at(-1);
  if (last?.kind !== "view") return appendMogr(operations, `${key}/${value}`);
  const { q: _, rq: __, lq: ___, ...others } = last.written;
  const unchanged = key === "format" ? last.written : others;
  return [...operations.slice(0, -1), { ...last, written: { ...unchanged, [VIEW_KEYS[key]]: value } }];
}

function append(operations: readonly Operation[], operation: Operation): readonly Operation[] {
  if (operations.length < MAX_OPERATIONS) return [...operations, operation];
  throw argumentError(`Cannot process in more than ${MAX_OPERATIONS} operations`);
}
