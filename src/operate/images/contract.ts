// The contracts of the calls for stored objects and their images: list, look, change, warm, upload and show.
import * as z from "zod";
import { type AnswerOf, bucketId, type EndOf, get, json, listOf, post, put, time } from "../admin/contract/contract.ts";
import { bucket, flag, names, number, text, whole } from "../admin/contract/fields.ts";
import { confirmation } from "../nodes/contract.ts";

const MAX_LISTED = 1_000;
const MAX_LIFE_MS = 100 * 365 * 86_400_000;
// Low, because the origin serves clients at the same time.
const WARM_PLACES = 4;

const object = z.object({
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
  provenance: z.object({
    via: z.enum(["upload", "mirror", "migration"]),
    originUrl: z.string().optional(),
    originEtag: z.string().optional(),
    originLastModified: z.string().optional(),
    fetchedAt: time.optional(),
    validatedAt: time.optional(),
  }),
});

/** The fields of a key's state in a bucket. */
export const entryFields = {
  state: z.enum(["object", "tombstone", "absent"]),
  epoch: z.int().describe("Raised by uploads, deletes and purges of the key."),
  isStale: z.boolean().optional().describe("Purged: the next request revalidates it first."),
  isQueued: z.boolean().optional().describe("Its upload to the remote store is pending."),
  object: object.optional(),
  tombstone: z.object({ deletedAt: time, reason: z.string(), expiresAt: time.optional() }).optional(),
  failure: z.string().optional().describe("Error code of a store that did not answer."),
  isInMemory: z.boolean(),
};

const next = z.string().optional().describe("`after` of the next page; left out at the end.");

export const listObjects = get("/objects", "read", {
  summary: "List a page of a bucket's objects, by ascending keys",
  fields: {
    bucket: bucket(),
    prefix: text().optional().describe("Prefix of the keys."),
    after: text().optional().describe("The `next` of the previous page."),
    limit: whole(1, MAX_LISTED).default(100),
  },
  answer: json({ bucket: bucketId, objects: z.array(object), next }),
});

export const showObject = get("/objects/stat", "read", {
  summary: "Show one object, its tombstone, or its absence",
  fields: {
    bucket: bucket(),
    name: text().describe("A download URL of the object, or its key."),
    read: flag().default(false).describe("true: also read the stored bytes, and tell their SHA-256."),
  },
  answer: json({
    bucket: bucketId,
    key: z.string(),
    url: z.string().optional().describe("The download URL, without a token. Left out if the port is not known."),
    ...entryFields,
    readSha256: z.string().optional().describe("Of the bytes that `read` has read; absent if they are damaged."),
  }),
});

/** Either names or a prefix; the handler checks that exactly one is given. */
const selection = {
  bucket: bucket(),
  names: names().optional().describe("Download URLs of the objects, or keys of the bucket."),
  prefix: text().optional().describe("Instead of names: all stored objects of the bucket whose keys begin with it."),
};

const changes = {
  line: z.union([
    z.object({
      bucket: bucketId,
      key: z.string(),
      changed: z.boolean().describe("false: there was nothing to change."),
    }),
    z.object({ name: z.string(), code: z.string(), message: z.string() }),
  ]),
  end: z.object({ changed: z.int(), unchanged: z.int(), failed: z.int(), confirmation }),
};

export const deleteObjects = post("/objects/delete", "operate", {
  summary: "Delete objects, so that they are not fetched from an origin again",
  fields: {
    ...selection,
    reason: text().default("deleted by an operator"),
    forMs: whole(1, MAX_LIFE_MS).optional().describe("Milliseconds until the deletion expires."),
  },
  answer: changes,
});

export const undeleteObjects = post("/objects/undelete", "operate", {
  summary: "Remove tombstones, so that the objects may be fetched again",
  fields: selection,
  answer: changes,
});

export const purgeObjects = post("/objects/purge", "operate", {
  summary: "Mark mirrored objects stale, so that the next request revalidates them",
  fields: { ...selection, hard: flag().default(false).describe("true: delete the stored bytes now.") },
  answer: changes,
});

export const uploadObject = put("/objects/upload", "operate", {
  summary: "Upload an image; its body is the request's",
  fields: {
    bucket: bucket(),
    key: text().describe("Key of the object, at most 128 bytes."),
    replace: flag().default(false).describe("true: an object of this name is replaced; else the answer is -1886."),
    md5: text().default("").describe("Hex; another body is refused."),
    sha: text().default("").describe("SHA-1, hex; another body is refused."),
    magiccontext: text().default("").describe("For the callback."),
  },
  answer: json({
    bucket: bucketId,
    object,
    url: z.string().describe("The download URL, without a token."),
    confirmation,
    callback: z
      .object({
        code: z.int().describe("0, or -5979: the business server has not confirmed the notice."),
        answer: z.string().describe("JSON text: the business server's answer, or the reason of the failure."),
      })
      .optional()
      .describe("Left out if the bucket has no callback."),
  }),
});

export const listVariants = get("/objects/variants", "read", {
  summary: "List the stored processed images of an original",
  fields: {
    bucket: bucket(),
    key: text().describe("Key of the original."),
    after: text()
      .regex(/^[0-9a-f]{1,32}$/, { error: "must be the name of a variant" })
      .optional()
      .describe("The `next` of the previous page."),
    limit: whole(1, 200).default(50),
  },
  answer: json({
    bucket: bucketId,
    key: z.string(),
    sha256: z.string().describe("Of the original."),
    variants: listOf({
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
    next,
  }),
});

export const showImage = get("/objects/image", "read", {
  summary: "Show the stored image of a key, or a processed one, without token and Referer",
  fields: {
    bucket: bucket(),
    key: text().describe("Key of the original."),
    instruction: text().optional().describe("An alias of the bucket, or an instruction such as imageView2/2/w/200."),
    fetch: flag().default(false).describe("true: an image that the bucket lacks is fetched and stored first."),
  },
  answer: { mediaType: "image/*" },
});

/**
 * `fetched`: whole, and stored or pending. `present`: stored already. `confirmed`: purged, and the origin confirmed it.
 * `missing`: the origin does not have it. `deleted`: there is an operator's tombstone. `unmirrored`: no rule fetches
 * and stores it. `unstored`: the answer of the origin may not be stored. `code` and `message` are set for `failed`.
 */
const warmResult = z.enum([
  ...["fetched", "present", "confirmed", "missing", "deleted", "unmirrored", "unstored", "failed"],
] as const);

export const warmObjects = post("/warm", "operate", {
  summary: "Fetch objects ahead of requests",
  fields: {
    bucket: bucket(),
    domain: text()
      .optional()
      .describe("The domain whose mirror fetches keys; default: the first mirrored domain of the bucket."),
    names: names().describe("Download URLs of the objects, or keys."),
    concurrency: whole(1, 64).default(WARM_PLACES).describe("Names fetched concurrently."),
    rate: number(0.01, 10_000).optional().describe("Limit of names a second."),
  },
  answer: {
    line: z.object({
      name: z.string(),
      result: warmResult,
      bytes: z.int().optional(),
      code: z.string().optional(),
      message: z.string().optional(),
    }),
    end: z.record(warmResult, z.int()),
  },
});

export type ObjectPage = AnswerOf<typeof listObjects>;
export type StatAnswer = AnswerOf<typeof showObject>;
export type ChangeLine = AnswerOf<typeof deleteObjects>;
export type ChangeCounts = EndOf<typeof deleteObjects>;
export type VariantPage = AnswerOf<typeof listVariants>;
export type WarmLine = AnswerOf<typeof warmObjects>;
export type WarmCounts = EndOf<typeof warmObjects>;
