// What callers of the admin API send, read once into exact types. Everything is bounded, and what is not known is refused:
// a misspelt field of a call that changes things must not be overlooked.
import type { HonoRequest } from "hono";
import { HuiyuanError } from "../../errors.ts";

/** The fields of one call. */
export type Input = Readonly<Record<string, unknown>>;

const MAX_BODY_BYTES = 1_048_576;
const MAX_TEXT_CHARACTERS = 8_192;

/** The JSON object of a request's body. Throws request_invalid, with 413 and 415 where these say more. */
export async function readBody(request: HonoRequest, allowed: readonly string[]): Promise<Input> {
  const type = request.header("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  // What a page of another site can send without asking first is never this type.
  if (type !== "application/json")
    throw invalid("the body must be JSON, with Content-Type: application/json", { answerStatus: 415 });
  return known(parse(await readText(request.raw.body)), allowed);
}

/** The parameters of a request's query. Throws request_invalid. */
export function readQuery(request: HonoRequest, allowed: readonly string[]): Input {
  const all = request.queries();
  const repeated = Object.keys(all).find((name) => (all[name]?.length ?? 0) > 1);
  if (repeated !== undefined) throw invalid(`"${shown(repeated)}" is given twice`);
  return known(request.query(), allowed);
}

/** Undefined where the field is not given. Throws request_invalid, as all that follow. */
export function optionalText(input: Input, name: string): string | undefined {
  const value = input[name];
  if (value === undefined) return undefined;
  if (typeof value === "string" && value.length <= MAX_TEXT_CHARACTERS) return value;
  throw invalid(`"${name}" must be a text of at most ${MAX_TEXT_CHARACTERS} characters`);
}

export function text(input: Input, name: string): string {
  const value = optionalText(input, name);
  if (value === undefined) throw invalid(`"${name}" is missing`);
  return value;
}

export function flag(input: Input, name: string): boolean {
  const value = input[name] ?? false;
  if (typeof value !== "boolean") throw invalid(`"${name}" must be true or false`);
  return value;
}

/** Of a query too, where numbers are texts. Both bounds inclusive; `whole`: no fractions. */
export function optionalNumber(
  input: Input,
  name: string,
  { min, max, whole = true }: { readonly min: number; readonly max: number; readonly whole?: boolean },
): number | undefined {
  const value = input[name];
  if (value === undefined) return undefined;
  const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  const isRight = typeof number === "number" && number >= min && number <= max && (!whole || Number.isInteger(number));
  if (!isRight) throw invalid(`"${name}" must be a ${whole ? "whole " : ""}number from ${min} to ${max}`);
  return number;
}

/** At least one text, at most `max`. */
export function optionalTexts(input: Input, name: string, max: number): readonly string[] | undefined {
  const value = input[name];
  if (value === undefined) return undefined;
  const isRight =
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= max &&
    value.every((each) => typeof each === "string" && each.length <= MAX_TEXT_CHARACTERS);
  if (!isRight)
    throw invalid(`"${name}" must be a list of 1 to ${max} texts of at most ${MAX_TEXT_CHARACTERS} characters`);
  return value;
}

/** At least one whole number from 1, at most `max` of them. */
export function optionalIds(input: Input, name: string, max: number): readonly number[] | undefined {
  const value = input[name];
  if (value === undefined) return undefined;
  const isRight =
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= max &&
    value.every((each) => Number.isSafeInteger(each) && each >= 1);
  if (!isRight) throw invalid(`"${name}" must be a list of 1 to ${max} whole numbers from 1`);
  return value;
}

/** One of a few words. */
export function optionalWord<Word extends string>(
  input: Input,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const value = input[name];
  if (value === undefined) return undefined;
  const word = words.find((each) => each === value);
  if (word === undefined) throw invalid(`"${name}" must be one of ${words.join(", ")}`);
  return word;
}

/** Header fields: names and values. Names come back in lower case. */
export function headerFields(input: Input, name: string): Readonly<Record<string, string>> {
  const value = input[name] ?? {};
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(`"${name}" must be an object of header names and values`);
  const entries = Object.entries(value);
  const isRight = entries.every(
    ([field, content]) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}$/.test(field) && isHeaderValue(content),
  );
  if (!isRight || entries.length > 50) throw invalid(`"${name}" must hold at most 50 header names and values`);
  return Object.fromEntries(entries.map(([field, content]) => [field.toLowerCase(), content as string])); // checked above
}

function isHeaderValue(value: unknown): boolean {
  return typeof value === "string" && value.length <= MAX_TEXT_CHARACTERS && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}

/** request_invalid; the message is for the caller's eyes. */
export function invalid(message: string, details: { readonly answerStatus?: number } = {}): HuiyuanError {
  return new HuiyuanError("request_invalid", message, details);
}

function known(input: Input, allowed: readonly string[]): Input {
  const unknown = Object.keys(input).find((name) => !allowed.includes(name));
  if (unknown === undefined) return input;
  throw invalid(`"${shown(unknown)}" is not known here; there are ${allowed.join(", ")}`);
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 40)).slice(1, -1);
}

function parse(body: string): Input {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw invalid("the body is not JSON"); // What V8 says of it quotes the body.
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid("the body must be a JSON object");
  return value as Input; // an object, looked at on the line above
}

async function readText(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const bytes = await collect(body).catch((error: unknown) => {
    // What the stream itself throws: the caller has left, or broke its own framing.
    throw error instanceof HuiyuanError ? error : invalid("the body ended before its end");
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalid("the body is not UTF-8"); // The only way in which decode() fails.
  }
}

async function collect(body: ReadableStream<Uint8Array> | null): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels the body.
  for await (const part of body ?? []) {
    size += part.byteLength;
    if (size > MAX_BODY_BYTES) throw invalid(`the body has more than ${MAX_BODY_BYTES} bytes`, { answerStatus: 413 });
    parts.push(part);
  }
  return Buffer.concat(parts);
}
