// The preflight of an upload or a stat by a page: the original refused OPTIONS, and forms with `?sign=` need none. Pure.
import { type CorsRules, type PreflightRequest, preflightHeaders } from "../response/cors.ts";

const CALLS = { methods: "GET, POST, OPTIONS", headers: "Authorization" };

/** Names and values in turn. */
export function callPreflight(rules: CorsRules, request: PreflightRequest): readonly string[] {
  return preflightHeaders(rules, request, CALLS);
}
