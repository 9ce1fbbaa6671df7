// Reads the old tool's config.ini: sections, options with names in any case, `;` comments, `%%` for a percent sign.

/** Values by the lower-case names of their options. An empty value counts as absent. */
export type RawOptions = ReadonlyMap<string, string>;

export interface RawConfig {
  readonly options: RawOptions;
  /** One sentence for each line that cannot be read. */
  readonly faults: readonly string[];
}

/** Option names are unique, so sections have no meaning beside them. The last of two values counts. */
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

export function setOption(options: Map<string, string>, name: string, value: string): void {
  const isEmpty = value === "" || value === '""';
  if (isEmpty) options.delete(name.toLowerCase());
  else options.set(name.toLowerCase(), value);
}
