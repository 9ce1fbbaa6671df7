// What browsers are told before an upload with a header of its own. The original refused OPTIONS; forms with `?sign=` need
// none. Pure.
import { type CorsRules, corsHeaders } from "../cors.ts";

const METHODS = "GET, POST, OPTIONS";

/** Names and values in turn. Never with credentials: a signature is one already. */
export function preflightHeaders(rules: CorsRules, origin: string | undefined): readonly string[] {
  const allowed = corsHeaders(rules, origin);
  if (!allowed.includes("Access-Control-Allow-Origin")) return ["Allow", METHODS, ...allowed];
  const granted = ["Access-Control-Allow-Methods", METHODS, "Access-Control-Allow-Headers", "Authorization"];
  return ["Allow", METHODS, ...allowed, ...granted, "Access-Control-Max-Age", "86400"];
}
