// Schema of a mirror source (镜像源), which decides how a domain handles a miss. A rule may override each key
// (rule-schema.ts); keys of rules have no defaults.
import * as z from "zod";
import { wanted } from "../faults.ts";
import { originSchema } from "./origin-schema.ts";
import { duration, size } from "./quantities.ts";
import { count, flag, matching, oneOf } from "./values.ts";

const failureKind = z.union([count(400, 599), z.enum(["4xx", "5xx", "timeout", "connect"])], {
  error: wanted(
    "a status such as 503, 4xx, 5xx, timeout or connect",
    "状态码（例如 503）、4xx、5xx、timeout 或 connect",
  ),
});

const FORMATS = ["jpeg", "png", "gif", "webp", "avif", "bmp", "heic", "tiff", "ico", "svg"] as const;

const queryName = matching(
  /^[\x21-\x25\x27-\x3c\x3e-\x7e]{1,128}$/,
  "the name of a parameter as written in the URL, without & and =",
  "URL 中查询参数的名称，不含 & 和 =",
);

const timeout = () => duration({ min: "1ms", max: "1h" });

/** The keys that a rule may override. */
export const mirrorShape = {
  type: oneOf("originals", "everything").describe(
    "Mirror type (镜像源类型). originals: stores the original and processes images here; everything: stores each URL with its query as its own object.",
  ),
  keyQuery: z
    .union([z.enum(["drop", "keep"]), z.array(queryName).max(100)], {
      error: wanted("drop, keep or a list of names", "drop、keep 或名称的列表"),
    })
    .describe(
      "Which parameters of a query, other than processing, belong to the key: drop (none), keep (all), or these. Under everything: all.",
    )
    .default("drop"),
  processedMiss: oneOf("local", "origin").describe(
    "Processing of an original that is not stored: local fetches and processes it; origin passes on the origin's answer, and fetches the original too.",
  ),
  headMiss: oneOf("origin", "store").describe(
    "HEAD of a missing object: origin sends HEAD and stores nothing; store fetches the object.",
  ),
  transparentErrors: flag().describe("true: passes on the origin's error status instead of 424.").default(false),
  negativeTtl: duration({ max: "1d" })
    .describe("How long a 404 of the origin is cached; 0s is off, at most 1d.")
    .prefault("30s"),
  passQuery: flag()
    .describe("true: sends query parameters outside the key too, and does not store such answers.")
    .default(false),
  suspects: oneOf("pass", "keep").describe(
    "A damaged image of the origin: pass (served, not stored) or keep (stored after two equal fetches an hour apart).",
  ),
  origins: z.array(originSchema).min(1).describe("Origins in the order of use; standby ones last."),
  failoverOn: z
    .array(failureKind)
    .max(50)
    .describe("Failures after which the next origin is used: statuses, 4xx, 5xx, timeout, connect.")
    .default(["5xx", "timeout", "connect"]),
  allowedTypes: z
    .array(z.enum(FORMATS))
    .min(1)
    .optional()
    .describe("Accepted image formats; default: all known formats."),
  objectSize: size({ min: "1KiB", max: "1GiB" })
    .optional()
    .describe("Largest object of this mirror source, if less than limits.objectSize."),
  freshness: z
    .strictObject({
      mode: oneOf("never", "ttl", "origin").describe(
        "When a stored object is revalidated: never, after ttl, or by the origin's headers (RFC 9111).",
      ),
      ttl: duration({ min: "1s" })
        .describe("Freshness lifetime under mode ttl, and under mode origin if the origin sends none.")
        .prefault("1d"),
      staleIfError: duration().describe("How long a stale object is served while the origin fails.").prefault("7d"),
      onGone: oneOf("keep", "remove").describe("On a 404 or 410 of the origin: keep or remove the stored object."),
    })
    .prefault({})
    .describe("Revalidation of stored objects."),
  timeouts: z
    .strictObject({
      connect: timeout().describe("Until the connection is made, including name lookup and TLS.").prefault("3s"),
      firstByte: timeout().describe("Until the response head.").prefault("10s"),
      idle: timeout().describe("Between two chunks of the body.").prefault("10s"),
      total: timeout().describe("The whole fetch; not shorter than firstByte.").prefault("60s"),
    })
    .prefault({})
    .describe("Deadlines of one fetch from an origin."),
  breaker: z
    .strictObject({
      failures: count(1, 10_000)
        .describe("Failures that open the breaker, if they are of at least three keys and half of all fetches.")
        .default(5),
      within: duration({ min: "100ms", max: "1h" }).describe("Time window of these failures.").prefault("10s"),
      open: duration({ min: "100ms", max: "1h" })
        .describe("How long the origin gets no fetches; then one fetch probes it.")
        .prefault("10s"),
    })
    .prefault({})
    .describe("Circuit breaker: stops fetches from an origin that keeps failing."),
};

/** The same keys without defaults. A rule inherits the keys that it leaves out, also inside mappings. */
export const ruleOverridesShape = withoutDefaults(mirrorShape);

type Bare<Schema> = Schema extends z.ZodDefault<infer Inner> | z.ZodPrefault<infer Inner> | z.ZodOptional<infer Inner>
  ? Bare<Inner>
  : Schema extends z.ZodObject<infer Shape>
    ? z.ZodObject<Overrides<Shape>, z.core.$strict>
    : Extract<Schema, z.ZodType>;
type Overrides<Shape> = { [Key in keyof Shape]: z.ZodOptional<Bare<Shape[Key]>> };

function withoutDefaults<Shape extends object>(shape: Shape): Overrides<Shape> {
  const optional = ([key, schema]: [string, z.ZodType]) => {
    const [bare, words] = [bareSchema(schema), schema.description];
    // Defaults of mappings have the description outside, which goes to the outside again.
    return [key, bare.description === undefined && words ? bare.optional().describe(words) : bare.optional()];
  };
  return Object.fromEntries(Object.entries(shape).map(optional)); // Overrides says in types what bareSchema() does.
}

function bareSchema(schema: unknown): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return bareSchema(schema.unwrap());
  return schema instanceof z.ZodObject ? z.strictObject(withoutDefaults(schema.shape)) : (schema as z.ZodType);
}
