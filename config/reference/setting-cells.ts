// Writes the cells of a setting for settings.ts: its type, default and range, in one language.
import type { SettingSchema } from "../../src/settings/setting-schema.ts";
import { code } from "./markdown.ts";

/** The words of one language. */
export interface CellWords {
  /** By JSON type, kind of quantity, `secret`, `word` and `mapping`. */
  readonly types: Readonly<Record<string, string>>;
  readonly or: string;
  readonly listOf: (type: string) => string;
  readonly numbersOrWords: string;
  readonly namesWith: (type: string) => string;
  readonly between: (min: string | number, max: string | number) => string;
  readonly atLeast: (min: string | number) => string;
  readonly atMost: (max: string | number) => string;
  /** Behind the largest number of items. */
  readonly colon: string;
  readonly comma: string;
}

export const EN_CELLS: CellWords = {
  types: {
    ...{ boolean: "true, false", integer: "whole number", number: "number", string: "text" },
    ...{ size: "size", duration: "duration", secret: "secret", word: "word", mapping: "mapping" },
  },
  or: " or ",
  listOf: (type) => `list of ${type}s`,
  numbersOrWords: "list of numbers or words",
  namesWith: (type) => `names with a ${type}`,
  between: (min, max) => `${min} to ${max}`,
  atLeast: (min) => `at least ${min}`,
  atMost: (max) => `at most ${max}`,
  ...{ colon: ": ", comma: ", " },
};

export const ZH_CELLS: CellWords = {
  types: {
    ...{ boolean: "true、false", integer: "整数", number: "数字", string: "文本" },
    ...{ size: "大小", duration: "时长", secret: "密钥", word: "关键字", mapping: "一组配置项" },
  },
  or: "或",
  listOf: (type) => `${type}的列表`,
  numbersOrWords: "数字或关键字的列表",
  namesWith: (type) => `名称与${type}`,
  between: (min, max) => `${min} 到 ${max}`,
  atLeast: (min) => `至少 ${min}`,
  atMost: (max) => `最多 ${max}`,
  ...{ colon: "：", comma: "、" },
};

/** The type, the default and the range. */
export function cellsOf(schema: SettingSchema, words: CellWords): readonly [string, string, string] {
  return [typeOf(schema, words), defaultOf(schema), rangeOf(schema, words)];
}

function typeOf(schema: SettingSchema, words: CellWords): string {
  const { quantity, secret, type, items, additionalProperties, anyOf, ...rest } = schema;
  const { types } = words;
  if (quantity !== undefined) return types[quantity.type] ?? "";
  if (secret === true) return types.secret ?? "";
  const [first = rest.const] = rest.enum ?? [];
  if (first !== undefined) return (typeof first === "number" ? types.number : types.word) ?? "";
  if (anyOf !== undefined) return [...new Set(anyOf.map((each) => typeOf(each, words)))].join(words.or);
  if (type === "array") {
    const item = items ?? {};
    return item.anyOf === undefined ? words.listOf(typeOf(item, words)) : words.numbersOrWords;
  }
  if (typeof additionalProperties === "object")
    return words.namesWith(typeOf(additionalProperties as SettingSchema, words));
  return types[String(type)] ?? types.mapping ?? "";
}

function defaultOf({ default: value, type }: SettingSchema): string {
  // Defaults of mappings are those of their keys.
  return value === undefined || type === "object" ? "" : code(text(value));
}

function rangeOf(schema: SettingSchema, words: CellWords): string {
  const { quantity, minimum, maximum, anyOf, items, maxItems } = schema;
  if (schema.enum !== undefined) return schema.enum.map((each) => code(text(each))).join(words.comma);
  if (schema.const !== undefined) return code(text(schema.const));
  if (quantity !== undefined) return between(words, quantity.min, quantity.max);
  if (anyOf !== undefined)
    return anyOf
      .map((each) => rangeOf(each, words))
      .filter(Boolean)
      .join(words.comma);
  const inItems = typeof items === "object" ? rangeOf(items, words) : "";
  if (maxItems !== undefined) return [words.atMost(maxItems), inItems].filter(Boolean).join(words.colon);
  return inItems || between(words, minimum, maximum);
}

function between({ between, atLeast, atMost }: CellWords, min?: string | number, max?: string | number): string {
  if (min !== undefined && max !== undefined) return between(min, max);
  return max === undefined ? (min === undefined ? "" : atLeast(min)) : atMost(max);
}

const text = (value: unknown) => (typeof value === "string" ? value || '""' : JSON.stringify(value));
