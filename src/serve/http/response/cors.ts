// Decides which scripts of other sites may read downloads (CORS). Pure.

import type { CorsRules } from "../request/site.ts";

const EXPOSED = "ETag, Content-Length, Content-Range, Accept-Ranges, Cache-Status, Retry-After, X-ErrNo, X-Request-Id";
const NONE: readonly string[] = [];
const ANY = ["Access-Control-Allow-Origin", "*", "Access-Control-Expose-Headers", EXPOSED];

/** The CORS headers of a response to a request with this Origin: names and values in turn. */
export function corsHeaders(rules: CorsRules, origin: string | undefined): readonly string[] {
  if (rules.includes("*")) return ANY;
  if (rules.length === 0) return NONE;
  const isAllowed = origin !== undefined && rules.some((rule) => rule.toLowerCase() === origin.toLowerCase());
  // The response depends on Origin for refused pages too.
  if (!isAllowed) return ["Vary", "Origin"];
  return ["Access-Control-Allow-Origin", origin, "Access-Control-Expose-Headers", EXPOSED, "Vary", "Origin"];
}

/** The headers of a preflight request. */
export interface PreflightRequest {
  readonly origin?: string | undefined;
  readonly "access-control-request-headers"?: string | undefined;
}

/** The permissions of allowed pages: methods, and the header names for a preflight that names none. */
export interface PreflightGrant {
  readonly methods: string;
  readonly headers: string;
}

const DOWNLOADS: PreflightGrant = {
  methods: "GET, HEAD, OPTIONS",
  headers: "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since",
};

const MAX_ASKED_CHARACTERS = 1_024;
const FIELD_NAMES = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[\t ]*,[\t ]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*$/;

/**
 * The headers of the response to OPTIONS, preflight or not. An allowed origin is granted all headers that it requests:
 * no header gives it more rights than its signature. Credentials are never allowed. OPTIONS is not cacheable (RFC 9110
 * §9.3.7), so `Vary` does not name Access-Control-Request-Headers.
 */
export function preflightHeaders(
  rules: CorsRules,
  { origin, "access-control-request-headers": asked = "" }: PreflightRequest,
  { methods, headers }: PreflightGrant = DOWNLOADS,
): readonly string[] {
  const allowed = corsHeaders(rules, origin);
  if (!allowed.includes("Access-Control-Allow-Origin")) return ["Allow", methods, ...allowed];
  const isList = asked.length <= MAX_ASKED_CHARACTERS && FIELD_NAMES.test(asked);
  return [
    "Allow",
    methods,
    ...allowed,
    "Access-Control-Allow-Methods",
    methods,
    "Access-Control-Allow-Headers",
    isList ? asked : headers,
    "Access-Control-Max-Age",
    "86400",
  ];
}
