import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type RefererVerdict, refererVerdict } from "../../../../../src/serve/http/request/authorizer.ts";
import type { RefererRules } from "../../../../../src/serve/http/request/site.ts";
import { anyText } from "../../../../helpers/texts.ts";

const DOMAINS = ["shop.example", "*.pictures.example", "[::1]", "xn--wcsw84d.example"];
const rulesOf = (mode: RefererRules["mode"], allowEmpty = false): RefererRules => ({
  mode,
  domains: DOMAINS,
  allowEmpty,
});

const LISTED = [
  "http://shop.example",
  "https://shop.example/a/b?c#d",
  "HTTPS://Shop.Example/",
  "https://shop.example:8443/",
  "https://shop.example./",
  "https://user:word@shop.example/",
  "  https://shop.example/  ",
  "https://a.pictures.example/",
  "https://b.a.pictures.example/",
  "http://[::1]:3000/",
  "https://图片.example/",
  "https://shop.example\\@evil.example/",
];

const UNLISTED = [
  "https://evil.example/",
  "https://evil.example/https://shop.example/",
  "https://evil.example/?shop.example",
  "https://evil.example/#.pictures.example",
  "https://shop.example@evil.example/",
  "https://evil.example\\@shop.example/",
  "https://shop.example.evil.example/",
  "https://evilshop.example/",
  "https://a.shop.example/",
  "https://pictures.example/",
  "https://evilpictures.example/",
];

const UNREADABLE = [
  "shop.example",
  "//shop.example/",
  "about:blank",
  "null",
  "https://",
  "https://[::1/",
  "ftp://shop.example/",
  "data:,x",
];

describe.each<[RefererRules["mode"], string, readonly string[], RefererVerdict]>([
  ["allow", "a listed host", LISTED, "listed"],
  ["allow", "an unlisted host", UNLISTED, "refused"],
  ["allow", "what names no host", UNREADABLE, "refused"],
  ["deny", "a listed host", LISTED, "refused"],
  ["deny", "an unlisted host", UNLISTED, "allowed"],
  ["deny", "what names no host", UNREADABLE, "allowed"],
])("refererVerdict() with mode %s: %s", (mode, _what, headers, verdict) => {
  test.each(headers)(`%j is ${verdict}`, (header) => {
    expect(refererVerdict(header, rulesOf(mode))).toBe(verdict);
  });
});

test.each<[RefererRules["mode"], allowEmpty: boolean, RefererVerdict]>([
  ["allow", false, "refused"],
  // Not `listed`: a client without a Referer still needs a token.
  ["allow", true, "allowed"],
  ["deny", false, "refused"],
  ["deny", true, "allowed"],
])("refererVerdict() of no Referer with mode %s and allowEmpty %s is %s", (mode, allowEmpty, verdict) => {
  for (const header of [undefined, "", "  "]) expect(refererVerdict(header, rulesOf(mode, allowEmpty))).toBe(verdict);
});

test("refererVerdict() with an empty list refuses all under allow and none under deny", () => {
  expect(refererVerdict("https://shop.example/", { mode: "allow", domains: [], allowEmpty: false })).toBe("refused");
  expect(refererVerdict("https://shop.example/", { mode: "deny", domains: [], allowEmpty: false })).toBe("allowed");
});

test("refererVerdict() accepts any text, and text after the host changes nothing", () => {
  const tail = fc.oneof(
    fc.webPath(),
    anyText().map((text) => `/${text}`),
  );
  fc.assert(
    fc.property(anyText(), tail, (text, path) => {
      expect(["allowed", "listed", "refused"]).toContain(refererVerdict(text, rulesOf("allow")));
      expect(refererVerdict(`https://evil.example${path}`, rulesOf("allow"))).toBe("refused");
      expect(refererVerdict(`https://shop.example${path}`, rulesOf("allow"))).toBe("listed");
    }),
    { numRuns: 1_000 },
  );
});
