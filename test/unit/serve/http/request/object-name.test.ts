import { expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import { aliasIn, missRouteOf, nameObject, type ObjectUrl } from "../../../../../src/serve/http/request/object-name.ts";
import type { MirrorSource, Route, Site } from "../../../../../src/serve/http/request/site.ts";
import { createOriginalsFinder, createRuleFinder, originRequestFor } from "../../../../../src/serve/mirror/rules.ts";

const route = (type: Route["type"], keyQuery: Route["keyQuery"], keysHaveQueries = true) => {
  const rest = { match: {}, denyQuery: [], setQuery: {}, passQuery: false, path: {} };
  return { ...rest, type, keyQuery, keysHaveQueries } as unknown as Route;
};

/** A site with one rule; `keysHaveQueries`: this rule, or another one of its bucket, keeps queries. */
function siteWith(type: Route["type"], keyQuery: Route["keyQuery"], keysHaveQueries = true): Site {
  const source: MirrorSource = {
    keysHaveQueries,
    ages: false,
    open() {},
    route: () => route(type, keyQuery, keysHaveQueries),
    processes: () => type === "originals",
  };
  return { source } as unknown as Site;
}

const url = (path: string, query = ""): ObjectUrl => ({ host: "h", path: toKey(path), query, method: "GET" });

test.each([
  ["originals", "drop", false, "a?b", "x=1", "a?b", undefined],
  ["originals", "drop", true, "a", "x=1", "a", undefined],
  ["originals", "drop", true, "a?b", "x=1", "a%3Fb", undefined],
  ["originals", "keep", true, "a", "x=1&imageView2/1", "a?x=1", "imageView2/1"],
  ["originals", "drop", false, "a", "image%56iew2/1", "a", "image%56iew2/1"],
  ["everything", "drop", true, "a", "x=1&imageView2/1", "a?x=1&imageView2/1", undefined],
] as const)("nameObject() under %s, %s (%s): %s?%s is %s", (type, keyQuery, keeps, path, query, key, instruction) => {
  const named = nameObject(siteWith(type, keyQuery, keeps), url(path, query));
  expect([named.key, named.request.instruction]).toEqual([key, instruction]);
});

const ORIGINALS = route("originals", "drop");
const EVERYTHING = route("everything", "drop");

/** A site with the aliases `small` and `big`, except for `.png` and paths below `all/`. */
const aliased = {
  aliases: new Map(["small", "big"].map((name) => [name, { key: name }])),
  separators: ["!", "-"],
  source: {
    keysHaveQueries: true,
    ages: false,
    open() {},
    route: ({ path }: { readonly path: string }) => (/^all\/|\.png$/.test(path) ? EVERYTHING : ORIGINALS),
    processes: (path: string) => !/^all\/|\.png$/.test(path),
  },
} as unknown as Site;

const METHODS_AND_HOSTS = [
  { match: { host: "raw.*" }, type: "everything" },
  { match: { methods: ["HEAD"], prefix: "heads/" }, type: "everything" },
  { match: { suffix: "!small", prefix: "own/" }, type: "everything" },
  { match: { prefix: "all/" }, type: "everything" },
  { match: {}, type: "originals" },
] as const;

/** A site whose aliases depend on host and method. */
const mixed = (): Site => {
  const routes = METHODS_AND_HOSTS.map((rule) => ({ ...route(rule.type, "drop"), match: rule.match }));
  const find = createRuleFinder(routes);
  const source = { route: (request: ObjectUrl) => find(request), processes: createOriginalsFinder(routes) };
  return { ...aliased, source } as unknown as Site;
};

test.each([
  ["a.jpg!small", "h", "GET", "alias"],
  ["a.jpg!small", "h", "HEAD", "alias"],
  ["a.jpg!small", "raw.h", "GET", "passed on"],
  ["a.jpg!none", "raw.h", "GET", "stored"],
  ["a.jpg", "raw.h", "GET", "stored"],
  ["heads/a.jpg!small", "h", "GET", "alias"],
  ["heads/a.jpg!small", "h", "HEAD", "passed on"],
  ["heads/a.jpg", "h", "HEAD", "stored"],
  ["own/a.jpg!small", "h", "GET", "stored"],
  ["own/a.jpg-small", "h", "GET", "alias"],
  ["all/a.jpg!small", "h", "GET", "stored"],
  ["all/a.jpg!small", "raw.h", "GET", "stored"],
] as const)("where rules go by host and method, %s at %s by %s is %s", (path, host, method, expected) => {
  const asked: ObjectUrl = { host, path: toKey(path), query: "", method };
  const site = mixed();
  const object = nameObject(site, asked);
  const found = missRouteOf(site, asked, object);
  const isStored = found && originRequestFor(found, object.request, {}).isStored;
  const name = isStored === undefined ? "alias" : isStored ? "stored" : "passed on";
  expect(name).toBe(expected);
  expect(aliasIn(site, asked) !== undefined).toBe(expected === "alias");
});

test.each([
  ["a.jpg", undefined],
  ["a.jpg!none", undefined],
  ["a.jpg!Small", undefined],
  ["a.jpg!small", "a.jpg"],
  ["a.jpg-big", "a.jpg"],
  ["a.jpg!small!small", "a.jpg!small"],
  ["a.jpg!big-small", "a.jpg!big"],
  ["a.jpg!small!none", undefined],
  ["!small", undefined],
  ["all/a.jpg!small", undefined],
  ["a.png!small", undefined],
])("aliasIn() and missRouteOf(): %s is an alias of %s, else it is fetched", (path, base) => {
  expect(aliasIn(aliased, url(path))?.base).toBe(base);
  const object = nameObject(aliased, url(path));
  expect(missRouteOf(aliased, url(path), object) === undefined).toBe(base !== undefined);
  expect(missRouteOf({ ...aliased, aliases: new Map() }, url(path), object)).toBeDefined();
});
