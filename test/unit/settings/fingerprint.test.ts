import { expect, test } from "vitest";
import { identityOf } from "../../../src/settings/fingerprint.ts";
import { parse, withOrigin } from "./parse.ts";

const text = withOrigin('url: "https://h", headers: { Authorization: one }');

test("identityOf() is the same for equal settings and shows none of them", () => {
  expect(identityOf(parse(text))).toBe(identityOf(parse(text)));
  expect(identityOf(parse(text))).toMatch(/^[0-9a-f]{64}$/);
});

test.each([
  ["a secret key", "SECRET", "OTHER"],
  ["an origin's header", "one", "two"],
  ["an origin's url", "https://h", "https://g"],
])("identityOf() differs when %s does", (_, from, to) => {
  expect(identityOf(parse(text.replace(from, to)))).not.toBe(identityOf(parse(text)));
});

test("identityOf() tells several parts from one", () => {
  expect(identityOf("a", "b")).not.toBe(identityOf("ab"));
  expect(identityOf(["a", "b"])).not.toBe(identityOf("a", "b"));
});
