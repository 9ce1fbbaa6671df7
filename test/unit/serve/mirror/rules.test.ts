import { expect, test } from "vitest";
import { toKey } from "../../../../src/core/object.ts";
import {
  createOriginalsFinder,
  createRuleFinder,
  fillId,
  keyUnder,
  originRequestFor,
  originRequestForProcessed,
  publicTarget,
  type RuleMatch,
  type RuleOptions,
} from "../../../../src/serve/mirror/rules.ts";

const PLAIN: RuleOptions = {
  match: {},
  action: "mirror",
  type: "originals",
  keyQuery: "drop",
  passQuery: false,
  processedMiss: "local",
  path: {},
  setQuery: {},
  denyQuery: [],
  passes: undefined,
  setHeaders: {},
  followRedirects: true,
  keysHaveQueries: true,
};

const rule = (changes: Partial<RuleOptions>): RuleOptions => ({ ...PLAIN, ...changes });

/** A request as a download URL spells it; `instruction` is a part of the query. */
const url = (path: string, query = "", instruction?: string) => ({ path: toKey(path), query, instruction });

const NO_HEADERS = {};

test("createRuleFinder() returns the first rule that matches", () => {
  const first = { match: { prefix: "2015/" } };
  const second = { match: { suffix: ".jpg" } };
  const find = createRuleFinder([first, second]);
  const of = (path: string) => find({ path, method: "GET", host: "h" });
  expect([of("2015/a.jpg"), of("2016/a.jpg"), of("2016/a.png")]).toEqual([first, second, undefined]);
});

test("createOriginalsFinder() finds paths that a rule of originals has for any host and method", () => {
  const everything = "everything";
  const finds = createOriginalsFinder([
    { match: { prefix: "some/", host: "*", methods: ["HEAD", "GET"] }, type: everything },
    { match: { prefix: "heads/", methods: ["HEAD"] }, type: "originals" },
    { match: { host: "raw.*", suffix: ".jpg" }, type: "originals" },
    { match: { prefix: "part/", methods: ["GET"] }, type: everything },
    { match: { prefix: "part/" }, type: "originals" },
    { match: {}, type: everything },
  ]);
  expect(["some/a.jpg", "heads/a", "a.jpg", "part/a", "a.png"].map(finds)).toEqual([false, true, true, true, false]);
});

test.each<[RuleMatch, { path?: string; method?: string; host?: string }, boolean]>([
  [{}, {}, true],
  [{ prefix: "a/" }, { path: "a/b" }, true],
  [{ prefix: "a/" }, { path: "b/a/" }, false],
  [{ suffix: ".JPG" }, { path: "a.jpg" }, false],
  [{ prefix: "ab", suffix: "ba" }, { path: "aba" }, false],
  [{ prefix: "ab", suffix: "ba" }, { path: "abba" }, true],
  [{ pattern: "*/big/*" }, { path: "x/big/y" }, true],
  [{ pattern: "*/big/*" }, { path: "big/y" }, false],
  [{ methods: ["HEAD"] }, { method: "GET" }, false],
  [{ methods: ["HEAD", "GET"] }, { method: "GET" }, true],
  [{ host: "*.example.com" }, { host: "img.example.com" }, true],
  [{ host: "*.example.com" }, { host: "example.com" }, false],
  [{ prefix: "a", methods: ["GET"], host: "h" }, { path: "a", host: "other" }, false],
])("the match %j gives %j: %s", (match, request, fits) => {
  const found = createRuleFinder([{ match }])({ path: "a", method: "GET", host: "h", ...request });
  expect(found !== undefined).toBe(fits);
});

// The exact key rules of 万象优图, and the origin requests.
test.each<
  [string, Partial<RuleOptions>, ReturnType<typeof url>, { key: string; path: string; query: string; stored: boolean }]
>([
  ["an original", {}, url("url"), { key: "url", path: "url", query: "", stored: true }],
  ["an unknown query", {}, url("url", "a=1"), { key: "url", path: "url", query: "", stored: true }],
  ["an unknown suffix", {}, url("url!a=1"), { key: "url!a=1", path: "url!a=1", query: "", stored: true }],
  [
    "processing under originals",
    {},
    url("url", "imageView2/1/w/1", "imageView2/1/w/1"),
    { key: "url", path: "url", query: "", stored: true },
  ],
  [
    "processing under everything",
    { type: "everything" },
    url("url", "imageView2/1/w/1"),
    { key: "url?imageView2/1/w/1", path: "url", query: "imageView2/1/w/1", stored: true },
  ],
  [
    "a query under everything",
    { type: "everything" },
    url("pic_key", "a=xxx&b=xxx"),
    { key: "pic_key?a=xxx&b=xxx", path: "pic_key", query: "a=xxx&b=xxx", stored: true },
  ],
  [
    "a ? in the path under everything",
    { type: "everything" },
    url("a?b"),
    { key: "a%3Fb", path: "a?b", query: "", stored: true },
  ],
  [
    "a ? of the path, where other rules of the bucket keep queries",
    {},
    url("a?b", "x=1"),
    { key: "a%3Fb", path: "a?b", query: "", stored: true },
  ],
  [
    "a ? of the path, where none does",
    { keysHaveQueries: false },
    url("a?b", "x=1"),
    { key: "a?b", path: "a?b", query: "", stored: true },
  ],
  [
    "keyQuery keep",
    { keyQuery: "keep" },
    url("url", "v=1&imageView2/1&w=2", "imageView2/1"),
    { key: "url?v=1&w=2", path: "url", query: "v=1&w=2", stored: true },
  ],
  [
    "an allow list",
    { keyQuery: ["v"] },
    url("url", "x=0&v=1"),
    { key: "url?v=1", path: "url", query: "v=1", stored: true },
  ],
  [
    "denied parameters",
    { type: "everything", denyQuery: ["utm"] },
    url("url", "%75tm=1&v=1"),
    { key: "url?v=1", path: "url", query: "v=1", stored: true },
  ],
  ["passQuery", { passQuery: true }, url("url", "a=1"), { key: "url", path: "url", query: "a=1", stored: false }],
  ["passQuery without a query", { passQuery: true }, url("url"), { key: "url", path: "url", query: "", stored: true }],
  [
    "passQuery of what the key has",
    { passQuery: true, keyQuery: "keep" },
    url("url", "a=1"),
    { key: "url?a=1", path: "url", query: "a=1", stored: true },
  ],
  [
    "a parameter that is set, over the client's",
    { keyQuery: "keep", setQuery: { key: "s3cret" } },
    url("url", "k%65y=mine&v=1"),
    { key: "url?k%65y=mine&v=1", path: "url", query: "v=1&key=s3cret", stored: true },
  ],
])("%s: the key and the origin request", (_, changes, request, wanted) => {
  const asked = originRequestFor(rule(changes), request, NO_HEADERS);
  const { key, path, query, isStored } = asked;
  expect({ key, path, query, stored: isStored }).toEqual(wanted);
  expect(keyUnder(rule(changes), request)).toBe(wanted.key);
});

test.each<[RuleOptions["path"], string, string, string]>([
  [{ strip: "2015/" }, "2015/a.jpg", "a.jpg", ""],
  [{ strip: "2015/", add: "old/" }, "2015/a.jpg", "old/a.jpg", ""],
  [{ stripSuffix: ".webp", addSuffix: ".jpg" }, "a.webp", "a.jpg", ""],
  [{ template: "obj/{key}/full" }, "a b", "obj/a b/full", ""],
  [{ template: "get.php?file={key}&x=1" }, "a/b&c.jpg", "get.php", "file=a%2Fb%26c.jpg&x=1"],
  [{ strip: "p/", template: "{key}" }, "p/$&.jpg", "$&.jpg", ""],
  [{ file: "missing.png" }, "anything", "missing.png", ""],
])("the path %j turns %j into %j with the query %j", (path, key, wanted, query) => {
  const asked = originRequestFor(rule({ path }), url(key), NO_HEADERS);
  expect([asked.key, asked.path, asked.query]).toEqual([key, wanted, query]);
});

test.each<[RuleOptions["path"], string]>([
  [{ strip: "a" }, "a../secret"],
  [{ strip: "a" }, "a./secret"],
  [{ strip: "2015/" }, "2015/"],
  [{ add: "x".repeat(1_020) }, "abcdef"],
])("the path %j refuses %j: the rest is not a valid name", (path, key) => {
  expect(() => originRequestFor(rule({ path }), url(key), NO_HEADERS)).toThrow(
    expect.objectContaining({ code: "url_invalid" }),
  );
});

test("originRequestForProcessed() sends the instruction and the query of the key, and stores nothing", () => {
  const request = url("url", "x=1&imageView2/1/w/100&v=2", "imageView2/1/w/100");
  const { key, query, isStored } = originRequestForProcessed(rule({ keyQuery: ["v"] }), request, NO_HEADERS);
  expect({ key, query, isStored }).toEqual({ key: "url?v=2", query: "imageView2/1/w/100&v=2", isStored: false });
});

test("originRequestForProcessed() and publicTarget() never show the token of a watermark", () => {
  const marked = (mark: string) => `watermark/1/image/${Buffer.from(mark).toString("base64url")}`;
  const instruction = marked("http://a.example/m.png?sign=secret");
  const request = { ...url("a.jpg", instruction), instruction };
  const query = marked("http://a.example/m.png");
  expect(originRequestForProcessed(rule({}), request, NO_HEADERS).query).toBe(query);
  expect(publicTarget(rule({}), request).query).toBe(query);
});

test("publicTarget() shows clients no parameter of setQuery", () => {
  const hidden = rule({ setQuery: { token: "s3cret" }, passQuery: true, path: { add: "x/" } });
  expect(publicTarget(hidden, url("a", "v=1"))).toEqual({ path: "x/a", query: "v=1" });
});

test("originRequestFor() forwards and sets the headers of the rule, and none that Connection names", () => {
  const passing = rule({ passes: (name) => name.startsWith("x-"), setHeaders: { "x-set": "ours" } });
  const sent = { "x-a": "1", "x-hop": "2", "x-set": "theirs", connection: "keep-alive, X-Hop", cookie: "c" };
  expect(originRequestFor(passing, url("a"), sent).headers).toEqual({ "x-a": "1", "x-set": "ours" });
});

test("fillId() differs for requests whose answers depend on more than the key", () => {
  const id = (query: string, changes: Partial<RuleOptions> = {}) =>
    fillId(originRequestFor(rule(changes), url("a", query), NO_HEADERS));
  expect(id("x=1")).toBe(id("x=2"));
  expect(id("x=1", { passQuery: true })).not.toBe(id("x=2", { passQuery: true }));
  expect(id("", { passQuery: true })).toBe(id(""));
});
