import { expect, test } from "vitest";
import { nameObject, type ObjectUrl } from "../../../src/http/object-name.ts";
import type { MirrorSource, Route, Site } from "../../../src/http/site.ts";
import { toKey } from "../../../src/object.ts";

const route = (type: Route["type"], keyQuery: Route["keyQuery"]) =>
  ({ match: {}, type, keyQuery, denyQuery: [], setQuery: {}, passQuery: false, path: {} }) as unknown as Route;

/** A site whose only rule keys so. */
function siteWith(type: Route["type"], keyQuery: Route["keyQuery"], keepsQuery = true): Site {
  const source: MirrorSource = { keepsQuery, ages: false, route: () => route(type, keyQuery) };
  return { source } as unknown as Site;
}

const url = (path: string, query = ""): ObjectUrl => ({ host: "h", path: toKey(path), query, method: "GET" });

test.each([
  ["originals", "drop", false, "a?b", "x=1", "a?b", undefined],
  ["originals", "drop", true, "a", "x=1", "a", undefined],
  ["originals", "keep", true, "a", "x=1&imageView2/1", "a?x=1", "imageView2/1"],
  ["originals", "drop", false, "a", "image%56iew2/1", "a", "image%56iew2/1"],
  ["everything", "drop", true, "a", "x=1&imageView2/1", "a?x=1&imageView2/1", undefined],
] as const)("nameObject() under %s, %s (%s): %s?%s is %s", (type, keyQuery, keeps, path, query, key, instruction) => {
  const named = nameObject(siteWith(type, keyQuery, keeps), url(path, query));
  expect([named.key, named.request.instruction]).toEqual([key, instruction]);
});
