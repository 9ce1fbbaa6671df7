// Writes values of the processing grammar, within the bounds that the service checks too.
import { argumentError } from "../api/client-error.ts";

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
