// The settings schema as JSON Schema (draft 2020-12), for editors and the console.
import * as z from "zod";
import { NOT_YET } from "../checks/not-yet.ts";
import { settingsSchema } from "./schema.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What one may write in the file; descriptions and defaults included. Cross-key rules cannot be said in it. */
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

/** What does not work yet is not offered: only `accepts` are left of the values at `path`. */
function limit(schema: JsonSchema, path: readonly string[], accepts: readonly unknown[]): void {
  const [part, ...rest] = path;
  if (part === undefined) {
    schema.description = `${schema.description ?? ""} Not supported yet.`.trim();
    // A number may be a duration, which is written in another way.
    const isPlain = accepts.every((accepted) => typeof accepted !== "number" || schema.type !== "string");
    if (isPlain && accepts.length === 1) schema.const = accepts[0] as NonNullable<JsonSchema["const"]>; // settings values are JSON
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
