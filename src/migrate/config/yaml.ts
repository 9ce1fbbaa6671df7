// Reads a migration's config in YAML: sections that hold options, or options at the top, with the names of config.ini.
import { parseDocument } from "yaml";
import { type RawConfig, setOption } from "./ini.ts";

export function readYaml(text: string): RawConfig {
  const document = parseDocument(text);
  const faults = document.errors.map(({ message }) => `${message.split("\n")[0]?.replace(/:$/, "")}.`);
  if (faults.length > 0) return { options: new Map(), faults };
  const options = new Map<string, string>();
  const root: unknown = document.toJS({ maxAliasCount: 0 });
  if (!isMapping(root)) return { options, faults: ["The file must hold sections with options."] };
  const read = (name: string, value: unknown) => {
    if (value === null || value === undefined) return;
    if (["string", "number", "boolean"].includes(typeof value)) setOption(options, name, String(value));
    else faults.push(`Option ${name} must be a text, a number, true or false.`);
  };
  for (const [name, value] of Object.entries(root)) {
    if (isMapping(value)) for (const [inner, own] of Object.entries(value)) read(inner, own);
    else read(name, value);
  }
  return { options, faults };
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
