// Converts the settings schema to JSON Schema (draft 2020-12), for editors and the console.
import * as z from "zod";
import { NOT_YET } from "../checks/not-yet.ts";
import { settingsSchema } from "./schema.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** JSON Schema of the file, with descriptions and defaults. It cannot express rules between keys. */
export function settingsJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(settingsSchema, {
    io: "input",
    override: ({ jsonSchema }) => {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  for (const { path, accepts } of NOT_YET) limit(schema, path, accepts);
  return schema;
}

/** Restricts the values at `path` to `accepts`, so that editors do not offer unsupported values. */
function limit(schema: JsonSchema, path: readonly string[], accepts: readonly unknown[]): void {
  const [part, ...rest] = path;
  if (part === undefined) {
    schema.description = `${schema.description ?? ""} Not supported yet.`.trim();
    // A number may be a parsed duration, which the file writes in another way.
    const isPlain = accepts.every((accepted) => typeof accepted !== "number" || schema.type !== "string");
    // The cast holds, because settings values are JSON.
    if (isPlain && accepts.length === 1) schema.const = accepts[0] as NonNullable<JsonSchema["const"]>;
    if (accepts.length === 0) schema.not = {};
    return;
  }
  const options = [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])].map(asSchema);
  const tags = options.map((option) => asSchema(option?.properties?.[part])?.const);
  if (schema.oneOf !== undefined && rest.length === 0 && tags.every((tag) => tag !== undefined)) {
    schema.oneOf = schema.oneOf.filter((_, index) => accepts.includes(tags[index]));
    return;
  }
  const inner = part === "*" ? [schema.items, schema.additionalProperties] : [schema.properties?.[part]];
  for (const next of inner.map(asSchema)) if (next !== undefined) limit(next, rest, accepts);
  for (const option of options) if (option !== undefined) limit(option, path, accepts);
}

function asSchema(value: unknown): JsonSchema | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonSchema) : undefined;
}
