// Converts the settings schema to JSON Schema (draft 2020-12), for editors and the console.
import * as z from "zod";
import { settingsSchema } from "./schema.ts";

/** JSON Schema of the file, with descriptions and defaults. It cannot express rules between keys. */
export function settingsJsonSchema(): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(settingsSchema, {
    io: "input",
    override({ jsonSchema }) {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      delete jsonSchema.secret;
    },
  });
}
