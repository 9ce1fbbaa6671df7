// Schemas of the answers about single objects: uploads, variants and signed URLs. openapi.ts describes them.
import * as z from "zod";
import { bucketId, object, time } from "./answers.ts";

export const uploadAnswer = z.object({
  bucket: bucketId,
  object,
  url: z.string().describe("The download URL, without a token."),
  callback: z
    .object({
      code: z.int().describe("0, or -5979: the business server has not confirmed the notice."),
      answer: z.string().describe("JSON text: the business server's answer, or the reason of the failure."),
    })
    .optional()
    .describe("Left out if the bucket has no callback."),
});

export const variantPage = z.object({
  bucket: bucketId,
  key: z.string(),
  sha256: z.string().describe("Of the original."),
  variants: z.array(
    z.object({
      name: z.string().describe("Hash of the recipe, from which the recipe cannot be computed."),
      alias: z.string().optional().describe("The alias or style of the bucket that makes it."),
      recipe: z.string().optional().describe("Of the alias, in its canonical form."),
      format: z.string(),
      mediaType: z.string(),
      width: z.int().optional(),
      height: z.int().optional(),
      size: z.int(),
      storedAt: time,
    }),
  ),
  next: z.string().optional().describe("`after` of the next page; left out at the end."),
});

export const signAnswer = z.object({
  operation: z.enum(["download", "upload", "copy", "delete"]),
  url: z.string().optional().describe("The download URL with the token."),
  token: z.string(),
  kind: z.enum(["one-time", "multi-use"]),
  expiresAt: time.optional().describe("Left out for a token of one use."),
  parts: z
    .array(z.object({ letter: z.string(), name: z.string(), value: z.string(), meaning: z.string() }))
    .describe("The signed text, field by field."),
});

export type VariantPage = z.output<typeof variantPage>;
export type SignAnswer = z.output<typeof signAnswer>;
