// The tree is that of a file that people edit, so any part of it may be missing or of another kind.
import { expect, test } from "vitest";
import { defaultDomain, placeOf, placesOf, testUrl } from "../../../../../src/operate/buckets/page/tree.ts";
import { listAt, textAt, valueAt } from "../../../../../src/operate/console/tree.ts";

const TREE = {
  server: { port: 18_080, baseDomain: "img.example" },
  projects: [{ appid: 1, buckets: [{ name: "a" }, { name: "b" }] }, { appid: "2", buckets: "none" }, null],
};

test.each([
  [["projects", 0, "buckets", 1, "name"], "b"],
  [["projects", 1, "buckets", 0], undefined],
  [["projects", 2, "buckets"], undefined],
  [["projects", "x", "y"], undefined],
  [[], TREE],
])("valueAt(%j) is %j", (path, expected) => {
  expect(valueAt(TREE, path)).toEqual(expected);
});

test("textAt() and listAt() have a value for whatever a file has there", () => {
  expect([textAt(TREE, ["server", "port"]), textAt(TREE, ["server", "host"], "0.0.0.0"), textAt(null, ["a"])]).toEqual([
    "18080",
    "0.0.0.0",
    "",
  ]);
  expect([listAt(TREE, ["projects", 1, "buckets"]), listAt(undefined, ["projects"])]).toEqual([[], []]);
});

test("placesOf() finds each bucket with its place, and passes over what is no list", () => {
  expect(placesOf(TREE)).toEqual([
    { appid: "1", name: "a", path: ["projects", 0, "buckets", 0] },
    { appid: "1", name: "b", path: ["projects", 0, "buckets", 1] },
  ]);
  expect([placeOf(TREE, "1/b")?.path.at(-1), placeOf(TREE, "2/b"), placesOf("no settings")]).toEqual([
    1,
    undefined,
    [],
  ]);
});

test("testUrl() names the default domain and the port that visitors use, and keeps a key apart from its query", () => {
  const place = { appid: "1", name: "a" };
  expect(defaultDomain(TREE, place)).toBe("a-1.img.example");
  expect(testUrl(TREE, place, "x y/ü.jpg?imageView2/2/w/9")).toBe(
    "http://a-1.img.example:18080/x%20y/%C3%BC.jpg?imageView2/2/w/9",
  );
  expect(testUrl({ server: { publicScheme: "https", port: 8_080 } }, place, "x")).toBe("https://a-1.localhost/x");
  expect(testUrl({ server: { publicPort: 9 } }, place, "x")).toBe("http://a-1.localhost:9/x");
});
