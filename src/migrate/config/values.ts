// Reads checked values out of raw options, and collects a sentence for every fault.
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import type { RawOptions } from "./ini.ts";

export interface Values {
  readonly faults: string[];
  text(name: string): string | undefined;
  /** An empty text if it is missing, which is a fault. */
  required(name: string): string;
  number(name: string, wish: NumberWish): number | undefined;
  flag(name: string): boolean;
  choice<Name extends string>(name: string, names: readonly Name[]): Name | undefined;
  /** An http:// or https:// URL without a slash at its end. */
  url(name: string): string | undefined;
  /** The absolute path of an existing folder or regular file. */
  path(name: string, kind: "folder" | "file"): string;
}

export interface NumberWish {
  readonly words: string;
  readonly isRight: (value: number) => boolean;
}

export const POSITIVE: NumberWish = {
  words: "a whole number above 0",
  isRight: (value) => Number.isSafeInteger(value) && value > 0,
};
export const NOT_NEGATIVE: NumberWish = {
  words: "a whole number from 0",
  isRight: (value) => Number.isSafeInteger(value) && value >= 0,
};

const TRUE = ["true", "1", "t", "yes", "y"];
const FALSE = ["false", "0", "f", "no", "n"];

export function createValues(options: RawOptions): Values {
  const faults: string[] = [];
  const text = (name: string) => options.get(name.toLowerCase());
  const wanted = (name: string, words: string) => void faults.push(`Option ${name} must be ${words}.`);
  const required = (name: string) => {
    const value = text(name);
    if (value === undefined) faults.push(`Option ${name} is required.`);
    return value ?? "";
  };
  return {
    faults,
    text,
    required,
    number(name, { words, isRight }) {
      const value = text(name);
      if (value === undefined) return undefined;
      const number = value === "inf" ? Number.POSITIVE_INFINITY : Number(value);
      if (!isRight(number)) wanted(name, words);
      return number;
    },
    flag(name) {
      const value = text(name)?.toLowerCase() ?? "false";
      if (![...TRUE, ...FALSE].includes(value)) wanted(name, "true or false");
      return TRUE.includes(value);
    },
    choice(name, names) {
      const value = text(name);
      const found = names.find((candidate) => candidate.toLowerCase() === value?.toLowerCase());
      if (value !== undefined && found === undefined) wanted(name, `one of ${names.join(", ")}`);
      return found;
    },
    url(name) {
      const value = text(name);
      if (value === undefined) return undefined;
      if (!/^https?:\/\/[^/?#\s@]+(?:\/[^?#\s]*)?$/i.test(value) || !URL.canParse(value))
        wanted(name, "a URL with its scheme, such as http://images.example.com");
      return value.replace(/\/+$/, "");
    },
    path(name, kind) {
      const value = required(name);
      if (value === "") return value;
      const found = isAbsolute(value) ? statSync(value, { throwIfNoEntry: false }) : undefined;
      if (kind === "folder" ? !found?.isDirectory() : !found?.isFile())
        wanted(name, kind === "folder" ? "the absolute path of a folder" : "the absolute path of a file");
      return value.replace(/(?<=.)\/+$/, "");
    },
  };
}
