// The contracts of the calls for upload callbacks: list, retry, drop and test.
import * as z from "zod";
import { type AnswerOf, bucketId, get, json, listOf, post, time } from "../admin/contract/contract.ts";
import { bucket, flag, ids, whole, word } from "../admin/contract/fields.ts";

export const STATES = ["waiting", "given-up"] as const;
const selection = { bucket: bucket(), state: word(STATES).optional() };

export const listCallbacks = get("/callbacks", "read", {
  summary: "List undelivered callback notices",
  fields: {
    ...selection,
    after: whole(0, Number.MAX_SAFE_INTEGER).default(0).describe("The `next` of the previous page."),
    limit: whole(1, 1_000).default(100),
  },
  answer: json({
    notices: listOf({
      id: z.int(),
      bucket: bucketId,
      fileid: z.string(),
      size: z.int(),
      sha1: z.string(),
      requestId: z.string(),
      state: z.enum(STATES),
      attempts: z.int(),
      since: time,
      dueAt: time.optional(),
      reason: z.string().optional(),
      status: z.int().optional(),
    }),
    next: z.int().optional(),
  }),
});

const chosen = {
  ...selection,
  ids: ids().optional(),
  all: flag().default(false).describe("Instead of the other fields: every notice."),
};
const changed = json({
  changed: z.int(),
  isSending: z.boolean().describe("false: no server is running that would send them."),
});

export const retryCallbacks = post("/callbacks/retry", "operate", {
  summary: "Send notices now",
  fields: chosen,
  answer: changed,
});

export const dropCallbacks = post("/callbacks/drop", "operate", {
  summary: "Drop notices for good",
  fields: chosen,
  answer: changed,
});

export const testCallback = post("/callbacks/test", "operate", {
  summary: "Send one notice to the callback of a bucket, marked as a test, and show the answer",
  fields: { bucket: bucket() },
  answer: json({
    bucket: bucketId,
    delivered: z.boolean(),
    reason: z
      .enum(["bad_answer", "status", "connect", "dns", "tls", "blocked", "timeout"])
      .optional()
      .describe("Of a failure. `blocked`: a private address without `allowPrivate`."),
    status: z.int().optional().describe("Left out without a response."),
    milliseconds: z.int(),
    answer: z.string().describe("The first 1,000 characters of the response."),
  }),
});

export type NoticePage = AnswerOf<typeof listCallbacks>;
export type NoticesChanged = AnswerOf<typeof retryCallbacks>;
export type CallbackTested = AnswerOf<typeof testCallback>;
