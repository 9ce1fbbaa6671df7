import fc from "fast-check";
import { expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import { encodeKey, type Hop, homeHop, parseHome } from "../../../../../src/serve/origin/exchange/hop.ts";
import { anyText } from "../../../../helpers/texts.ts";

/** The first hop of a fetch of `key` from the site at `url`. */
function hopOf(url: string, key: string): Hop {
  const home = parseHome(url);
  return homeHop(home, `${home.basePath}/${encodeKey(toKey(key))}`);
}

const TARGETS = [
  ["http://h", "a.jpg", "/a.jpg"],
  ["http://h/", "a/b.jpg", "/a/b.jpg"],
  ["http://h/base/", "a.jpg", "/base/a.jpg"],
  ["http://h/base", "/a.jpg", "/base//a.jpg"],
  ["http://h", "//evil.example/a", "///evil.example/a"],
  ["http://h", "a//b/", "/a//b/"],
  ["http://h", "http://evil/", "/http://evil/"],
  ["http://h", "a b%20+?#.jpg", "/a%20b%2520%2B%3F%23.jpg"],
  ["http://h", "!$&'()*,;=:@~-._", "/!$&'()*,;=:@~-._"],
  ["http://h", 'x"<>\\^`{|}', "/x%22%3C%3E%5C%5E%60%7B%7C%7D"],
  ["http://h", "图 片.jpg", "/%E5%9B%BE%20%E7%89%87.jpg"],
  ["http://h", "%2F%2e", "/%252F%252e"],
  ["http://h", "a\r\nX: y", "/a%0D%0AX:%20y"],
  ["http://h", "😀", "/%F0%9F%98%80"],
] as const;

for (const [url, key, target] of TARGETS) {
  test(`encodeKey() below ${url} writes ${JSON.stringify(key)} as ${target}`, () => {
    expect(hopOf(url, key).target).toBe(target);
  });
}

test("decodeURIComponent() reverses encodeKey(), whose result contains no character that ends a path", () => {
  fc.assert(
    fc.property(anyText({ minLength: 1, maxLength: 60 }), (text) => {
      fc.pre(isKey(text));
      const encoded = encodeKey(toKey(text));
      expect(decodeURIComponent(encoded)).toBe(text);
      expect(encoded).toMatch(/^[!$&'()*,\-./0-9:;=@A-Z_a-z~%]*$/);
    }),
  );
});

function isKey(text: string): boolean {
  try {
    toKey(text);
    return true;
  } catch {
    return false; // toKey() refuses it, so encodeKey() never gets it
  }
}

const BAD_HOMES = [
  "",
  "src.example.com",
  "ftp://h/",
  "file:///etc/passwd",
  "gopher://h/",
  "data:,x",
  "http://user@h/",
  "http://user:secret@h/",
  "http://h/?a=1",
  "http://h/#x",
  "http://h:22/",
  "http://h:25/",
  "http://h:6379/",
  "http://[fe80::1%25eth0]/",
];

for (const url of BAD_HOMES) {
  test(`parseHome() refuses ${JSON.stringify(url)}`, () => {
    expect(() => parseHome(url)).toThrow(expect.objectContaining({ code: "settings_invalid" }));
  });
}

test("a hop's URL omits the query and the scheme's default port", () => {
  expect(homeHop(parseHome("https://h"), "/a?token=1").url).toBe("https://h/a");
  expect(homeHop(parseHome("https://h:8443"), "/a?token=1").url).toBe("https://h:8443/a");
});

test("the server to dial has no brackets around an IPv6 literal", () => {
  const { endpoint, origin } = hopOf("http://[::1]:8080/x", "a");
  expect(endpoint).toEqual({ isSecure: false, hostname: "::1", port: 8080, servername: undefined });
  expect(origin).toBe("http://[::1]:8080");
});
