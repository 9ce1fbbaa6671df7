// The contract of the call for usage by day.
import * as z from "zod";
import { type AnswerOf, bucketId, get, json, listOf } from "../admin/contract/contract.ts";
import { bucket, day } from "../admin/contract/fields.ts";

/** `failures`: answered with an error, missing images included. `bytes`: sent by downloads or stored by uploads. */
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

export type Counts = z.output<typeof used>;
export type UsageAnswer = AnswerOf<typeof showUsage>;
/** Usage of one bucket on one day, such as `2015-07-17`. `stored`: the size at its last measurement on that day. */
export type DayOfUse = UsageAnswer["days"][number];
