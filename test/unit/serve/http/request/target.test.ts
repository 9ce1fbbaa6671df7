import { describe, expect, test } from "vitest";
import { type ErrorCode, HuiyuanError } from "../../../../../src/core/errors.ts";
import { toKey } from "../../../../../src/core/object.ts";
import { encodeKeyForPath, hostOf, parseTarget, targetOf } from "../../../../../src/serve/http/request/target.ts";

const HOSTS = ["img.example"];

/** The bytes of a text as node gives them in `request.url`: one character each. */
const raw = (text: string) => Buffer.from(text).toString("latin1");

function codeOf(action: () => unknown): ErrorCode | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof HuiyuanError) return error.code;
    throw error;
  }
}

describe("parseTarget() decodes the key once and exactly", () => {
  test.each([
    ["/a.jpg", "a.jpg"],
    ["/a/b/c.jpg", "a/b/c.jpg"],
    ["/a%2Fb", "a/b"],
    ["/a%2fb", "a/b"],
    ["/a%252Fb", "a%2Fb"],
    ["/100%25.jpg", "100%.jpg"],
    ["/a%20b", "a b"],
    ["/a+b", "a+b"],
    ["/a%2Bb", "a+b"],
    ["/a%61", "aa"],
    ["/a%3Fb", "a?b"],
    ["/a%23b", "a#b"],
    ["/~'()*!@,;:=&$", "~'()*!@,;:=&$"],
    ["/%7E%27%28%29%2A%21%40%2C%3B%3A%3D%26%24", "~'()*!@,;:=&$"],
    ['/a"b\\c|d', 'a"b\\c|d'],
    ["//a", "/a"],
    ["/a//b", "a//b"],
    ["///", "//"],
    ["/a/", "a/"],
    ["//other.example/a.jpg", "/other.example/a.jpg"],
    ["/.a/..b/c...", ".a/..b/c..."],
    ["/CON", "CON"],
    ["/a.", "a."],
    ["/%E5%9B%BE%E7%89%87.jpg", "图片.jpg"],
    [raw("/图片.jpg"), "图片.jpg"],
    ["/%F0%9F%98%80", "😀"],
    ["/%EF%BB%BFa", "\ufeffa"],
    ["/%0A%7F", "\n\u007f"],
    [`/${"s".repeat(300)}`, "s".repeat(300)],
  ])("%j is %j", (target, key) => {
    expect(parseTarget(target, HOSTS).key).toBe(key);
  });

  test("composed and decomposed letters stay different keys", () => {
    const composed = parseTarget("/caf%C3%A9", HOSTS).key;
    const decomposed = parseTarget("/cafe%CC%81", HOSTS).key;
    expect([composed, decomposed]).toEqual(["caf\u00e9", "cafe\u0301"]);
    expect(composed).not.toBe(decomposed);
  });

  test("a key has at most 1,024 bytes, counted after decoding", () => {
    expect(parseTarget(`/${"%61".repeat(1_024)}`, HOSTS).key).toBe("a".repeat(1_024));
    expect(parseTarget(`/${"%E5%9B%BE".repeat(341)}a`, HOSTS).key).toHaveLength(342);
    expect(codeOf(() => parseTarget(`/${"a".repeat(1_025)}`, HOSTS))).toBe("url_invalid");
    expect(codeOf(() => parseTarget(`/${"%E5%9B%BE".repeat(341)}ab`, HOSTS))).toBe("url_invalid");
  });
});

describe("parseTarget() refuses a target without a valid key", () => {
  test.each<[string, string]>([
    ["no key", "/"],
    ["no key before the query", "/?imageInfo"],
    ["an empty target", ""],
    ["NUL", "/a%00b"],
    ["a dot segment", "/a/./b"],
    ["a double dot segment", "/a/../b"],
    ["a double dot segment at the end", "/a/.."],
    ["an escaped dot segment", "/%2e/a"],
    ["an escaped double dot segment", "/a/%2e%2e/b"],
    ["half an escaped double dot segment", "/a/.%2E/b"],
    ["a double dot segment behind an escaped slash", "/a%2F..%2Fb"],
    ["an escape without digits", "/a%"],
    ["an escape cut short", "/a%4"],
    ["an escape of no hex digits", "/a%zz"],
    ["an escape with a sign", "/a%+1"],
    ["a byte that begins nothing", "/%FF"],
    ["half a letter", "/%E5%9B"],
    ["an overlong slash", "/a%C0%AFb"],
    ["an overlong NUL", "/a%C0%80"],
    ["a surrogate", "/%ED%A0%80"],
    ["a raw byte that is not UTF-8", "/a\u00ffb"],
    ["a raw blank", "/a b"],
    ["a raw control character", "/a\u0001b"],
    ["a raw DEL", "/a\u007fb"],
    ["a fragment", "/a#b"],
    ["a fragment behind the query", "/a?b#c"],
    ["a raw blank in the query", "/a?b c"],
    ["a raw line end in the query", "/a?b\r\nc"],
    ["a raw DEL in the query", "/a?b\u007f"],
    ["a raw character that is no byte", "/a\u0100"],
    ["a fragment behind the query", "/a?b#c"],
    ["a raw control character in the query", "/a?b\u000bc"],
    ["a raw blank in the query", "/a?b c"],
    ["a character that is no byte", "/图"],
    ["a relative path", "a.jpg"],
    ["the asterisk", "*"],
    ["another scheme", "ftp://img.example/a.jpg"],
    ["an authority", "img.example:443"],
    ["a URL without a host", "http:///a.jpg"],
    ["a URL without a path", "http://img.example"],
  ])("%s", (_name, target) => {
    expect(codeOf(() => parseTarget(target, HOSTS))).toBe("url_invalid");
  });

  test("a target has at most 8,192 characters", () => {
    expect(parseTarget(`/a?${"x".repeat(8_189)}`, HOSTS).rawQuery).toHaveLength(8_189);
    expect(codeOf(() => parseTarget(`/a?${"x".repeat(8_190)}`, HOSTS))).toBe("url_too_long");
  });
});

test.each([
  ["/a", ""],
  ["/a?", ""],
  ["/a?imageView2/2/w/100", "imageView2/2/w/100"],
  ["/a?b?c", "b?c"],
  ["/a?x=%2F+%zz&&sign=", "x=%2F+%zz&&sign="],
  ['/a?"<>|\\^`{}\u00e9', '"<>|\\^`{}\u00e9'],
  ["http://img.example/a?b=1", "b=1"],
])("parseTarget(%j) keeps the raw query: %j", (target, rawQuery) => {
  expect(parseTarget(target, HOSTS).rawQuery).toBe(rawQuery);
});

test.each([
  ["/", ""],
  ["/?a=b", "a=b"],
  ["http://img.example", ""],
  ["http://img.example/?a", "a"],
])("targetOf() finds no key in %s", (target, rawQuery) => {
  const request = { url: target, rawHeaders: HOSTS.flatMap((host) => ["Host", host]), httpVersion: "1.1" };
  expect(targetOf(request)).toEqual({ host: "img.example", key: undefined, rawQuery });
});

describe("parseTarget() reads the host", () => {
  test.each<[string, string, string[], string]>([
    ["from the header", "/a", ["IMG.Example:8080"], "img.example"],
    ["from an absolute target that agrees", "http://img.example/a", ["img.example"], "img.example"],
    ["whatever the port and the case say", "HTTPS://Img.Example:443/a", ["img.example.:80"], "img.example"],
    ["from an absolute target alone", "http://img.example/a", [], "img.example"],
    ["as empty where there is none", "/a", [], ""],
    ["as empty where it is empty", "/a", [""], ""],
  ])("%s", (_name, target, hosts, host) => {
    expect(parseTarget(target, hosts)).toMatchObject({ host, key: "a" });
  });

  test.each<[string, string, string[], ErrorCode]>([
    ["two Host headers", "/a", ["img.example", "other.example"], "host_invalid"],
    ["the same Host twice", "/a", ["img.example", "img.example"], "host_invalid"],
    ["two Host headers beside an absolute target", "http://img.example/a", ["img.example", "x"], "host_invalid"],
    ["an absolute target that disagrees", "http://other.example/a", ["img.example"], "request_invalid"],
    ["an absolute target against an empty Host", "http://other.example/a", [""], "request_invalid"],
    ["a user in the target", "http://user@img.example/a", ["img.example"], "host_invalid"],
    ["a backslash in the target", "http://other.example\\@img.example/a", ["img.example"], "host_invalid"],
  ])("and refuses %s", (_name, target, hosts, code) => {
    expect(codeOf(() => parseTarget(target, hosts))).toBe(code);
  });
});

test.each([
  ["", ""],
  ["Example.COM", "example.com"],
  ["example.com.", "example.com"],
  ["example.com:8080", "example.com"],
  ["example.com:", "example.com"],
  ["example.com.:80", "example.com"],
  ["photos_1-10001234.localhost", "photos_1-10001234.localhost"],
  ["127.0.0.1:80", "127.0.0.1"],
  ["2130706433", "2130706433"],
  ["xn--wcsw84d.example", "xn--wcsw84d.example"],
  ["[::1]", "[::1]"],
  ["[::1]:8080", "[::1]"],
  ["[2001:DB8::1]:443", "[2001:db8::1]"],
  ["[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]"],
  [`${"a.".repeat(126)}a`, `${"a.".repeat(126)}a`],
])("hostOf(%j) is %j", (authority, host) => {
  expect(hostOf(authority)).toBe(host);
});

test.each([
  " ",
  ".",
  "..",
  ":80",
  "a..b",
  ".a",
  "a..",
  "a b",
  "a,b",
  "a/b",
  "a\\b",
  "user@host",
  "host:port",
  "host:123456",
  "host:80:80",
  "::1",
  "[::1",
  "::1]",
  "[]",
  "[::1].",
  "[1.2.3.4]",
  "[::1:::2]",
  "[fe80::1%25eth0]",
  "a\r\nX: b",
  "a\u0000",
  "图片.example",
  `${"a.".repeat(127)}a`,
  "a".repeat(100_000),
])("hostOf(%j) is refused", (authority) => {
  expect(codeOf(() => hostOf(authority))).toBe("host_invalid");
});

test.each([
  ["a.jpg", "a.jpg"],
  ["a/b c", "a/b%20c"],
  ["/a//b/", "/a//b/"],
  ["a+b&c=d?e#f%2F", "a%2Bb%26c%3Dd%3Fe%23f%252F"],
  ["it's(1)*!", "it%27s%281%29%2A%21"],
  ["-._~", "-._~"],
  ["图片", "%E5%9B%BE%E7%89%87"],
])("encodeKeyForPath(%j) is %j", (key, path) => {
  expect(encodeKeyForPath(toKey(key))).toBe(path);
});
