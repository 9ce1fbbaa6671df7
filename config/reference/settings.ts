// Writes docs/reference/settings.md from the schema of the settings: one table for each mapping of huiyuan.yaml.
import * as z from "zod";
import { ROOT_KEYS, SERVER_KEYS } from "../../src/settings/load.ts";
import { mirrorShape } from "../../src/settings/schema/mirror-schema.ts";
import { settingsSchema } from "../../src/settings/schema/schema.ts";
import { code, page, table } from "./markdown.ts";
import { defaultOf, rangeOf, type Schema, typeOf, wordsOf } from "./setting-cells.ts";

const INTRO = `This page lists every key of \`huiyuan.yaml\` with its type, default and range. [config/huiyuan.yaml](../../config/huiyuan.yaml)
is a file to copy. Editors complete the keys by [config/huiyuan.schema.json](../../config/huiyuan.schema.json).

- \`huiyuan check\` names every fault with its line. Unknown keys are refused.
- A key that is left out has its default. A key without a default may be left out, unless it is **required**.
- A change takes effect within a second. Keys marked ↻ need a restart.
- A size is \`512\`, \`64KB\` (10³), \`64MiB\` (2²⁰) and so on. A duration is \`500ms\`, \`30s\`, \`5m\`, \`2h\` or \`7d\`.
- A secret may be written as \`env:NAME\` or \`file:PATH\`. Paths start from the folder of the settings file.`;

const RULE_NOTE = `A rule may also have every key of \`mirror\` but \`maxKeys\` and \`rules\`. The domain's value holds for keys that it leaves out.`;

export function settingsPage(): string {
  const root = z.toJSONSchema(settingsSchema, { io: "input" }) as Schema;
  return page("Settings", INTRO, ...sectionsOf("", root));
}

/** The table of one mapping, then those of the mappings in it. `path` is empty for the whole file. */
function sectionsOf(path: string, schema: Schema): readonly string[] {
  const isRule = path.endsWith("rules[]");
  const keys = Object.entries((schema.properties ?? {}) as Record<string, Schema>).filter(
    ([key]) => !isRule || !(key in mirrorShape),
  );
  const rows = keys.map(([key, value]) => {
    const isRequired = schema.required?.includes(key) === true;
    const mark = needsRestart(path, key) ? " ↻" : "";
    return [
      code(key) + mark,
      typeOf(value),
      isRequired ? "**required**" : defaultOf(value),
      rangeOf(value),
      wordsOf(value),
    ];
  });
  return [
    ...headOf(path),
    table(["key", "type", "default", "range", "meaning"], rows),
    ...(isRule ? [RULE_NOTE] : []),
    ...keys.flatMap(([key, value]) => partsOf(path === "" ? key : `${path}.${key}`, value)),
  ];
}

/** A heading with the last names of a path, and a line with the names before them. */
function headOf(path: string): readonly string[] {
  if (path === "") return ["## The whole file"];
  const [, above = "", name = ""] = /^(projects\[\]\.(?:buckets\[\]\.(?:domains\[\]\.)?)?)?(.*)$/.exec(path) ?? [];
  return above === "" ? [`## ${name}`] : [`## ${name}`, `Below ${code(above.slice(0, -1))}.`];
}

/** The sections of the mappings that a value has. A mapping of several types has a section for each. */
function partsOf(path: string, { properties, items, oneOf, ...rest }: Schema): readonly string[] {
  if (properties !== undefined) return sectionsOf(path, { ...rest, properties });
  if (items !== undefined) return partsOf(`${path}[]`, items as Schema);
  return ((oneOf ?? []) as readonly Schema[]).flatMap((each) => {
    const { type } = each.properties as Readonly<Record<"type", Schema>>;
    return sectionsOf(`${path} (type: ${type.const})`, each);
  });
}

const needsRestart = (path: string, key: string) =>
  (path === "" && ROOT_KEYS.some((each) => each === key)) ||
  (path === "server" && SERVER_KEYS.some((each) => each === key));
