// Builds an instruction from operations, which `|` joins, and writes their values within the bounds that the service
// checks too. Steps share one operation if they can, because a pipeline has at most ten. It knows no step.
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

export const GRAVITIES = [
  "northwest",
  "north",
  "northeast",
  "west",
  "center",
  "east",
  "southwest",
  "south",
  "southeast",
] as const;
export type Gravity = (typeof GRAVITIES)[number];

export const FORMATS = ["jpg", "yjpeg", "png", "gif", "webp", "avif", "bmp", "auto"] as const;
export type Format = (typeof FORMATS)[number];

/** One of `words`; checked for callers without types. Throws argument_invalid. */
export function word<Word extends string>(name: string, value: Word, words: readonly Word[]): Word {
  if (words.includes(value)) return value;
  throw argumentError(`Cannot use ${JSON.stringify(value)} as ${name}: wanted ${words.join(", ")}`);
}

/** Both bounds inclusive. Throws argument_invalid. */
export function integer(name: string, value: number, least: number, most: number): string {
  if (Number.isInteger(value) && value >= least && value <= most) return String(value);
  throw argumentError(`Cannot use ${value} as ${name}: wanted an integer from ${least} to ${most}`);
}

/** URL-safe, without padding. Throws argument_invalid for text that is empty, too long or not well-formed. */
export function base64Url(name: string, text: string, maxBytes: number): string {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.byteLength >= 1 && bytes.byteLength <= maxBytes && text.isWellFormed()) return bytes.toString("base64url");
  throw argumentError(`Cannot use ${JSON.stringify(text.slice(0, 80))} as ${name}: wanted 1 to ${maxBytes} bytes`);
}
