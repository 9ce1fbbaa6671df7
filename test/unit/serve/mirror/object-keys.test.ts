import fc from "fast-check";
import { expect, test } from "vitest";
import { isKey, type Key, toKey } from "../../../../src/core/object.ts";
import { asciiQuery, filterQuery, keyOfUrl, queryInKey, urlOfKey } from "../../../../src/serve/mirror/object-keys.ts";

test.each([
  ["pic_key", "a=xxx&b=xxx", "pic_key?a=xxx&b=xxx"],
  ["pic_key", "", "pic_key"],
  ["url!a=1", "", "url!a=1"],
  ["a?b", "", "a%3Fb"],
  ["a", "b", "a?b"],
  ["a%3Fb", "", "a%253Fb"],
  ["a%3fb", "", "a%253fb"],
  ["a%253Fb", "", "a%25253Fb"],
  ["a%20b", "", "a%20b"],
  ["100%", "", "100%"],
  ["a", "../x", "a?../x"],
  ["a", "../../x", "a?../%2E%2E/x"],
  ["a", "x/.", "a?x/%2E"],
  ["a", "x/./../y", "a?x/%2E/%2E%2E/y"],
  ["a", "x/%2E%2E/y", "a?x/%252E%252E/y"],
  ["a", "x/%252E/y", "a?x/%25252E/y"],
  ["a", "x/%2e%2e/y", "a?x/%2e%2e/y"],
  ["a", "x/.../y/..z", "a?x/.../y/..z"],
] as const)("keyOfUrl(%j, %j) is %j", (path, query, key) => {
  expect(keyOfUrl(toKey(path), query)).toBe(key);
});

test("keyOfUrl() never gives two URLs one key if keys have queries", () => {
  const text = fc.array(fc.constantFrom("a", "?", "%", "3", "F", "f", "25", "%3F"), { minLength: 1, maxLength: 8 });
  const query = fc.array(fc.constantFrom("a", "=", "?", "%3F", "/", "/..", "/.", ".", "%2E", "%252E"), {
    maxLength: 5,
  });
  const url = fc.tuple(text, query).map(([path, rest]) => ({ path: path.join(""), query: rest.join("") }));
  fc.assert(
    fc.property(url, url, (one, other) => {
      fc.pre(isKey(one.path) && isKey(other.path));
      const keyOf = ({ path, query: rest }: typeof one) => keyOfUrl(toKey(path), rest);
      expect(keyOf(one) === keyOf(other)).toBe(one.path === other.path && one.query === other.query);
    }),
    { numRuns: 3_000 },
  );
});

test("keyOfUrl() refuses a query that makes the key too long", () => {
  const query = `x=${"y".repeat(1_030)}`;
  expect(() => keyOfUrl(toKey("a"), query)).toThrow(expect.objectContaining({ code: "url_invalid" }));
});

test.each([
  ["a=1&b=2", "drop", ""],
  ["a=1&b=2", "keep", "a=1&b=2"],
  ["b=2&a=1&c=3", ["a", "b"], "b=2&a=1"],
  ["a=1&a=2", ["a"], "a=1&a=2"],
  ["%61=1&A=2", ["a"], "%61=1"],
  ["a", ["a"], "a"],
  ["", ["a"], ""],
  ["%ff=1", ["%ff"], "%ff=1"],
] as const)("keptQuery(%j, %j) is %j", (query, keep, kept) => {
  expect(queryInKey(query, keep)).toBe(kept);
});

test("filterQuery() compares decoded names", () => {
  expect(filterQuery("to%6ben=1&x=2&token=3", (name) => name !== "token")).toBe("x=2");
});

test("asciiQuery() escapes exactly the bytes that a request line may not contain", () => {
  expect(asciiQuery("a=\xe5\x9b\xbe&b=%20'\"")).toBe("a=%E5%9B%BE&b=%20'\"");
});

test("urlOfKey() undoes keyOfUrl() for every path and query", () => {
  const parts = fc.constantFrom("%3F", "%3f", "%253F", "%25253f", "?", "%", "25", "3F", "a", "/", "图");
  const paths = fc.array(parts, { minLength: 1, maxLength: 12 }).map((list) => list.join(""));
  fc.assert(
    fc.property(
      paths.filter(isKey),
      fc.constantFrom("", "a=1", "a=?&b=%3F", "../../..", "a/%2E%2E/..", "a/./%252E%252E/%2E/.%2E"),
      fc.boolean(),
      (path: Key, query, isStorable) => {
        const url = { path, query: isStorable ? query : "" };
        expect(urlOfKey(isStorable ? keyOfUrl(path, query) : path, isStorable)).toEqual(url);
      },
    ),
  );
});

test("urlOfKey() throws url_invalid for a key without a path", () => {
  expect(() => urlOfKey(toKey("?a=1"), true)).toThrow(expect.objectContaining({ code: "url_invalid" }));
});
