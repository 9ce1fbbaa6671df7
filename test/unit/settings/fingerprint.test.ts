import { expect, test } from "vitest";
import { fingerprintOf } from "../../../src/settings/secrets.ts";
import { parse, withOrigin } from "./parse.ts";

const text = withOrigin('url: "https://h", headers: { Authorization: one }');

test("fingerprintOf() is equal for equal settings and reveals none of them", () => {
  expect(fingerprintOf(parse(text))).toBe(fingerprintOf(parse(text)));
  expect(fingerprintOf(parse(text))).toMatch(/^[0-9a-f]{64}$/);
});

test.each([
  ["a secret key", "SECRET", "OTHER"],
  ["an origin's header", "one", "two"],
  ["an origin's url", "https://h", "https://g"],
])("identityOf() differs when %s does", (_, from, to) => {
  expect(fingerprintOf(parse(text.replace(from, to)))).not.toBe(fingerprintOf(parse(text)));
});

test("fingerprintOf() distinguishes several parts from one", () => {
  expect(fingerprintOf("a", "b")).not.toBe(fingerprintOf("ab"));
  expect(fingerprintOf(["a", "b"])).not.toBe(fingerprintOf("a", "b"));
});
