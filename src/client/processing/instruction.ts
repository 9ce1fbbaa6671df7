// An instruction while it is put together: operations joined by `|`. What can stand in one operation is gathered there,
// since a pipeline has at most ten.
import { argumentError } from "../errors/client-error.ts";

/** `closed`: nothing may be added to it. `written`: what an imageView2 says of the output, each key once. */
export type Operation =
  | { readonly kind: "view"; readonly text: string; readonly written: Readonly<Record<string, string>> }
  | { readonly kind: "mogr"; readonly text: string }
  | { readonly kind: "closed"; readonly text: string };

type OutputKey = "format" | "quality" | "rquality" | "lquality";

const MAX_OPERATIONS = 10;

/** The names of imageMogr2 → those of imageView2. */
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

/** Throws argument_invalid where there are too many. */
export function appendClosed(operations: readonly Operation[], text: string): readonly Operation[] {
  return added(operations, { kind: "closed", text });
}

/** Keys of imageMogr2 apply from left to right, so they are gathered as they come. */
export function appendMogr(operations: readonly Operation[], keys: string): readonly Operation[] {
  const last = operations.at(-1);
  if (last?.kind !== "mogr") return added(operations, { kind: "mogr", text: `imageMogr2/${keys}` });
  return [...operations.slice(0, -1), { kind: "mogr", text: `${last.text}/${keys}` }];
}

/** `keys`: `/w/100/h/50`. */
export function appendView(operations: readonly Operation[], mode: number, keys: string): readonly Operation[] {
  return added(operations, { kind: "view", text: `imageView2/${mode}${keys}`, written: {} });
}

/** How the result is written; the last word counts. */
export function setOutput(operations: readonly Operation[], key: OutputKey, value: string): readonly Operation[] {
  const last = operations.at(-1);
  if (last?.kind !== "view") return appendMogr(operations, `${key}/${value}`);
  const { q: _, rq: __, lq: ___, ...others } = last.written;
  const kept = key === "format" ? last.written : others;
  return [...operations.slice(0, -1), { ...last, written: { ...kept, [VIEW_KEYS[key]]: value } }];
}

function added(operations: readonly Operation[], operation: Operation): readonly Operation[] {
  if (operations.length < MAX_OPERATIONS) return [...operations, operation];
  throw argumentError(`Cannot process in more than ${MAX_OPERATIONS} operations`);
}
