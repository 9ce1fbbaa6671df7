// Writes the cells of a setting for settings.ts: its type, default, range and meaning.
import type * as z from "zod";
import type { Quantity } from "../../src/settings/schema/quantities.ts";
import { code } from "./markdown.ts";

export interface Schema extends z.core.JSONSchema.BaseSchema {
  readonly quantity?: Quantity;
  readonly secret?: true;
}

export function typeOf({ quantity, secret, type, items, additionalProperties, anyOf, ...rest }: Schema): string {
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

export function defaultOf({ default: value, type }: Schema): string {
  // Defaults of mappings are those of their keys.
  return value === undefined || type === "object" ? "" : code(text(value));
}

export function rangeOf(schema: Schema): string {
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

export const wordsOf = ({ description = "" }: Schema) => description.replace(/</g, "&lt;").replace(/\*/g, "\\*");

const text = (value: unknown) => (typeof value === "string" ? value || '""' : JSON.stringify(value));
