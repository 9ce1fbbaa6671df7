// The contracts of the calls for the console's first page: the overview, and the live figures.
import * as z from "zod";
import { type AnswerOf, get, json, listOf, originFields, time } from "../admin/contract/contract.ts";

const count = z.int();
const LATEST = "Since the start; the rate is the difference of two answers.";

const attention = z.object({
  severity: z.enum(["critical", "warning", "info"]),
  code: z.string().describe("The name of the alert rule with this judgement, or one of the overview's own."),
  message: z.string().describe("English, for operators."),
  values: z
    .record(z.string(), z.union([z.string(), z.number()]))
    .optional()
    .describe("The values in the message."),
  mend: z.object({
    page: z.string().optional().describe("Path of the console's page."),
    command: z.string().optional().describe("Command for a terminal of the server."),
  }),
});

export const showOverview = get("/overview", "read", {
  summary: "The state of the server, and what needs attention",
  answer: json({
    version: z.string(),
    startedAt: time,
    buckets: count,
    stored: z
      .object({ objects: count, bytes: count })
      .optional()
      .describe("All buckets. With an S3 store it is the last count, left out before the first one."),
    backup: z
      .object({
        outcome: z
          .enum(["succeeded", "damaged", "failed", "unfinished"])
          .describe("`damaged`: some images were. `unfinished`: it is running, or it was killed."),
        at: time.describe("When it ended; of an unfinished one, when it began."),
      })
      .optional()
      .describe("The last one; left out if there was none."),
    attention: z.array(attention).describe("What needs an operator, worst first."),
  }),
});

export const showLive = get("/live", "read", {
  summary: "Live figures",
  answer: json({
    at: time,
    requests: listOf({ outcome: z.string(), tier: z.string(), count }).describe(
      `Downloads by outcome (hit, miss, error, other) and tier. ${LATEST}`,
    ),
    bytes: count.describe(`Bytes of all downloads. ${LATEST}`),
    savedBytes: count.describe(`Bytes of hits, which no origin had to send. ${LATEST}`),
    errors: listOf({ code: z.string(), count }).describe(`The ten most frequent codes. ${LATEST}`),
    origins: z.array(z.object(originFields)).describe("The first 50."),
    running: z.object({ fills: count, renders: count, waitingRenders: count, uploads: count, waitingWrites: count }),
    memory: z.object({ residentBytes: count, heapBytes: count, cacheBytes: count, cacheObjects: count }),
  }),
});

export type Attention = z.output<typeof attention>;
export type OverviewAnswer = AnswerOf<typeof showOverview>;
export type LiveFigures = AnswerOf<typeof showLive>;
