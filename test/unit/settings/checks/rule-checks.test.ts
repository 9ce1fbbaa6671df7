import { expect, test } from "vitest";
import { pathsOf, withBucket, withMirror, withOrigin } from "../parse.ts";

const mirror = "projects[0].buckets[0].domains[0].mirror";
const rule = `${mirror}.rules[0]`;
const withRule = (keys: string) => withMirror(`rules: [{ ${keys} }]`);
const eleven = Array.from({ length: 11 }, (_, index) => `x${index}: a`).join(", ");

test.each([
  ["a prefix with the URL's slash", "match: { prefix: /a }", "match.prefix"],
  ["an empty suffix", 'match: { suffix: "" }', "match.suffix"],
  ["a long pattern", `match: { pattern: "${"*".repeat(257)}" }`, "match.pattern"],
  ["a method that is never served", "match: { methods: [POST] }", "match.methods[0]"],
  ["a regular expression for a host", 'match: { host: "(a|b).example" }', "match.host"],
  ["stripping a prefix that not every key has", "path: { strip: a/ }", "path.strip"],
  ["stripping more than the prefix", "match: { prefix: a/ }, path: { strip: a/b }", "path.strip"],
  ["stripping a suffix that is not matched", 'path: { stripSuffix: ".jpg" }', "path.stripSuffix"],
  ["a file beside other keys", "path: { file: a.png, add: b/ }", "path.file"],
  ["a template without a key", "path: { template: a/b }", "path.template"],
  ["a template with two keys", 'path: { template: "{key}/{key}" }', "path.template"],
  ["a template beside other keys", 'path: { template: "{key}", addSuffix: x }', "path.template"],
  ["a .. segment in the added prefix", "path: { add: ../a/ }", "path.add"],
  ["a .. segment in the file", "path: { file: a/../b }", "path.file"],
  ["a . segment in the template", 'path: { template: "./{key}" }', "path.template"],
  ["a fallback that is not a key", "fallbackKey: a/../b", "fallbackKey"],
  ["a fallback status of 500", "fallbackKey: a, fallbackStatus: 500", "fallbackStatus"],
  ["the client's cookies", "passHeaders: { allow: [Cookie] }", "passHeaders.allow[0]"],
  ["the client's credentials", "passHeaders: { allow: [x-ok, authorization] }", "passHeaders.allow[1]"],
  ["the client's negotiation", "passHeaders: { allow: [Accept-Language] }", "passHeaders.allow[0]"],
  ["the client's range", "passHeaders: { allow: [Range] }", "passHeaders.allow[0]"],
  ["the client's conditions", "passHeaders: { allow: [If-None-Match] }", "passHeaders.allow[0]"],
  [
    "a header that makes a server answer for another URL",
    "passHeaders: { allow: [X-Original-URL] }",
    "passHeaders.allow[0]",
  ],
  ["signed headers of a cloud", "passHeaders: { allow: [x-amz-date] }", "passHeaders.allow[0]"],
  [
    "processing at an S3 origin",
    "processedMiss: origin, origins: [{ type: s3, preset: oss, region: r, bucket: bb }]",
    "processedMiss",
  ],
  ["a set Host header", "passHeaders: { set: { Host: a } }", "passHeaders.set.Host"],
  ["eleven headers", `passHeaders: { set: { ${eleven} } }`, "passHeaders.set"],
  ["eleven parameters", `setQuery: { ${eleven} }`, "setQuery"],
  ["a parameter that contains another one", "setQuery: { a: b&c=d }", "setQuery.a"],
  ["another redirect status", "action: redirect, redirectStatus: 200", "redirectStatus"],
  ["a redirect to this server", "action: redirect, redirectTo: http://photos-10001234.localhost:8080", "redirectTo"],
  ["a redirect to an ftp URL", "action: redirect, redirectTo: ftp://h", "redirectTo"],
  ["a total below the domain's firstByte", "timeouts: { total: 9s }", "timeouts.total"],
  ["a private origin of its own", 'origins: [{ type: site, url: "http://10.0.0.1" }]', "origins[0].url"],
  ["an unknown action", "action: proxy", "action"],
  ["an unknown key", "prefix: a", "prefix"],
])("a rule with %s is a fault", (_, keys, path) => {
  expect(pathsOf(withRule(keys))).toEqual([`${rule}.${path}`]);
});

test.each([
  "match: { prefix: 2015/, suffix: .jpg, methods: [GET] }, path: { strip: 2015/, add: old/ }, fallbackKey: missing.jpg",
  'match: { prefix: a/b/, suffix: .png }, path: { strip: a/, stripSuffix: g, template: "get?file={key}&x=1" }',
  'match: { pattern: "*/thumb/*", host: "*.example.com" }, action: none',
  "action: redirect, redirectTo: https://www.example.com/pictures, redirectStatus: 301",
  "action: async",
  'passHeaders: { allow: ["*"], deny: [X-A], set: { X-B: c } }, setQuery: { token: a%20b }, denyQuery: [utm_source]',
  "type: everything, keyQuery: [v], processedMiss: origin, passQuery: true, allowedTypes: [jpeg], objectSize: 1MB",
  "timeouts: { firstByte: 20s }, negativeTtl: 0s, suspects: keep, followRedirects: false",
])("the rule { %s } is accepted", (keys) => {
  expect(pathsOf(withRule(keys))).toEqual([]);
});

test.each([
  ["a private origin", 'url: "http://127.0.0.1:9000", allowPrivate: true'],
  ["an origin with its own Host", 'url: "https://h", host: www.example.com'],
  ["an origin with a password", 'url: "https://h", basicAuth: { username: u, password: p }'],
])("%s is not shown to clients, so async and redirect need redirectTo", (_, keys) => {
  const ruleOf = (more: string) =>
    pathsOf(
      withBucket(
        `domains: [{ host: h.example, mirror: { origins: [{ type: site, ${keys} }], rules: [{ ${more} }] } }]`,
      ),
    );
  expect(ruleOf("action: redirect")).toEqual([`${rule}.redirectTo`]);
  expect(ruleOf("action: async")).toEqual([`${rule}.redirectTo`]);
  expect(ruleOf("followRedirects: false")).toEqual([`${rule}.followRedirects`]);
  expect(ruleOf("action: async, redirectTo: https://www.example.com")).toEqual([]);
});

test("standby origins without another origin are a fault", () => {
  expect(pathsOf(withOrigin('url: "https://h", standby: true'))).toEqual([`${mirror}.origins`]);
});

test.each([
  ["http://127.0.0.1:8080", "url"],
  ["http://localhost:8081", "url"],
  ["http://[::1]:8080", "url"],
])("the origin %s is this server itself", (url, key) => {
  expect(pathsOf(withOrigin(`url: "${url}", allowPrivate: true`))).toEqual([`${mirror}.origins[0].${key}`]);
});

test("an origin at the listening address is refused at the server's own ports only", () => {
  const at = (url: string) =>
    pathsOf(`server: { host: 10.1.2.3, port: 80, adminPort: 81 }\n${withOrigin(`url: "${url}", allowPrivate: true`)}`);
  expect(at("http://10.1.2.3")).toEqual([`${mirror}.origins[0].url`]);
  expect(at("http://10.1.2.3:81")).toEqual([`${mirror}.origins[0].url`]);
  expect(at("http://10.1.2.3:8000")).toEqual([]);
});
