// Schemas of values that several parts of the settings share, with their error messages.
import * as z from "zod";
import { isHeaderValue, originUrlFault } from "../checks/origin-checks.ts";
import { both, say } from "../fault-words.ts";
import { coded, wanted } from "../faults.ts";
import { normalizeHost } from "../hosts.ts";

export const flag = () => z.boolean();

/** A whole number, both bounds inclusive. */
export const count = (min: number, max: number) => z.int().min(min).max(max);

/** Metadata of a text that must never be shown, and that may be written as `env:NAME` or `file:PATH`. */
export const SECRET = { secret: true } as const;

/** Metadata of a text that names a file or folder of this machine. */
export const FILE = { file: true } as const;

/** One of these words; the first is the default. */
export const oneOf = <const Words extends readonly [string, ...string[]]>(...words: Words) =>
  z.enum(words).default(words[0] as never); // the words are not known here

/** A text of this form, and its words. JSON Schema has a regular expression too. */
export const matching = (form: RegExp | ((text: string) => boolean), ...words: Parameters<typeof wanted>) =>
  form instanceof RegExp
    ? z.string().regex(form, { error: wanted(...words) })
    : z.string().refine(form, { error: wanted(...words) });

/** The words name the secret, and `about` describes it. */
export const secret = (en: string, zh: string, about: string) =>
  z
    .string({ error: wanted(`${en}, as env:NAME or file:PATH`, `${zh}，写成 env:NAME 或 file:PATH`) })
    .min(1)
    .meta(SECRET)
    .describe(`${about} (env:NAME or file:PATH).`);

/** A host name in the spelling of normalizeHost(). */
export const hostName = (en: string, zh: string, isStarAllowed = false) =>
  z.string({ error: wanted(en, zh) }).transform((text, context) => {
    const host = isStarAllowed && text === "*" ? text : normalizeHost(text);
    const message = () => coded(say("found", { found: `"${text}"`, wants: both(en, zh) }));
    if (host === undefined) context.addIssue({ code: "custom", message: message() });
    return host ?? text;
  });

const HEADER = wanted(
  "the value of an HTTP header: printable ASCII without outer blanks",
  "HTTP 请求头的值：可见 ASCII 字符，首尾没有空白",
);

export const headerValue = () => z.string().refine(isHeaderValue, { error: HEADER });

/** Request headers by their names, whose values may be secrets. */
export const secretHeaders = () => z.record(z.string(), headerValue().meta(SECRET)).default({});
/** The value of a header; empty for no header. */
export const optionalHeader = () =>
  z
    .string()
    .refine((text) => text === "" || isHeaderValue(text), { error: HEADER })
    .default("");

/** An http or https URL without user name, query and fragment; its value has no slash at the end. */
export const baseUrl = () =>
  z.string().transform((text, context) => {
    const fault = originUrlFault(text);
    if (fault !== undefined) context.addIssue({ code: "custom", message: coded(fault) });
    // Appended paths begin with a slash.
    return text.replace(/\/+$/, "");
  });
