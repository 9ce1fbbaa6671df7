// Which other sites' scripts may read downloads. Pure.

/** Allowed origins, such as `https://example.com`; `*` allows all. */
export type CorsRules = readonly string[];

const EXPOSED = "ETag, Content-Length, Content-Range, Accept-Ranges, Cache-Status, X-ErrNo, X-Request-Id";
const NONE: readonly string[] = [];
const ANY = ["Access-Control-Allow-Origin", "*", "Access-Control-Expose-Headers", EXPOSED];

/** Header names and values in turn, for an answer to a request with this Origin. */
export function corsHeaders(rules: CorsRules, origin: string | undefined): readonly string[] {
  if (rules.includes("*")) return ANY;
  if (rules.length === 0) return NONE;
  const isAllowed = origin !== undefined && rules.some((rule) => rule.toLowerCase() === origin.toLowerCase());
  // The answer differs by Origin, also for those who are not allowed.
  if (!isAllowed) return ["Vary", "Origin"];
  return ["Access-Control-Allow-Origin", origin, "Access-Control-Expose-Headers", EXPOSED, "Vary", "Origin"];
}

/** The answer to an OPTIONS request, a preflight or not. */
export function preflightHeaders(rules: CorsRules, origin: string | undefined): readonly string[] {
  const allowed = corsHeaders(rules, origin);
  const methods = ["Allow", "GET, HEAD, OPTIONS"];
  if (!allowed.includes("Access-Control-Allow-Origin")) return [...methods, ...allowed];
  return [
    ...methods,
    ...allowed,
    "Access-Control-Allow-Methods",
    "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers",
    "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since",
    "Access-Control-Max-Age",
    "86400",
  ];
}
