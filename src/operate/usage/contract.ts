// The contract of the call for usage by day.
import * as z from "zod";
import { type AnswerOf, bucketId, get, json, listOf } from "../admin/contract/contract.ts";
import { bucket, day } from "../admin/contract/fields.ts";

const used = z.object({ requests: z.int(), failures: z.int(), bytes: z.int() });

export const showUsage = get("/usage", "read", {
  summary: "Usage of each bucket by day (UTC)",
  fields: { bucket: bucket(), from: day().optional(), to: day().optional().describe("Inclusive.") },
  answer: json({
    days: listOf({
      day: z.string(),
      bucket: bucketId,
      operations: z.record(z.string(), used),
      stored: z.object({ objects: z.int(), bytes: z.int() }).optional(),
    }),
  }),
});

export type UsageAnswer = AnswerOf<typeof showUsage>;
