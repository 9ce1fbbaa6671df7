// Converts the settings schema to JSON Schema (draft 2020-12), for editors and the console.
import * as z from "zod";
import { settingsSchema } from "./schema.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** JSON Schema of the file, with descriptions and defaults. It cannot express rules between keys. */
export function settingsJsonSchema(): JsonSchema {
  return z.toJSONSchema(settingsSchema, {
    io: "input",
    override({ jsonSchema }) {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      delete jsonSchema.secret;
      limit(jsonSchema);
    },
  });
}

/** Removes what notYet() refuses, so that editors do not offer it. Inner schemas are limited before outer ones. */
function limit(schema: JsonSchema): void {
  if (schema.oneOf !== undefined) schema.oneOf = schema.oneOf.filter((option) => !isRefused(option));
  const { accepted } = schema;
  if (accepted === undefined) return;
  delete schema.accepted;
  schema.description = `${schema.description} Not supported yet.`;
  if (schema.const !== undefined) schema.not = {};
  // The cast holds, because notYet() takes texts and numbers.
  else schema.const = accepted as string | number;
}

function isRefused(option: JsonSchema): boolean {
  return Object.values(option.properties ?? {}).some((inner) => typeof inner === "object" && inner.not !== undefined);
}
