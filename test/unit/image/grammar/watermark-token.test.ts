import { expect, test } from "vitest";
import {
  watermarkName,
  watermarkWithoutToken,
  withoutWatermarkTokens,
} from "../../../../src/image/grammar/watermark-token.ts";
import { b64 } from "../../../helpers/rendering.ts";

const MARK = "http://img.example/m/logo.png";
const SIGNED = `${MARK}?sign=${encodeURIComponent("c2VjcmV0+/==")}`;

test.each([
  [MARK, MARK],
  [SIGNED, MARK],
  [`${MARK}?v=1&sign=abc&w=2`, `${MARK}?v=1&w=2`],
  [`${MARK}?sign=a&sign=b`, MARK],
  [`${MARK}?design=x`, `${MARK}?design=x`],
  [`${MARK}?`, `${MARK}?`],
])("markWithoutToken(%j) is %j", (url, expected) => {
  expect(watermarkWithoutToken(url)).toBe(expected);
});

test.each([
  [MARK, MARK],
  [SIGNED, MARK],
  ["https://IMG.example:443/m/logo.png", MARK],
  ["http://img.example./m/logo.png?v=1", `${MARK}?v=1`],
  ["http://img.example?V=1", "http://img.example?V=1"],
  // Whoever looks for it says that it is no URL.
  ["http://user@img.example/a", "http://user@img.example/a"],
  ["http://[::1]:80/a", "http://[::1]:80/a"],
])("markName(%j) is %j", (url, expected) => {
  expect(watermarkName(url)).toBe(expected);
});

const mark = (url: string) => `watermark/1/image/${b64(url)}/gravity/center`;

test.each([
  ["nothing of a mark", "imageView2/2/w/100", "imageView2/2/w/100"],
  ["a mark without a token, as it is written", `${mark(MARK)}==`, `${mark(MARK)}==`],
  ["a mark with one", mark(SIGNED), mark(MARK)],
  [
    "several",
    `${mark(SIGNED)}|imageView2/2/w/9|${mark(`${MARK}?v=2&sign=x`)}`,
    `${mark(MARK)}|imageView2/2/w/9|${mark(`${MARK}?v=2`)}`,
  ],
  ["all percent-encoded", encodeURIComponent(mark(SIGNED)), encodeURIComponent(mark(MARK))],
  [
    "Base64 with its padding percent-encoded",
    `watermark/1/image/${encodeURIComponent(Buffer.from(SIGNED).toString("base64url"))}%3D%3D/dissolve/9`,
    `watermark/1/image/${b64(MARK)}/dissolve/9`,
  ],
  ["a URL around it", `/a/image/b.jpg?${mark(SIGNED)}&sign=…`, `/a/image/b.jpg?${mark(MARK)}&sign=…`],
  ["no Base64", "watermark/1/image/%E5%9B%BE/x", "watermark/1/image/%E5%9B%BE/x"],
  [
    "octets that are no text",
    `watermark/1/image/${Buffer.from("ff00fe3f", "hex").toString("base64url")}`,
    `watermark/1/image/${Buffer.from("ff00fe3f", "hex").toString("base64url")}`,
  ],
])("withoutMarkTokens() takes tokens out of marks: %s", (_what, text, expected) => {
  expect(withoutWatermarkTokens(text)).toBe(expected);
});
