// The keys of a rule: which requests it is for, what becomes of a miss, and how the origin is asked. The first rule that
// matches wins; what it leaves out is the domain's own.
import * as z from "zod";
import { wanted } from "../faults.ts";
import { mirrorShape, ruleOverridesShape } from "./mirror-schema.ts";
import { baseUrl, count, flag, headerValue } from "./values.ts";

const KEY_PART_WORDS = "a part of a key: up to 1024 characters, no leading slash, no control characters";

/** A piece of a key as people write it: decoded, without the URL's first slash. */
const keyPart = () => z.string().regex(/^(?!\/)[^\p{Cc}]{1,1024}$/u, { error: wanted(KEY_PART_WORDS) });

const matchSchema = z.strictObject({
  prefix: keyPart().optional().describe("What the key begins with, such as 2015/."),
  suffix: z
    .string()
    .regex(/^[^\p{Cc}]{1,256}$/u, { error: wanted("an ending of keys, such as .jpg") })
    .optional()
    .describe("What the key ends with, such as .jpg."),
  pattern: z
    .string()
    .regex(/^(?!\/)[^\p{Cc}]{1,256}$/u, { error: wanted("a pattern of up to 256 characters without a leading slash") })
    .optional()
    .describe("What the whole key looks like: * stands for any characters, slashes too, and ? for one."),
  methods: z
    .array(z.enum(["GET", "HEAD"]))
    .min(1)
    .optional()
    .describe("GET, HEAD or both (the default)."),
  host: z
    .string()
    .regex(/^[A-Za-z0-9*?._-]{1,253}$/, { error: wanted("a host name, in which * and ? may stand") })
    .transform((text) => text.toLowerCase())
    .optional()
    .describe("Host name of the request, in which * and ? may stand: for the domain *, which answers many."),
});

const pathSchema = z.strictObject({
  strip: keyPart().optional().describe("Taken off the beginning; match.prefix must begin with it."),
  stripSuffix: z.string().min(1).max(256).optional().describe("Taken off the end; match.suffix must end with it."),
  add: keyPart().optional().describe("Put before, after stripping."),
  addSuffix: z
    .string()
    .regex(/^[^\p{Cc}]{1,256}$/u, { error: wanted("an ending without control characters") })
    .optional()
    .describe("Put behind, after stripping."),
  template: z
    .string()
    .regex(/^(?!\/)[^\p{Cc}#]{1,1024}$/u, { error: wanted("a path without a leading slash, with {key} in it") })
    .optional()
    .describe(
      "The whole path, in which {key} is what is left after stripping; after a ? it is a query, such as get?file={key}.",
    ),
  file: keyPart().optional().describe("One path for every key."),
});

const PASSED_NAMES = z.array(z.string()).max(100);

const passHeadersSchema = z.strictObject({
  allow: PASSED_NAMES.default([]).describe(
    'Headers of the client that are passed on, or "*" for all that may be. What is negotiated (Accept…), credentials, Range and conditions never are.',
  ),
  deny: PASSED_NAMES.default([]).describe("Headers that are not passed on though allow names them."),
  set: z
    .record(z.string(), headerValue())
    .default({})
    .describe("Up to 10 headers that are set; values may be env:NAME or file:PATH."),
});

const queryText = z.string().regex(/^[\x21-\x22\x24-\x25\x27-\x7e]{0,1024}$/, {
  error: wanted("printable ASCII as it stands in a URL, without blanks, & and #"),
});

const ruleSchema = z.strictObject({
  match: matchSchema.prefault({}).describe("All that is named here must fit; empty matches every request."),
  action: z
    .enum(["mirror", "async", "redirect", "none"])
    .default("mirror")
    .describe(
      "mirror: fetch, answer, store; async: redirect the client to the origin and store behind; redirect: redirect only; none: a miss is a 404.",
    ),
  path: pathSchema.prefault({}).describe("The object's name at the origin, made from its key."),
  passHeaders: passHeadersSchema.prefault({}).describe("Request headers for the origin beside its own."),
  setQuery: z
    .record(z.string().regex(/^[\x21-\x22\x24-\x25\x27-\x3c\x3e-\x7e]{1,128}$/), queryText)
    .default({})
    .describe("Up to 10 parameters that are added for the origin; values may be env:NAME or file:PATH."),
  denyQuery: z
    .array(z.string().min(1).max(128))
    .max(100)
    .default([])
    .describe("Parameters that neither belong to the key nor are sent."),
  followRedirects: flag().default(true).describe("false: a redirect of the origin is passed on to the client."),
  redirectTo: baseUrl()
    .optional()
    .describe(
      "Base URL that async and redirect send clients to; needed where the origin is private. Default: the origin's.",
    ),
  redirectStatus: z
    .literal([301, 302, 307, 308], { error: wanted("301, 302, 307 or 308") })
    .default(302)
    .describe("Status of such a redirect."),
  fallbackKey: keyPart().optional().describe("Key of the same bucket that is sent where the origin has no such image."),
  fallbackStatus: z
    .literal([200, 404], { error: wanted("200 or 404") })
    .default(404)
    .describe("Status that the fallback is sent with."),
  ...ruleOverridesShape,
});

export const mirrorSchema = z.strictObject({
  ...mirrorShape,
  maxKeys: count(0, 1_000_000_000)
    .default(1_000_000)
    .describe("Objects of the bucket from which on URLs with a query are no longer stored; 0 is no limit."),
  rules: z.array(ruleSchema).max(100).default([]).describe("Ordered rules; the first that matches wins."),
});
