import { expect, test } from "vitest";
import {
  watermarkName,
  watermarkWithoutToken,
  withoutWatermarkTokens,
} from "../../../../../src/serve/image/grammar/watermark-token.ts";
import { b64 } from "../../../../helpers/rendering.ts";

const WATERMARK = "http://img.example/m/logo.png";
const SIGNED = `${WATERMARK}?sign=${encodeURIComponent("c2VjcmV0+/==")}`;

test.each([
  [WATERMARK, WATERMARK],
  [SIGNED, WATERMARK],
  [`${WATERMARK}?v=1&sign=abc&w=2`, `${WATERMARK}?v=1&w=2`],
  [`${WATERMARK}?sign=a&sign=b`, WATERMARK],
  [`${WATERMARK}?design=x`, `${WATERMARK}?design=x`],
  [`${WATERMARK}?`, `${WATERMARK}?`],
])("watermarkWithoutToken(%j) is %j", (url, expected) => {
  expect(watermarkWithoutToken(url)).toBe(expected);
});

test.each([
  [WATERMARK, WATERMARK],
  [SIGNED, WATERMARK],
  ["https://IMG.example:443/m/logo.png", WATERMARK],
  ["http://img.example./m/logo.png?v=1", `${WATERMARK}?v=1`],
  ["http://img.example?V=1", "http://img.example?V=1"],
  // The lookup will report that it is not a URL.
  ["http://user@img.example/a", "http://user@img.example/a"],
  ["http://[::1]:80/a", "http://[::1]:80/a"],
])("watermarkName(%j) is %j", (url, expected) => {
  expect(watermarkName(url)).toBe(expected);
});

const watermark = (url: string) => `watermark/1/image/${b64(url)}/gravity/center`;

test.each([
  ["nothing of a watermark", "imageView2/2/w/100", "imageView2/2/w/100"],
  ["a watermark without a token, as it is written", `${watermark(WATERMARK)}==`, `${watermark(WATERMARK)}==`],
  ["a watermark with one", watermark(SIGNED), watermark(WATERMARK)],
  [
    "several",
    `${watermark(SIGNED)}|imageView2/2/w/9|${watermark(`${WATERMARK}?v=2&sign=x`)}`,
    `${watermark(WATERMARK)}|imageView2/2/w/9|${watermark(`${WATERMARK}?v=2`)}`,
  ],
  ["all percent-encoded", encodeURIComponent(watermark(SIGNED)), encodeURIComponent(watermark(WATERMARK))],
  [
    "Base64 with its padding percent-encoded",
    `watermark/1/image/${encodeURIComponent(Buffer.from(SIGNED).toString("base64url"))}%3D%3D/dissolve/9`,
    `watermark/1/image/${b64(WATERMARK)}/dissolve/9`,
  ],
  ["a URL around it", `/a/image/b.jpg?${watermark(SIGNED)}&sign=…`, `/a/image/b.jpg?${watermark(WATERMARK)}&sign=…`],
  ["no Base64", "watermark/1/image/%E5%9B%BE/x", "watermark/1/image/%E5%9B%BE/x"],
  [
    "octets that are no text",
    `watermark/1/image/${Buffer.from("ff00fe3f", "hex").toString("base64url")}`,
    `watermark/1/image/${Buffer.from("ff00fe3f", "hex").toString("base64url")}`,
  ],
])("withoutWatermarkTokens() removes tokens from watermark URLs: %s", (_what, text, expected) => {
  expect(withoutWatermarkTokens(text)).toBe(expected);
});
