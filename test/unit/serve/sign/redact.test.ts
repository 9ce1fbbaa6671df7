import fc from "fast-check";
import { expect, test } from "vitest";
import { redactTarget, redactWords } from "../../../../src/serve/sign/redact.ts";
import { b64 } from "../../../helpers/rendering.ts";

test.each([
  ["/a.jpg?x=1", "/a.jpg?x=1"],
  ["/a.jpg?%73ign=abc", "/a.jpg?%73ign=…"],
  ["/a.jpg?%53%49%47%4E%3dabc&x", "/a.jpg?%53%49%47%4E%3d…&x"],
  ["/a.jpg?SIGN=abc&x=1", "/a.jpg?SIGN=…&x=1"],
  ["/a.jpg;sign=abc", "/a.jpg;sign=…"],
  ["/a.jpg?x;sign=abc", "/a.jpg?x;sign=…"],
  ["/a.jpg%3Fsign=abc", "/a.jpg%3Fsign=…"],
  ["/a.jpg%3fx%26Sign=abc", "/a.jpg%3fx%26Sign=…"],
  ["http://u:secret@img.example/a.jpg?sign=abc", "http://…@img.example/a.jpg?sign=…"],
  ["http://u:se@cret@img.example/a.jpg", "http://…@img.example/a.jpg"],
  ["HTTPS://token@img.example", "HTTPS://…@img.example"],
  ["/a@b.jpg", "/a@b.jpg"],
  ["http://img.example/a@b.jpg", "http://img.example/a@b.jpg"],
  ["/a.jpg?design=x;signs=y&resign=z", "/a.jpg?design=x;signs=y&resign=z"],
  ["/sign=abc.jpg", "/sign=abc.jpg"],
  ["/a.jpg%253Fsign=abc", "/a.jpg%253Fsign=…"],
  ["/a.jpg%25253fsign%25253Dabc%252526x&y", "/a.jpg%25253fsign%25253D…&y"],
  ["/a.jpg?%2573ign=abc", "/a.jpg?%2573ign=…"],
  ["/a.jpg#sign=abc", "/a.jpg#sign=…"],
  ["/a.jpg?sign%20=abc", "/a.jpg?sign%20=…"],
  ["/a.jpg?+sign+=abc", "/a.jpg?+sign+=…"],
  ["/a.jpg?x&amp;sign=abc", "/a.jpg?x&amp;sign=…"],
  ["/a.jpg?x|sign:abc", "/a.jpg?x|sign:…"],
  ["sign=abc", "sign=…"],
  ["/%64%65sign=abc", "/%64%65sign=…"],
  ["http://u:P/x@img.example/a.jpg", "http://…@img.example/a.jpg"],
  ["http://u:P/x@y/z@img.example/a.jpg", "http://…@img.example/a.jpg"],
  ["http://u:P?x@img.example/a.jpg", "http://…@img.example/a.jpg"],
  ["http://u:P#x@img.example/a.jpg", "http://…@img.example/a.jpg"],
  ["http://u:80/x@img.example/a.jpg", "http://…@img.example/a.jpg"],
  ["http://u:a@b/x@img.example/a.jpg", "http://…@img.example/a.jpg"],
  ["http://u:P%40img.example/a.jpg", "http://…%40img.example/a.jpg"],
  ["http:///u:P@img.example/a.jpg", "http://…@img.example/a.jpg"],
  ["http:/u:P@img.example/a.jpg", "…@img.example/a.jpg"],
  ["//u:P@img.example/a.jpg", "//…@img.example/a.jpg"],
  ["u:P@img.example/a.jpg", "…@img.example/a.jpg"],
  ["http://img.example:8080/a.jpg", "http://img.example:8080/a.jpg"],
  ["http://[::1]/a@b.jpg", "http://[::1]/a@b.jpg"],
  ["2015/a@2x.png", "2015/a@2x.png"],
  ["图@2x.png", "图@2x.png"],
])("redactTarget(%j) is %j", (target, expected) => {
  expect(redactTarget(target)).toBe(expected);
});

test("redactTarget() finds sign in every spelling that decodes and folds to it", () => {
  const spelled = (letter: string) => {
    const both = [letter, letter.toUpperCase()];
    const codes = both.map((one) => one.charCodeAt(0).toString(16));
    return fc.constantFrom(...both, ...codes.flatMap((code) => [`%${code}`, `%${code.toUpperCase()}`]));
  };
  const name = fc.tuple(...[..."sign"].map(spelled)).map((letters) => letters.join(""));
  const separator = fc.constantFrom("?", "&", ";", "%3f", "%3F", "%26", "%3b", "%3B");
  fc.assert(
    fc.property(separator, name, fc.constantFrom("=", "%3d", "%3D"), (before, sign, equals) => {
      expect(redactTarget(`/a.jpg${before}${sign}${equals}SECRET`)).toBe(`/a.jpg${before}${sign}${equals}…`);
    }),
  );
});

const inWatermark = (url: string) => `/a.jpg?watermark/1/image/${b64(url)}/dissolve/50`;
const PLAIN_WATERMARK = "http://img.example/m@2x.png";

test.each([
  ["nothing", PLAIN_WATERMARK, inWatermark(PLAIN_WATERMARK)],
  ["a token", "http://img.example/m.png?sign=abc", "/a.jpg?watermark/1/image/…"],
  ["an escaped token", "http://img.example/m.png%253Fsign%20=abc", "/a.jpg?watermark/1/image/…"],
  ["a password", "http://u:P@img.example/m.png", "/a.jpg?watermark/1/image/…"],
  ["a password with a slash", "http://u:P/x@img.example/m.png", "/a.jpg?watermark/1/image/…"],
  ["a password and no scheme", "u:P@img.example/m.png", "/a.jpg?watermark/1/image/…"],
  ["a watermark with a token", `http://img.example${inWatermark("http://b/c?sign=d")}`, "/a.jpg?watermark/1/image/…"],
  [
    "a watermark in a watermark in a watermark",
    `http://a${inWatermark(`http://b${inWatermark("http://c/d")}`)}`,
    "/a.jpg?watermark/1/image/…",
  ],
])("redactTarget() of a watermark whose URL has %s", (_what, url, expected) => {
  expect(redactTarget(inWatermark(url))).toBe(expected);
  expect(redactTarget(inWatermark(url).replaceAll("/", "%252F"))).toBe(expected.replaceAll("/", "%252F"));
});

test("redactTarget() finds a token in Base64 that contains slashes", () => {
  const text = Buffer.from("http://img.example/m.png?x=???\u00ff?&sign=abcdef", "latin1").toString("base64");
  expect(text).toContain("/");
  expect(redactTarget(`/a.jpg?watermark/1/image/${text}/x&y`)).toBe("/a.jpg?watermark/1/image/…&y");
});

test("redactTarget() keeps an image name that is no watermark", () => {
  const plain = "/photos/image/2015/a.jpg?watermark/3/image/aHR0cDovL2EvYi5wbmc/text/5Zu-/image/!!/x";
  expect(redactTarget(plain)).toBe(plain);
});

test("redactTarget() removes passwords whole, never throws, and is idempotent", () => {
  const piece = fc.constantFrom("/", "?", "#", "@", ":", "%40", "%", "80", "a", "&", "=", "|");
  const password = fc.array(piece).map((parts) => `SECRET${parts.join("")}SECRET`);
  const before = fc.constantFrom("http://", "HTTPS://", "//", "");
  fc.assert(
    fc.property(before, password, (scheme, secret) => {
      const logged = redactTarget(`${scheme}u:${secret}@img.example/a.jpg`);
      expect(logged).toBe(`${scheme}…@img.example/a.jpg`);
      expect(redactTarget(logged)).toBe(logged);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => typeof redactTarget(text) === "string"));
});

test.each([
  [
    'Cannot fetch "http://o.example/a.jpg%3Fsign=abc": status 500',
    'Cannot fetch "http://o.example/a.jpg%3Fsign=…": status 500',
  ],
  ["Cannot sign: it is too late", "Cannot sign: it is too late"],
])("redactWords(%j) is %j", (text, expected) => {
  expect(redactWords(text)).toBe(expected);
});
