// The contracts of the calls for the operation log: JSON pages, or one CSV file.
import * as z from "zod";
import { type AnswerOf, bucketId, get, json, listOf, time } from "../admin/contract/contract.ts";
import { bucket, dayOrTime, text, whole, word } from "../admin/contract/fields.ts";
import { OPERATION_NAMES } from "../admin/operation.ts";

const DAY_MS = 86_400_000;
const MAX_LISTED = 1_000;

const filter = {
  bucket: bucket(),
  operation: word(OPERATION_NAMES).optional(),
  fileid: text().optional(),
  from: dayOrTime(0).optional(),
  to: dayOrTime(DAY_MS - 1)
    .optional()
    .describe("Inclusive."),
};

export const showLog = get("/log", "read", {
  summary: "A page of the operation log (操作日志)",
  fields: {
    ...filter,
    after: whole(0, Number.MAX_SAFE_INTEGER).default(0).describe("The `next` of the previous page."),
    limit: whole(1, MAX_LISTED).default(MAX_LISTED),
    latest: whole(1, MAX_LISTED).optional().describe("Instead of a page: this many of the newest entries."),
  },
  answer: json({
    entries: listOf({
      id: z.int().describe("Ascending in the order of the log."),
      bucket: bucketId,
      operation: z.enum(OPERATION_NAMES),
      fileid: z.string(),
      url: z.string(),
      client: z.string(),
      userAgent: z.string(),
      code: z.int(),
      message: z.string(),
      bytes: z.int(),
      requestId: z.string(),
      time,
      reportTime: time.describe("Of the write to the log."),
    }),
    next: z.int().optional(),
  }),
});

export const showLogCsv = get("/log.csv", "read", {
  summary: "The operation log as one file, in the documented columns",
  fields: filter,
  answer: { mediaType: "text/csv" },
});

export type LogPage = AnswerOf<typeof showLog>;
export type LogEntry = LogPage["entries"][number];
