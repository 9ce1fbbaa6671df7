// The control that a form shows for a setting, by its schema, which GET /settings/schema answers. It draws nothing.
import type { Scalar, SettingSchema } from "../../../settings/setting-schema.ts";
import { type Path, textAt, valueAt } from "../../console/tree.ts";

/**
 * `mappings` is a list of mappings, `lines` a list of texts or numbers, `entries` a mapping with names of any kind;
 * `mapping` and `typed` are mappings, the latter of one of several types.
 */
export type Kind = "text" | "secret" | "toggle" | "choice" | "lines" | "entries" | "mapping" | "typed" | "mappings";

export function kindOf(schema: SettingSchema): Kind {
  const { type, items, anyOf = [], additionalProperties } = schema;
  if (schema.properties !== undefined) return "mapping";
  if (schema.oneOf !== undefined) return "typed";
  if (items !== undefined) return items.properties === undefined && items.oneOf === undefined ? "lines" : "mappings";
  if (typeof additionalProperties === "object") return "entries";
  if (schema.secret) return "secret";
  if (type === "boolean") return schema.default === undefined ? "choice" : "toggle";
  if (schema.enum !== undefined || schema.const !== undefined) return "choice";
  return anyOf.some((each) => each.type === "array") ? "lines" : "text";
}

/** The values of a choice. */
export function choicesOf({ type, enum: all, const: only }: SettingSchema): readonly Scalar[] {
  if (type === "boolean") return [true, false];
  return all ?? (only === undefined ? [] : [only]);
}

/** The schema at a path below another. `tree`: the settings there, which say what type a mapping has. */
export function schemaAt(schema: SettingSchema, path: Path, tree: unknown): SettingSchema {
  return path.reduce<SettingSchema>((outer, part, index) => {
    const own = variantOf(outer, valueAt(tree, path.slice(0, index)));
    return (typeof part === "number" ? own.items : own.properties?.[part]) ?? {};
  }, schema);
}

/** The mapping itself, or for one of several types that of `value`: the first if it has none. */
export function variantOf(schema: SettingSchema, value: unknown): SettingSchema {
  const type = textAt(value, ["type"]);
  const variants = schema.oneOf ?? [];
  return variants.find(({ properties }) => String(properties?.type?.const) === type) ?? variants[0] ?? schema;
}

/** A value to begin with: a mapping with what it must have. */
export function newValue(schema: SettingSchema): unknown {
  const { properties = {}, required = [] } = variantOf(schema, undefined);
  const kind = kindOf(schema);
  if (kind === "mappings") return [newValue(schema.items ?? {})];
  if (kind === "mapping" || kind === "typed")
    return Object.fromEntries(required.map((key) => [key, newValue(properties[key] ?? {})]));
  return schema.const ?? schema.default ?? "";
}

/** The value that a typed text stands for. `""` is the empty text; undefined removes the setting. */
export function valueOfText(schema: SettingSchema, text: string): unknown {
  if (text === "") return undefined;
  if (text === '""') return "";
  const types = [schema, ...(schema.anyOf ?? [])].map(({ type }) => type);
  const isNumber = types.includes("integer") || types.includes("number");
  return isNumber && /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
}

/**
 * The value of a typed list, one item a line, `[]` for an empty one. A single line may be a word that the schema has in
 * place of a list.
 */
export function valueOfLines(schema: SettingSchema, text: string): unknown {
  if (text.trim() === "[]") return [];
  const lines = text.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
  const [only = ""] = lines;
  const words = (schema.anyOf ?? []).flatMap(choicesOf);
  if (lines.length === 1 && words.includes(only)) return only;
  const items = schema.items ?? schema.anyOf?.find(({ type }) => type === "array")?.items ?? {};
  return lines.length === 0 ? undefined : lines.map((line) => valueOfText(items, line));
}

/** The text that valueOfText() or valueOfLines() reads as this value; undefined for no value. */
export function textOf(value: unknown): string | undefined {
  if (value === "") return '""';
  if (Array.isArray(value)) return value.length === 0 ? "[]" : value.map(textOf).join("\n");
  return value === undefined || value === null ? undefined : String(value);
}
