// The settings schema as JSON Schema (draft 2020-12), for editors and the console.
import * as z from "zod";
import { settingsSchema } from "./schema.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What one may write in the file; descriptions and defaults included. Cross-key rules cannot be said in it. */
export function settingsJsonSchema(): JsonSchema {
  return z.toJSONSchema(settingsSchema, {
    io: "input",
    override: ({ jsonSchema }) => {
      // Options that do not work yet are not offered.
      if (jsonSchema.oneOf !== undefined) jsonSchema.oneOf = jsonSchema.oneOf.filter((option) => !hasNot(option));
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
}

function hasNot(schema: unknown): boolean {
  return typeof schema === "object" && schema !== null && "not" in schema;
}
