// Writes a JSON Schema as a TypeScript type, which is the shortest form that programmers read. Bounds are left out.
import type * as z from "zod";

export type Schema = z.core.JSONSchema.BaseSchema;

/** `indent`: that of the line on which the type begins. */
export function typeText(schema: Schema, indent = ""): string {
  const { properties, items, anyOf, enum: words, additionalProperties } = schema;
  if (words !== undefined) return words.map((word) => JSON.stringify(word)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (anyOf !== undefined) return anyOf.map((each) => typeText(each as Schema, indent)).join(" | ");
  if (properties !== undefined) return mappingText(properties as Fields, schema.required ?? [], indent);
  if (schema.prefixItems !== undefined)
    return `[${schema.prefixItems.map((each) => typeText(each as Schema)).join(", ")}]`;
  if (items !== undefined) return listText(typeText(items as Schema, indent));
  if (typeof additionalProperties === "object")
    return `Record<string, ${typeText(additionalProperties as Schema, indent)}>`;
  return schema.type === "integer" ? "number" : String(schema.type ?? "unknown");
}

type Fields = Readonly<Record<string, Schema>>;

const listText = (item: string) => (item.includes(" | ") && !item.startsWith("{") ? `(${item})[]` : `${item}[]`);

function mappingText(fields: Fields, required: readonly string[], indent: string): string {
  const inner = `${indent}  `;
  const lines = Object.entries(fields).map(([name, field]) => {
    const comment = field.description === undefined ? "" : ` // ${field.description}`;
    return `${inner}${name}${required.includes(name) ? "" : "?"}: ${typeText(field, inner)};${comment}\n`;
  });
  return lines.length === 0 ? "{}" : `{\n${lines.join("")}${indent}}`;
}
