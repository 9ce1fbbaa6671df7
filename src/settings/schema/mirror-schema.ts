// The keys of a mirror source (镜像源): what a domain does on a miss. Each is defined once; a rule may set any of them
// over the domain's (rule-schema.ts), where nothing has a default.
import * as z from "zod";
import { wanted } from "../faults.ts";
import { originSchema } from "./origin-schema.ts";
import { duration, size } from "./quantities.ts";
import { count, flag } from "./values.ts";

const timeout = () => duration({ min: "1ms", max: "1h" });

const TIMEOUTS = {
  connect: timeout().describe("Until the connection stands, name look-up and TLS included."),
  firstByte: timeout().describe("Until the response head."),
  idle: timeout().describe("Between two pieces of the body."),
  total: timeout().describe("The whole fetch; not shorter than firstByte."),
};

const FRESHNESS = {
  mode: z
    .enum(["never", "ttl", "origin"])
    .describe("When a stored object is asked for again: never, after ttl, or as the origin's headers say (RFC 9111)."),
  ttl: duration({ min: "1s" }).describe("Life of an object under mode ttl, and under origin where it says nothing."),
  staleIfError: duration().describe("How long an old object helps out while the origin fails."),
  onGone: z.enum(["keep", "remove"]).describe("What a 404 or 410 of the origin does to a stored object."),
};

const BREAKER = {
  failures: count(1, 10_000).describe(
    "Failures that open the breaker, on at least three keys and half of all fetches.",
  ),
  within: duration({ min: "100ms", max: "1h" }).describe("In this time."),
  open: duration({ min: "100ms", max: "1h" }).describe("How long the origin is left alone; then one fetch tries it."),
};

const failureKind = z.union([count(400, 599), z.enum(["4xx", "5xx", "timeout", "connect"])], {
  error: wanted("a status such as 503, 4xx, 5xx, timeout or connect"),
});

const FORMATS = ["jpeg", "png", "gif", "webp", "avif", "bmp", "heic", "tiff", "ico"] as const;

const queryName = z.string().regex(/^[\x21-\x25\x27-\x3c\x3e-\x7e]{1,128}$/, {
  error: wanted("the name of a parameter as it stands in the URL, without & and ="),
});

/** Settings that a domain has and a rule may replace; a list or a scalar as a whole. */
const REPLACED = {
  type: z
    .enum(["originals", "everything"])
    .describe(
      "Mirror type (镜像源类型). originals: the original is stored and known processing is done here; everything: each URL with its query is an object of its own.",
    ),
  keyQuery: z
    .union([z.enum(["drop", "keep"]), z.array(queryName).max(100)], { error: wanted("drop, keep or a list of names") })
    .describe(
      "What of a query that is not processing belongs to the key: nothing, all, or these parameters. Under everything it is all.",
    ),
  processedMiss: z
    .enum(["local", "origin"])
    .describe(
      "Who makes a processed image whose original is not stored: local (the original is fetched and processed here) or origin (its own answer is passed on, and a second fetch stores the original).",
    ),
  headMiss: z
    .enum(["origin", "store"])
    .describe("HEAD of a missing object: origin asks with HEAD and stores nothing; store fetches the object."),
  transparentErrors: flag().describe("true: the origin's own error status instead of 424."),
  negativeTtl: duration({ max: "1d" }).describe("How long a 404 of the origin is remembered; 0s is off, at most 1d."),
  passQuery: flag().describe("true: what of the query is not in the key is sent too, and that answer is not stored."),
  suspects: z
    .enum(["pass", "keep"])
    .describe("A damaged image of the origin: pass it on unstored, or keep it after two equal fetches an hour apart."),
  origins: z.array(originSchema).min(1).describe("Asked in this order; standby ones last."),
  failoverOn: z
    .array(failureKind)
    .max(50)
    .describe("What makes the mirror ask the next origin: statuses, 4xx, 5xx, timeout, connect."),
  allowedTypes: z
    .array(z.enum(FORMATS))
    .min(1)
    .optional()
    .describe("Image formats that are accepted; default: all that are known."),
  objectSize: size({ min: "1KiB", max: "1GiB" })
    .optional()
    .describe("Largest object of this mirror source, where that is less than limits.objectSize."),
};

export const mirrorShape = {
  type: REPLACED.type.default("originals"),
  keyQuery: REPLACED.keyQuery.default("drop"),
  processedMiss: REPLACED.processedMiss.default("local"),
  headMiss: REPLACED.headMiss.default("origin"),
  transparentErrors: REPLACED.transparentErrors.default(false),
  negativeTtl: REPLACED.negativeTtl.prefault("30s"),
  passQuery: REPLACED.passQuery.default(false),
  suspects: REPLACED.suspects.default("pass"),
  origins: REPLACED.origins,
  failoverOn: REPLACED.failoverOn.default(["5xx", "timeout", "connect"]),
  allowedTypes: REPLACED.allowedTypes,
  objectSize: REPLACED.objectSize,
  freshness: z
    .strictObject({
      mode: FRESHNESS.mode.default("never"),
      ttl: FRESHNESS.ttl.prefault("1d"),
      staleIfError: FRESHNESS.staleIfError.prefault("7d"),
      onGone: FRESHNESS.onGone.default("keep"),
    })
    .prefault({})
    .describe("Whether stored objects are asked for again."),
  timeouts: z
    .strictObject({
      connect: TIMEOUTS.connect.prefault("3s"),
      firstByte: TIMEOUTS.firstByte.prefault("10s"),
      idle: TIMEOUTS.idle.prefault("10s"),
      total: TIMEOUTS.total.prefault("60s"),
    })
    .prefault({})
    .describe("Deadlines of one fetch from an origin."),
  breaker: z
    .strictObject({
      failures: BREAKER.failures.default(5),
      within: BREAKER.within.prefault("10s"),
      open: BREAKER.open.prefault("10s"),
    })
    .prefault({})
    .describe("Leaves an origin alone that keeps failing."),
};

/** The same keys without defaults: what a rule leaves out is the domain's. Of a mapping each key counts for itself. */
export const ruleOverridesShape = {
  ...z.strictObject(REPLACED).partial().shape,
  freshness: z.strictObject(FRESHNESS).partial().optional().describe("Whether stored objects are asked for again."),
  timeouts: z.strictObject(TIMEOUTS).partial().optional().describe("Deadlines of one fetch from an origin."),
  breaker: z.strictObject(BREAKER).partial().optional().describe("Leaves an origin alone that keeps failing."),
};
