// Reads the text of a config, the old tool's config.ini or YAML, into options, and checked values out of them. Collects
// a sentence for every fault.
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { parseDocument, visit } from "yaml";
import { isMapping } from "../../../settings/checks/path-nodes.ts";

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

/** Values by the lower-case names of their options. An empty value counts as absent. */
export type RawOptions = ReadonlyMap<string, string>;

export interface RawConfig {
  readonly options: RawOptions;
  /** One sentence for each part that cannot be read. */
  readonly faults: readonly string[];
}

/** `;` begins a comment, `%%` is a percent sign. Sections have no meaning, since option names are unique. */
export function readIni(text: string): RawConfig {
  const options = new Map<string, string>();
  const faults: string[] = [];
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\r|\n/)
    .entries()) {
    const words = line.replace(/\s;.*$/, "").trim();
    if (words === "" || /^[;#]|^\[[^\]]+\]$/.test(words)) continue;
    const at = words.search(/[:=]/);
    const [name, value] = [words.slice(0, Math.max(at, 0)).trim(), words.slice(at + 1).trim()];
    if (name === "") faults.push(`Line ${index + 1} must be a section such as [Local], or \`option = value\`.`);
    else if (/%(?!%)/.test(value.replaceAll("%%", "")))
      faults.push(`Option ${name} must spell a percent sign as %% (line ${index + 1}).`);
    else setOption(options, name, value.replaceAll("%%", "%"));
  }
  return { options, faults };
}

/** Options in sections or at the top. Every value is the text as written. */
export function readYaml(text: string): RawConfig {
  const document = parseDocument(text, { schema: "failsafe" });
  const faults = document.errors.map(({ message }) => `${message.split("\n")[0]?.replace(/:$/, "")}.`);
  visit(document, { Alias: (_, { source }) => void faults.push(`Write the value in place of the alias *${source}.`) });
  const options = new Map<string, string>();
  if (faults.length > 0) return { options, faults };
  const root: unknown = document.toJS();
  if (!isMapping(root)) return { options, faults: ["The file must hold sections with options."] };
  for (const [name, value] of Object.entries(root).flatMap((each) =>
    isMapping(each[1]) ? Object.entries(each[1]) : [each],
  ))
    if (typeof value === "string") setOption(options, name, value);
    else faults.push(`Option ${name} must be a text, a number, true or false.`);
  return { options, faults };
}

/** The last of two values counts. */
function setOption(options: Map<string, string>, name: string, value: string): void {
  const isEmpty = value === "" || value === '""';
  if (isEmpty) options.delete(name.toLowerCase());
  else options.set(name.toLowerCase(), value);
}
