// Readers for values of the grammar: numbers, sizes, Base64 text, colours, words. Each returns a value within its
// limits or throws processing_invalid with the name of the parameter. It does not know the meaning of a parameter.
import { HuiyuanError } from "../../core/errors.ts";
import { parseColour } from "./colours.ts";

/** The newest documented limit of a side, in pixels; larger numbers are refused by the parser. */
export const MAX_SIDE = 50_000;

/** One parameter as written in the instruction. `name` follows the manual: `imageMogr2/thumbnail`. */
export interface Parameter {
  readonly name: string;
  readonly value: string;
}

/** Always throws processing_invalid for this parameter. */
export function refuse({ name, value }: Parameter, wanted: string): never {
  const found = JSON.stringify(value.slice(0, 80));
  throw new HuiyuanError("processing_invalid", `Cannot process: ${name} is ${found}, wanted ${wanted}`, {
    parameter: name,
    wanted,
  });
}

/** A decimal integer from `least` to `most`. */
export function readInteger(parameter: Parameter, least: number, most: number): number {
  const number = /^\d{1,9}$/.test(parameter.value) ? Number(parameter.value) : Number.NaN;
  return number >= least && number <= most ? number : refuse(parameter, `an integer from ${least} to ${most}`);
}

/** A side in digits; an empty text is absent. */
export function readSide(parameter: Parameter, digits: string, least = 1, most = MAX_SIDE): number | undefined {
  return digits === "" ? undefined : readInteger({ ...parameter, value: digits }, least, most);
}

/** `1` is true, `0` is false. */
export function readSwitch(parameter: Parameter): boolean {
  return readInteger(parameter, 0, 1) === 1;
}

/** One of the words, in any case. */
export function readWord<Word extends string>(parameter: Parameter, words: readonly Word[]): Word {
  const lower = parameter.value.toLowerCase();
  return words.find((word) => word === lower) ?? refuse(parameter, words.join(", "));
}

/** Refuses a single character in the last group of four: it encodes no byte, and node would ignore it. */
const BASE64 = /^(?:[\w+-]{4})*[\w+-]{2,4}={0,2}$/;

/** URL-safe Base64 of UTF-8 text with 1 to `maxBytes` bytes. Padding and `+` of the standard alphabet are accepted. */
export function readBase64(parameter: Parameter, maxBytes: number): string {
  const wanted = `URL-safe Base64 of 1 to ${maxBytes} bytes of UTF-8`;
  if (!BASE64.test(parameter.value)) return refuse(parameter, wanted);
  const bytes = Buffer.from(parameter.value, "base64url");
  if (bytes.length === 0 || bytes.length > maxBytes) return refuse(parameter, wanted);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse(parameter, wanted); // not UTF-8
  }
}

const MAX_COLOUR_BYTES = 32;

/** Decodes Base64 of `#RRGGBB` or of a colour name to `#rrggbb`. */
export function readColour(parameter: Parameter): string {
  const text = readBase64(parameter, MAX_COLOUR_BYTES);
  return parseColour(text) ?? refuse(parameter, "Base64 of #RRGGBB or of a CSS colour name");
}
