// Reads the text of a config, the old tool's config.ini or YAML, into options.
import { parseDocument, visit } from "yaml";

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

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The last of two values counts. */
function setOption(options: Map<string, string>, name: string, value: string): void {
  const isEmpty = value === "" || value === '""';
  if (isEmpty) options.delete(name.toLowerCase());
  else options.set(name.toLowerCase(), value);
}
