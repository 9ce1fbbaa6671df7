// The contract of the call that explains a download URL.
import * as z from "zod";
import { type AnswerOf, bucketId, json, listOf, post } from "../admin/contract/contract.ts";
import { headerFields, text } from "../admin/contract/fields.ts";
import { entryFields } from "../images/contract.ts";

const refusal = z.object({
  code: z.string(),
  errNo: z.int(),
  message: z.string(),
  retryAfterSeconds: z.number().optional(),
});

const request = z.object({
  method: z.enum(["GET", "HEAD"]),
  url: z.string().describe("Credentials are `***`."),
  headers: z.array(z.tuple([z.string(), z.string()])),
  isStandby: z.boolean().optional(),
  weight: z.number().optional(),
  refusal: refusal.optional(),
});

// POST, although it changes nothing: the URL may contain a token, which must not be part of another URL.
export const explainUrl = post("/explain", "read", {
  summary: "Explain a download URL: its object, its rule, and the answer to it",
  fields: {
    url: text().describe("The URL as a client requests it, with its host."),
    method: z
      .string()
      .regex(/^[A-Z]{1,20}$/, { error: "must be such as GET" })
      .default("GET"),
    headers: headerFields().prefault({}).describe("Headers of the request; `host` replaces the host of the URL."),
  },
  answer: json({
    method: z.string(),
    isRestApi: z.boolean().optional().describe("true: a call of the REST API; there are no other fields."),
    isHealthPath: z
      .boolean()
      .optional()
      .describe("true: a health check (`server.healthPath`); there are no other fields."),
    domain: z.string().optional(),
    bucket: bucketId.optional(),
    isMirrored: z.boolean().optional(),
    path: z.string().optional(),
    query: z.string().optional(),
    alias: z.string().optional(),
    original: z.string().optional().describe("Key of the original of a processed image."),
    recipe: z.string().optional(),
    key: z.string().optional(),
    stored: z.object(entryFields).optional(),
    originalStored: z.object(entryFields).optional().describe("Of the original, if an alias has another key."),
    referer: z.enum(["off", "allowed", "listed", "refused"]).optional(),
    token: z
      .object({
        verdict: z.enum(["off", "unseen", "good", "refused"]),
        kind: z.string().optional(),
        expiresInSeconds: z.number().optional(),
        isSpent: z.boolean().optional(),
        ...refusal.partial().shape,
      })
      .optional(),
    rule: z
      .object({
        index: z.int().optional().describe("Position of the rule; left out for the domain's own settings."),
        action: z.string(),
        type: z.string(),
        match: z.record(z.string(), z.unknown()).optional(),
        fallback: z.object({ key: z.string(), status: z.int() }).optional(),
      })
      .optional(),
    origin: listOf({
      why: z.enum(["miss", "refresh", "behind"]),
      key: z.string(),
      isStored: z.boolean(),
      mayServeStale: z.boolean().optional().describe("`refresh` only: the stored object is served on a failure."),
      isRunning: z.boolean(),
      refusal: refusal.optional(),
      requests: z.array(request),
    }).optional(),
    answer: z
      .object({
        from: z.string(),
        status: z.int().optional().describe("Left out if an origin or the renderer decides it."),
        ...refusal.partial().shape,
        cacheControl: z.string().optional(),
        cacheStatus: z.string().optional(),
        location: z.string().optional(),
      })
      .optional(),
  }),
});

export type Explanation = AnswerOf<typeof explainUrl>;
