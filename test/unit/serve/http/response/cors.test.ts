import { expect, test } from "vitest";
import type { CorsRules } from "../../../../../src/serve/http/request/site.ts";
import { corsHeaders, preflightHeaders } from "../../../../../src/serve/http/response/cors.ts";

const SHOP = "https://shop.example";
const RULES: CorsRules = [SHOP, "http://localhost:3000"];

/** The list as pairs by lower-case name; each name must occur once. */
function fields(list: readonly string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index]!.toLowerCase();
    expect(pairs[name]).toBeUndefined();
    pairs[name] = list[index + 1]!;
  }
  return pairs;
}

test.each<[string, CorsRules, string | undefined, allowed: string | undefined, vary: string | undefined]>([
  ["everyone is allowed", ["*"], SHOP, "*", undefined],
  ["everyone is allowed, no Origin", ["*"], undefined, "*", undefined],
  ["everyone beside a name", [SHOP, "*"], "https://other.example", "*", undefined],
  ["nobody is allowed", [], SHOP, undefined, undefined],
  ["a listed origin", RULES, SHOP, SHOP, "Origin"],
  ["a listed origin with its port", RULES, "http://localhost:3000", "http://localhost:3000", "Origin"],
  ["a listed origin in other letters", RULES, "HTTPS://Shop.Example", "HTTPS://Shop.Example", "Origin"],
  ["no Origin", RULES, undefined, undefined, "Origin"],
  ["an unlisted origin", RULES, "https://other.example", undefined, "Origin"],
  ["another scheme", RULES, "http://shop.example", undefined, "Origin"],
  ["another port", RULES, "http://localhost:3001", undefined, "Origin"],
  ["a longer name", RULES, "https://shop.example.evil.example", undefined, "Origin"],
  ["a name before it", RULES, "https://evil-shop.example", undefined, "Origin"],
  ["the opaque origin", RULES, "null", undefined, "Origin"],
  ["an empty origin", RULES, "", undefined, "Origin"],
])("corsHeaders(): %s", (_claim, rules, origin, allowed, vary) => {
  const headers = fields(corsHeaders(rules, origin));
  expect(headers["access-control-allow-origin"]).toBe(allowed);
  expect(headers.vary).toBe(vary);
  expect(headers["access-control-expose-headers"] !== undefined).toBe(allowed !== undefined);
  expect(headers["access-control-allow-credentials"]).toBeUndefined();
});

test("corsHeaders() exposes the response headers that scripts cannot read by default", () => {
  const exposed = fields(corsHeaders(["*"], SHOP))["access-control-expose-headers"]?.split(", ") ?? [];
  for (const name of [
    "ETag",
    "Content-Range",
    "Accept-Ranges",
    "Cache-Status",
    "Retry-After",
    "X-ErrNo",
    "X-Request-Id",
  ]) {
    expect(exposed).toContain(name);
  }
});

test("preflightHeaders() lets allowed origins send ranges and conditions", () => {
  for (const rules of [["*"], RULES]) {
    const headers = fields(preflightHeaders(rules, { origin: SHOP }));
    expect(headers).toMatchObject({
      allow: "GET, HEAD, OPTIONS",
      "access-control-allow-methods": "GET, HEAD, OPTIONS",
      "access-control-max-age": "86400",
    });
    const allowed = headers["access-control-allow-headers"]?.split(", ") ?? [];
    for (const name of ["Range", "If-Range", "If-Match", "If-None-Match"]) expect(allowed).toContain(name);
  }
});

test.each<[string, CorsRules, string | undefined, Record<string, string>]>([
  ["an unlisted origin", RULES, "https://other.example", { allow: "GET, HEAD, OPTIONS", vary: "Origin" }],
  ["no origin", RULES, undefined, { allow: "GET, HEAD, OPTIONS", vary: "Origin" }],
  ["anyone where nobody is allowed", [], SHOP, { allow: "GET, HEAD, OPTIONS" }],
])("preflightHeaders() allows nothing to %s", (_claim, rules, origin, expected) => {
  expect(fields(preflightHeaders(rules, { origin }))).toEqual(expected);
});

const ASKED = "access-control-request-headers";

test.each<[string, CorsRules, vary: string | undefined]>([
  ["everyone is allowed", ["*"], undefined],
  ["it is listed", RULES, "Origin"],
])("preflightHeaders() grants a page the headers that it requests if %s", (_claim, rules, vary) => {
  const longest = `x-${"a".repeat(1_022)}`;
  for (const asked of [
    "cache-control,x-requested-with",
    "X-Requested-With , \tCache-Control",
    "authorization",
    longest,
  ]) {
    for (const grant of [undefined, { methods: "GET, POST, OPTIONS", headers: "Authorization" }]) {
      const headers = fields(preflightHeaders(rules, { origin: SHOP, [ASKED]: asked }, grant));
      expect(headers["access-control-allow-headers"]).toBe(asked);
      expect(headers.vary).toBe(vary);
      expect(headers["access-control-allow-credentials"]).toBeUndefined();
    }
  }
});

test.each([
  ["no name", ""],
  ["an empty name", "x-a,,x-b"],
  ["a comma at the end", "x-a,"],
  ["no comma", "x-a x-b"],
  ["a character that is in no name", "x-a, x:b"],
  ["a raw byte", "x-\xe9"],
  ["a line end", "x-a\r\nSet-Cookie: a=b"],
  ["a name that is too long", "x".repeat(1_025)],
])("preflightHeaders() grants its default headers to a request for %s", (_claim, asked) => {
  const headers = fields(preflightHeaders(["*"], { origin: SHOP, [ASKED]: asked }));
  expect(headers["access-control-allow-headers"]).toMatch(/^Range, If-Range, /);
  expect(headers.vary).toBeUndefined();
});

test("preflightHeaders() grants no header to an unlisted page", () => {
  const headers = fields(preflightHeaders(RULES, { origin: "https://other.example", [ASKED]: "x-requested-with" }));
  expect(headers).toEqual({ allow: "GET, HEAD, OPTIONS", vary: "Origin" });
});
