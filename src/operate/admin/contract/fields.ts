// Schemas of the input fields of calls. Each is bounded, and its error text follows the field's name.
import * as z from "zod";

const MAX_TEXT_CHARACTERS = 8_192;
/** Limit of names in one call. */
const MAX_NAMES = 1_000;
const MAX_HEADERS = 50;

export function text(error = `must be a text of at most ${MAX_TEXT_CHARACTERS} characters`): z.ZodString {
  return z.string({ error }).max(MAX_TEXT_CHARACTERS, { error });
}

/** Both bounds inclusive. */
export function whole(min: number, max: number): z.ZodInt {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** Both bounds inclusive; fractions too. */
export function number(min: number, max: number): z.ZodNumber {
  const error = `must be a number from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
}

export function flag(): z.ZodBoolean {
  return z.boolean({ error: "must be true or false" });
}

export function word<const Words extends readonly string[]>(words: Words) {
  return z.enum(words, { error: `must be one of ${words.join(", ")}` });
}

/** URLs and keys. */
export function names() {
  const error = `must be a list of 1 to ${MAX_NAMES} texts of at most ${MAX_TEXT_CHARACTERS} characters`;
  return z.array(text(error), { error }).min(1, { error }).max(MAX_NAMES, { error });
}

/** Ids of callback notices. */
export function ids() {
  const error = `must be a list of 1 to ${MAX_NAMES} whole numbers from 1`;
  return z.array(z.int({ error }).min(1, { error }), { error }).min(1, { error }).max(MAX_NAMES, { error });
}

/** Header fields: names and values. */
export function headerFields() {
  const error = `must be an object of at most ${MAX_HEADERS} header names and values`;
  const name = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}$/, { error });
  const value = text(error).regex(/^[\t\x20-\x7e\x80-\xff]*$/, { error });
  return z.record(name, value, { error }).refine((fields) => Object.keys(fields).length <= MAX_HEADERS, { error });
}

const DAY = /^\d{4}-\d\d-\d\d$/;
const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z)?$/;
/** False for the 30th of February, which Date accepts. */
function isReal(written: string): boolean {
  const time = Date.parse(written);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(written.slice(0, 10));
}

/** Such as 2015-07-17. */
export function day() {
  const error = "must be a day such as 2015-07-17";
  return z.string({ error }).regex(DAY, { error }).refine(isReal, { error });
}

/** Unix milliseconds. A day alone means `ofDay` milliseconds after its start. */
export function dayOrTime(ofDay: number) {
  const error = "must be a day such as 2015-07-17 or a time such as 2015-07-17T08:00:00Z";
  return z
    .string({ error })
    .regex(TIME, { error })
    .refine(isReal, { error })
    .transform((written) => Date.parse(written) + (DAY.test(written) ? ofDay : 0));
}

/** The bucket of the call; optional if there is only one. */
export function bucket() {
  return text().optional().describe("`<appid>/<name>`, or the name alone; required if there are several.");
}
