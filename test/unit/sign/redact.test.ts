import fc from "fast-check";
import { expect, test } from "vitest";
import { redactTarget } from "../../../src/sign/redact.ts";

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
