// Keys of the contract that this version knows but cannot do yet: only their default is taken, and anything else is a
// fault. A setting is never accepted and then ignored.
import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { show } from "./faults.ts";

/** A key that takes its default only. `written` is the default as one writes it in the file. */
export function later<Schema extends z.ZodType>(schema: Schema, written: z.input<Schema>) {
  const only = schema.parse(written);
  // The cast: prefault()'s parameter excludes undefined, which TypeScript cannot do for a type parameter.
  return (
    schema
      .prefault(written as never)
      .refine((value) => isDeepStrictEqual(value, only), {
        error: ({ input }) =>
          typeof written === "object" ? notYet(show(input)) : notYet(foundScalar(input, written), show(written)),
      })
      // Editors then offer nothing else (JSON Schema's `const`).
      .meta({ const: written })
  );
}

/** An optional key that may not be given yet. */
export function laterKey() {
  return z
    .unknown()
    .optional()
    .transform((value, context): undefined => {
      if (value !== undefined) context.addIssue({ code: "custom", message: notYet(show(value)) });
    })
    .meta({ not: {} });
}

/** A variant of a union tagged by `type` that does not work yet; its other keys are not looked at. */
export function laterType<const Type extends string>(type: Type, instead: string) {
  return z
    .looseObject({ type: z.literal(type) })
    .transform((value, context): never => {
      context.addIssue({ code: "custom", path: ["type"], message: notYet(show(value.type), show(instead)) });
      return z.NEVER;
    })
    .meta({ not: {} });
}

/** A duration has become a number by now, which its reader would not know again. */
function foundScalar(value: unknown, written: unknown): string {
  return typeof value === "number" && typeof written === "string" ? "another value" : show(value);
}

function notYet(found: string, only?: string): string {
  return `${found} is not supported yet, ${only === undefined ? "leave it out" : `wanted ${only}`}`;
}
