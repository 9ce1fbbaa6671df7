// Reads checked values out of raw options, and collects a sentence for every fault.
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import type { RawOptions } from "./raw-options.ts";

/** Readers of one option each. Undefined: it is absent. */
export interface Values {
  readonly faults: string[];
  /** Names that were read, in lower case. */
  readonly known: ReadonlySet<string>;
  text(name: string): string | undefined;
  /** An empty text if it is missing, which is a fault. */
  required(name: string): string;
  /** A whole number with inclusive bounds. */
  whole(name: string, least: number, most?: number): number | undefined;
  /** A number above 0; without `most` also `inf`. */
  positive(name: string, most?: number): number | undefined;
  flag(name: string): boolean | undefined;
  choice<Name extends string>(name: string, names: readonly Name[]): Name | undefined;
  /** An http:// or https:// URL without a slash at its end. */
  url(name: string): string | undefined;
  /** The absolute path of an existing folder or regular file. */
  path(name: string, kind: "folder" | "file"): string;
}

const TRUE = ["true", "1", "t", "yes", "y"];
const FALSE = ["false", "0", "f", "no", "n"];
const URL_FORM = /^https?:\/\/[^/?#\s@]+(?:\/[^?#\s]*)?$/i;

export function createValues(options: RawOptions): Values {
  const faults: string[] = [];
  const known = new Set<string>();
  const text = (name: string) => {
    known.add(name.toLowerCase());
    return options.get(name.toLowerCase());
  };
  const required = (name: string) => {
    const value = text(name);
    if (value === undefined) faults.push(`Option ${name} is required.`);
    return value ?? "";
  };
  /** `read` returns undefined for a wrong value. */
  function value<Result>(name: string, words: string, read: (value: string) => Result | undefined) {
    const given = text(name);
    const result = given === undefined ? undefined : read(given);
    if (given !== undefined && result === undefined) faults.push(`Option ${name} must be ${words}.`);
    return result;
  }
  const number = (name: string, words: string, isRight: (number: number) => boolean) =>
    value(name, words, (given) => [given === "inf" ? Number.POSITIVE_INFINITY : Number(given)].find(isRight));
  return {
    faults,
    known,
    text,
    required,
    whole(name, least, most = Number.MAX_SAFE_INTEGER) {
      const words = `a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? "" : ` to ${most}`}`;
      return number(name, words, (found) => Number.isSafeInteger(found) && found >= least && found <= most);
    },
    positive(name, most = Number.POSITIVE_INFINITY) {
      const words = `a number above 0, ${most === Number.POSITIVE_INFINITY ? "or inf" : `at most ${most}`}`;
      return number(name, words, (found) => found > 0 && found <= most);
    },
    flag: (name) =>
      value(name, "true or false", (given) => {
        const word = given.toLowerCase();
        return TRUE.includes(word) || (FALSE.includes(word) ? false : undefined);
      }),
    choice: (name, names) =>
      value(name, `one of ${names.join(", ")}`, (given) =>
        names.find((candidate) => candidate.toLowerCase() === given.toLowerCase()),
      ),
    url: (name) =>
      value(name, "a URL with its scheme, such as http://images.example.com", (given) =>
        URL_FORM.test(given) && URL.canParse(given) ? given.replace(/\/+$/, "") : undefined,
      ),
    path: (name, kind) => {
      if (required(name) === "") return "";
      const found = value(name, `the absolute path of a ${kind} that this user can reach`, (given) => {
        if (!isAbsolute(given)) return undefined;
        try {
          const facts = statSync(given);
          return (kind === "folder" ? facts.isDirectory() : facts.isFile()) ? given : undefined;
        } catch {
          return undefined; // whatever the reason, it cannot be reached
        }
      });
      return found?.replace(/(?<=.)\/+$/, "") ?? "";
    },
  };
}
