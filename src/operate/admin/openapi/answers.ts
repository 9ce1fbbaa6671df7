// Schemas of the answers of the admin API, for openapi.ts, and their types. A test checks real answers against them.
// Times are ISO 8601; unknown fields are left out.
import * as z from "zod";
import { faults } from "./settings-answers.ts";

export const bucketId = z.string().describe("`<appid>/<name>`");
export const time = z.iso.datetime();

export const problem = z.object({
  code: z.int().describe("The X-ErrNo of the error."),
  message: z.string(),
  requestId: z.string().describe("The same id as in the log."),
  faults: faults
    .optional()
    .describe("Of settings that were refused; lines and columns are those of the proposed file."),
});

export const bucketsAnswer = z.object({
  buckets: z.array(
    z.object({
      bucket: bucketId,
      takesUploads: z.boolean().describe("false: `access: download`."),
      domains: z.array(z.object({ domain: z.string().describe("`*`: every other host"), isMirrored: z.boolean() })),
    }),
  ),
});

const provenance = z.object({
  via: z.enum(["upload", "mirror", "migration"]),
  originUrl: z.string().optional(),
  originEtag: z.string().optional(),
  originLastModified: z.string().optional(),
  fetchedAt: time.optional(),
  validatedAt: time.optional(),
});

export const object = z.object({
  key: z.string(),
  size: z.int(),
  mediaType: z.string(),
  format: z.string(),
  width: z.int().optional(),
  height: z.int().optional(),
  etag: z.string(),
  sha256: z.string(),
  sha1: z.string().optional(),
  md5: z.string().optional(),
  headers: z.record(z.string(), z.string()),
  modifiedAt: time,
  storedAt: time,
  isSuspect: z.boolean(),
  isDamaged: z.boolean(),
  provenance,
});

export const objectPage = z.object({
  bucket: bucketId,
  objects: z.array(object),
  next: z.string().optional().describe("`after` of the next page; left out at the end."),
});

/** The state of a key in a bucket. */
const ENTRY = {
  state: z.enum(["object", "tombstone", "absent"]),
  epoch: z.int().describe("Raised by uploads, deletes and purges of the key."),
  isStale: z.boolean().optional().describe("Purged: the next request revalidates it first."),
  isQueued: z.boolean().optional().describe("Its upload to the remote store is pending."),
  object: object.optional(),
  tombstone: z.object({ deletedAt: time, reason: z.string(), expiresAt: time.optional() }).optional(),
  failure: z.string().optional().describe("Error code of a store that did not answer."),
  isInMemory: z.boolean(),
};

export const statAnswer = z.object({
  bucket: bucketId,
  key: z.string(),
  url: z.string().optional().describe("The download URL, without a token. Left out if the port is not known."),
  ...ENTRY,
  readSha256: z.string().optional().describe("Of the bytes that `read` has read; absent if they are damaged."),
});

export const contentAnswer = z.object({
  bucket: bucketId,
  key: z.string(),
  outcome: z
    .enum(["stored", "same", "differs", "deleted"])
    .describe("`same`: equal bytes were there. `differs`: others, which stay. `deleted`: a tombstone, which stays."),
});

const failed = z.object({ name: z.string(), code: z.string(), message: z.string() });

export const changeLine = z.union([
  z.object({ bucket: bucketId, key: z.string(), changed: z.boolean().describe("false: there was nothing to change.") }),
  failed,
]);

export const changeCounts = z.object({ changed: z.int(), unchanged: z.int(), failed: z.int() });

/**
 * `fetched`: whole, and stored or pending. `present`: stored already. `confirmed`: purged, and the origin confirmed it.
 * `missing`: the origin does not have it. `deleted`: there is an operator's tombstone. `unmirrored`: no rule fetches
 * and stores it. `unstored`: the answer of the origin may not be stored. `code` and `message` are set for `failed`.
 */
const warmResult = z.enum([
  ...["fetched", "present", "confirmed", "missing", "deleted", "unmirrored", "unstored", "failed"],
] as const);

export const warmLine = z.object({
  name: z.string(),
  result: warmResult,
  bytes: z.int().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
});

export const warmCounts = z.record(warmResult, z.int());

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

export const explanation = z.object({
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
  stored: z.object(ENTRY).optional(),
  originalStored: z.object(ENTRY).optional().describe("Of the original, if an alias has another key."),
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
  origin: z
    .array(
      z.object({
        why: z.enum(["miss", "refresh", "behind"]),
        key: z.string(),
        isStored: z.boolean(),
        mayServeStale: z.boolean().optional().describe("`refresh` only: the stored object is served on a failure."),
        isRunning: z.boolean(),
        refusal: refusal.optional(),
        requests: z.array(request),
      }),
    )
    .optional(),
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
});

export const noticePage = z.object({
  notices: z.array(
    z.object({
      id: z.int(),
      bucket: bucketId,
      fileid: z.string(),
      size: z.int(),
      sha1: z.string(),
      requestId: z.string(),
      state: z.enum(["waiting", "given-up"]),
      attempts: z.int(),
      since: time,
      dueAt: time.optional(),
      reason: z.string().optional(),
      status: z.int().optional(),
    }),
  ),
  next: z.int().optional(),
});

export const noticesChanged = z.object({
  changed: z.int(),
  isSending: z.boolean().describe("false: no server is running that would send them."),
});

export const callbackTested = z.object({
  bucket: bucketId,
  delivered: z.boolean(),
  reason: z
    .enum(["bad_answer", "status", "connect", "dns", "tls", "blocked", "timeout"])
    .optional()
    .describe("Of a failure. `blocked`: a private address without `allowPrivate`."),
  status: z.int().optional().describe("Left out without a response."),
  milliseconds: z.int(),
  answer: z.string().describe("The first 1,000 characters of the response."),
});

export const logPage = z.object({
  entries: z.array(
    z.object({
      id: z.int(),
      bucket: bucketId,
      operation: z.string(),
      fileid: z.string(),
      url: z.string(),
      client: z.string(),
      userAgent: z.string(),
      code: z.int(),
      message: z.string(),
      bytes: z.int(),
      requestId: z.string(),
      time,
      reportTime: time,
    }),
  ),
  next: z.int().optional(),
});

const used = z.object({ requests: z.int(), failures: z.int(), bytes: z.int() });

export const usageAnswer = z.object({
  days: z.array(
    z.object({
      day: z.string(),
      bucket: bucketId,
      operations: z.record(z.string(), used),
      stored: z.object({ objects: z.int(), bytes: z.int() }).optional(),
    }),
  ),
});

export type BucketsAnswer = z.output<typeof bucketsAnswer>;
export type StatAnswer = z.output<typeof statAnswer>;
export type ObjectPage = z.output<typeof objectPage>;
export type ChangeLine = z.output<typeof changeLine>;
export type ChangeCounts = z.output<typeof changeCounts>;
export type WarmLine = z.output<typeof warmLine>;
export type WarmCounts = z.output<typeof warmCounts>;
export type Explanation = z.output<typeof explanation>;
export type NoticePage = z.output<typeof noticePage>;
export type NoticesChanged = z.output<typeof noticesChanged>;
export type CallbackTested = z.output<typeof callbackTested>;
export type LogPage = z.output<typeof logPage>;
export type UsageAnswer = z.output<typeof usageAnswer>;
export type Problem = z.output<typeof problem>;
