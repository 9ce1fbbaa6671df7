import { expect, test } from "vitest";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import {
  acceptedFormat,
  dependsOnAccept,
  negotiatedAs,
  outputFormat,
} from "../../../../../src/serve/image/grammar/negotiate.ts";

const AUTO = parseInstruction("imageView2/2/w/9/format/auto", { era: 2015 });

test.each([
  ["image/avif,image/webp,image/apng,*/*;q=0.8", "autoAvif"],
  ["IMAGE/AVIF", "autoAvif"],
  ["image/webp,*/*", "autoWebp"],
  ["image/avif;q=0, image/webp;q=0.5", "autoWebp"],
  ["image/avif; q=0.000,image/webp; Q=0", "autoPlain"],
  ["*/*", "autoPlain"],
  ["image/*", "autoPlain"],
  ["", "autoPlain"],
  [`${"a/b,".repeat(1000)}image/avif`, "autoPlain"],
])("acceptedFormat() of %s is %s", (accept, format) => {
  expect(acceptedFormat(accept)).toBe(format);
});

test("dependsOnAccept() is true until the format is negotiated", () => {
  const fixed = parseInstruction("imageView2/2/w/9/format/png", { era: 2015 });
  expect([dependsOnAccept(fixed), dependsOnAccept(AUTO)]).toEqual([false, true]);
  expect(dependsOnAccept(negotiatedAs(AUTO, "autoAvif"))).toBe(false);
});

const source = (format: "jpeg" | "png" | "gif" | "webp" | "avif" | "bmp", more = {}) => ({
  format,
  isAnimated: false,
  isOpaque: true,
  ...more,
});

test.each([
  [undefined, source("webp"), "webp"],
  ["png", source("jpeg"), "png"],
  ["autoAvif", source("jpeg"), "avif"],
  ["autoAvif", source("gif", { isAnimated: true }), "webp"],
  ["autoWebp", source("gif", { isAnimated: true }), "webp"],
  ["autoPlain", source("jpeg"), "jpeg"],
  // A JPEG with round corners: the manual keeps the source's format.
  ["autoPlain", source("jpeg", { isOpaque: false }), "jpeg"],
  ["autoPlain", source("png"), "png"],
  ["autoPlain", source("gif", { isAnimated: true }), "gif"],
  ["autoPlain", source("webp"), "jpeg"],
  ["autoPlain", source("avif", { isOpaque: false }), "png"],
  ["autoPlain", source("bmp"), "jpeg"],
] as const)("outputFormat(%s) of %o is %s", (wanted, from, expected) => {
  expect(outputFormat(wanted, from)).toBe(expected);
});
