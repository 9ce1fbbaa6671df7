// Writes docs/reference/settings.md from the schema of the settings: one table for each mapping of huiyuan.yaml.
import * as z from "zod";
import { ROOT_KEYS, SERVER_KEYS } from "../../src/settings/load.ts";
import { mirrorShape } from "../../src/settings/schema/mirror-schema.ts";
import type { Quantity } from "../../src/settings/schema/quantities.ts";
import { settingsSchema } from "../../src/settings/schema/schema.ts";
import { code, page, table } from "./markdown.ts";

interface Schema extends z.core.JSONSchema.BaseSchema {
  readonly quantity?: Quantity;
  readonly secret?: true;
}

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

function typeOf({ quantity, secret, type, items, additionalProperties, anyOf, ...rest }: Schema): string {
  if (quantity !== undefined) return quantity.type;
  if (secret === true) return "secret";
  const [first = rest.const] = rest.enum ?? [];
  if (first !== undefined) return typeof first === "number" ? "number" : "word";
  if (anyOf !== undefined) return [...new Set(anyOf.map((each) => typeOf(each as Schema)))].join(" or ");
  if (type === "array") return `list of ${listed(items as Schema)}`;
  if (typeof additionalProperties === "object") return `names with a ${typeOf(additionalProperties as Schema)}`;
  return TYPES[String(type)] ?? "mapping";
}

const TYPES: Readonly<Record<string, string>> = {
  boolean: "true, false",
  integer: "whole number",
  number: "number",
  string: "text",
};

const listed = (item: Schema) => (item.anyOf === undefined ? `${typeOf(item)}s` : "numbers or words");

function defaultOf(schema: Schema): string {
  const { default: value } = schema;
  // Defaults of mappings are those of their keys.
  return value === undefined || JSON.stringify(value) === "{}" ? "" : code(text(value));
}

function rangeOf(schema: Schema): string {
  const { quantity, minimum, maximum, anyOf, items, maxItems } = schema;
  if (schema.enum !== undefined) return schema.enum.map((each) => code(text(each))).join(", ");
  if (schema.const !== undefined) return code(text(schema.const));
  if (quantity !== undefined) return between(quantity.min, quantity.max);
  if (anyOf !== undefined)
    return anyOf
      .map((each) => rangeOf(each as Schema))
      .filter(Boolean)
      .join(", ");
  const inItems = typeof items === "object" ? rangeOf(items as Schema) : "";
  if (maxItems !== undefined) return [`at most ${maxItems}`, inItems].filter(Boolean).join(": ");
  return inItems || between(minimum, maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum);
}

function between(min?: string | number, max?: string | number): string {
  if (min !== undefined && max !== undefined) return `${min} to ${max}`;
  return max === undefined ? (min === undefined ? "" : `at least ${min}`) : `at most ${max}`;
}

const wordsOf = ({ description = "" }: Schema) => description.replace(/</g, "&lt;").replace(/\*/g, "\\*");

const text = (value: unknown) => (typeof value === "string" ? value || '""' : JSON.stringify(value));
