// Schema of a rule: which requests it matches, how it handles a miss, and which request it sends to the origin. The
// first matching rule wins, and inherits the keys that it leaves out from its domain.
import * as z from "zod";
import { wanted } from "../faults.ts";
import { mirrorShape, ruleOverridesShape } from "./mirror-schema.ts";
import { baseUrl, count, flag, matching, oneOf, SECRET, secretHeaders } from "./values.ts";

const KEY_PART = wanted(
  "a part of a key: up to 1024 characters, no leading slash, no control characters",
  "对象名的一部分：最多 1024 个字符，不以斜杠开头，不含控制字符",
);

/** A part of a key: decoded, without the first slash of the URL. */
const keyPart = () => z.string().regex(/^(?!\/)[^\p{Cc}]{1,1024}$/u, { error: KEY_PART });

const matchSchema = z.strictObject({
  prefix: keyPart().optional().describe("Prefix of the key, such as 2015/."),
  suffix: matching(/^[^\p{Cc}]{1,256}$/u, "an ending of keys, such as .jpg", "对象名的后缀，例如 .jpg")
    .optional()
    .describe("Suffix of the key, such as .jpg."),
  pattern: matching(
    /^(?!\/)[^\p{Cc}]{1,256}$/u,
    "a pattern of up to 256 characters without a leading slash",
    "最多 256 个字符的通配模式，不以斜杠开头",
  )
    .optional()
    .describe("Pattern of the whole key: * stands for any characters, including slashes, and ? for one."),
  methods: z
    .array(z.enum(["GET", "HEAD"]))
    .min(1)
    .optional()
    .describe("GET, HEAD or both (the default)."),
  host: matching(/^[A-Za-z0-9*?._-]{1,253}$/, "a host name, with * and ? as wildcards", "域名，可用通配符 * 和 ?")
    .transform((text) => text.toLowerCase())
    .optional()
    .describe(
      "Host name of the request, with * and ? as wildcards; useful for the domain *, which answers many hosts.",
    ),
});

const pathSchema = z.strictObject({
  strip: keyPart().optional().describe("Prefix to remove; match.prefix must begin with it."),
  stripSuffix: z.string().min(1).max(256).optional().describe("Suffix to remove; match.suffix must end with it."),
  add: keyPart().optional().describe("Prefix to add, after stripping."),
  addSuffix: matching(/^[^\p{Cc}]{1,256}$/u, "an ending without control characters", "不含控制字符的后缀")
    .optional()
    .describe("Suffix to add, after stripping."),
  template: matching(
    /^(?!\/)[^\p{Cc}#]{1,1024}$/u,
    "a path without a leading slash, with {key} in it",
    "不以斜杠开头的路径，其中含 {key}",
  )
    .optional()
    .describe(
      "The whole path, in which {key} is the rest of the key after stripping. It may have a query, such as get?file={key}.",
    ),
  file: keyPart().optional().describe("One path for every key."),
});

const PASSED_NAMES = z.array(z.string()).max(100);

const passHeadersSchema = z.strictObject({
  allow: PASSED_NAMES.default([]).describe(
    'Client headers to pass on, or "*" for all that are allowed. Negotiation (Accept…), credentials, Range and conditions are never passed on.',
  ),
  deny: PASSED_NAMES.default([]).describe("Headers that are not passed on, even if allow names them."),
  set: secretHeaders().describe("Up to 10 headers to set; values may be env:NAME or file:PATH."),
});

const queryText = matching(
  /^[\x21-\x22\x24-\x25\x27-\x7e]{0,1024}$/,
  "printable ASCII as written in a URL, without blanks, & and #",
  "URL 中的可见 ASCII 字符，不含空白、& 和 #",
).meta(SECRET);

/** Parses an empty mapping into a rule that matches every request and overrides nothing. */
export const ruleSchema = z.strictObject({
  match: matchSchema.prefault({}).describe("Conditions that must all hold; empty matches every request."),
  action: oneOf("mirror", "async", "redirect", "none").describe(
    "mirror: fetch, answer, store; async: redirect the client to the origin and store in the background; redirect: redirect only; none: a miss is a 404.",
  ),
  path: pathSchema.prefault({}).describe("How the object's path at the origin is made from its key."),
  passHeaders: passHeadersSchema
    .prefault({})
    .describe("Request headers for the origin, in addition to the origin's own."),
  setQuery: z
    .record(z.string().regex(/^[\x21-\x22\x24-\x25\x27-\x3c\x3e-\x7e]{1,128}$/), queryText)
    .default({})
    .describe("Up to 10 query parameters to add for the origin; values may be env:NAME or file:PATH."),
  denyQuery: z
    .array(z.string().min(1).max(128))
    .max(100)
    .default([])
    .describe("Query parameters that are not part of the key and are not sent to the origin."),
  followRedirects: flag().default(true).describe("false: passes redirects of the origin on to the client."),
  redirectTo: baseUrl()
    .optional()
    .describe(
      "Base URL to which async and redirect send clients; required if the origin is private. Default: the origin's URL.",
    ),
  redirectStatus: z.literal([301, 302, 307, 308]).default(302).describe("Status of these redirects."),
  fallbackKey: keyPart().optional().describe("Key of the same bucket that is served if the origin has no such image."),
  fallbackStatus: z.literal([200, 404]).default(404).describe("Status of the fallback."),
  ...ruleOverridesShape,
});

export const mirrorSchema = z.strictObject({
  ...mirrorShape,
  maxKeys: count(0, 1_000_000_000)
    .default(1_000_000)
    .describe("Number of objects with a query in their key at which further ones are no longer stored; 0 is no limit."),
  rules: z.array(ruleSchema).max(100).default([]).describe("Ordered rules; the first matching rule wins."),
});
