import { expect, test } from "vitest";
import { formatPath } from "../../../src/settings/faults.ts";
import { faultsOf, MINIMAL, pathsOf, withBucket } from "./parse.ts";

test("parseSettings() lists every fault of a file in order, with its position", () => {
  const text = `server:
  port: 99999
  prot: 80
limits:
  fills: 0
  memory: lots
projects:
  - appid: 12
    keys:
      - { secretId: A, secretKey: env:NOPE }
      - { secretId: A, enabled: maybe }
    buckets:
      - name: Photos
        cachecontrol: none
        callback: { url: x }
        domains:
          - host: "*"
          - host: "*"
`;
  expect(faultsOf(text).map(({ path, line, column }) => `${line}:${column} ${path}`)).toEqual([
    "2:9 server.port",
    "3:3 server.prot",
    "5:10 limits.fills",
    "6:11 limits.memory",
    "8:12 projects[0].appid",
    "10:35 projects[0].keys[0].secretKey",
    "11:9 projects[0].keys[1].secretKey",
    "11:21 projects[0].keys[1].secretId",
    "11:33 projects[0].keys[1].enabled",
    "13:15 projects[0].buckets[0].name",
    "14:9 projects[0].buckets[0].cachecontrol",
    "15:9 projects[0].buckets[0].callback.secret",
    "15:26 projects[0].buckets[0].callback.url",
    "18:19 projects[0].buckets[0].domains[1].host",
  ]);
});

test.each([
  ["modes", "unknown key `modes`; did you mean `mode`?"],
  ["Domians", "unknown key `Domians`; did you mean `domains`?"],
  ["colour", "unknown key `colour`; docs/reference/settings.md lists all keys"],
])("parseSettings() names the nearest key, if the unknown key %s has one", (key, message) => {
  expect(faultsOf(withBucket(`referers: { ${key}: x }`)).map((fault) => fault.message)).toEqual([message]);
});

test("parseSettings() reports a misspelt key once, not also as missing", () => {
  expect(pathsOf(MINIMAL.replace("appid:", "apid:"))).toEqual(["projects[0].apid"]);
  expect(pathsOf(MINIMAL.replace("appid:", "colour:"))).toEqual(["projects[0].appid", "projects[0].colour"]);
});

test("parseSettings() reports two unknown keys of one mapping as two faults", () => {
  expect(pathsOf(`server: { wokers: 1, colour: red }\n${MINIMAL}`)).toEqual(["server.wokers", "server.colour"]);
});

test("parseSettings() gives each unknown key its own message, if one has a line break", () => {
  const faults = faultsOf(`server: { "po\\nrt": 1, wokers: 1, colour: red }\n${MINIMAL}`);
  expect(faults.map(({ path, message }) => [path, message])).toEqual([
    ['server["po\\nrt"]', "unknown key `po\nrt`; did you mean `port`?"],
    ["server.wokers", "unknown key `wokers`; did you mean `workers`?"],
    ["server.colour", "unknown key `colour`; docs/reference/settings.md lists all keys"],
  ]);
});

test("formatPath() quotes parts that are not plain words", () => {
  expect(formatPath(["projects", 0, "buckets", 1, "aliases", "a.b"])).toBe('projects[0].buckets[1].aliases["a.b"]');
});

test.each([
  ["an empty file", "", "projects"],
  ["a comment only", "# nothing\n", "projects"],
  ["a list", "- 1\n", ""],
  ["text", "hello\n", ""],
  ["a server that is not a mapping", `server: 5\n${MINIMAL}`, "server"],
  ["an empty section", `limits:\n${MINIMAL}`, "limits"],
  ["an empty project list", "projects: []\n", "projects"],
])("parseSettings() refuses %s", (_, text, path) => {
  expect(pathsOf(text)).toEqual([path]);
});

test.each([
  ["a duplicate key", `data: a\ndata: b\n${MINIMAL}`, 2],
  ["a tab", `server:\n\tport: 1\n${MINIMAL}`, 2],
  ["an open bracket", `${MINIMAL}data: [\n`, 6],
  ["a second document", `${MINIMAL}---\na: 1\n`, 5],
  ["an unknown alias", `data: *nowhere\n${MINIMAL}`, 1],
  ["an unknown tag", `data: !secret x\n${MINIMAL}`, 1],
])("parseSettings() refuses %s at its line", (_, text, line) => {
  expect(faultsOf(text)[0]?.line).toBe(line);
});

test("parseSettings() reports other faults beside a duplicate key", () => {
  expect(faultsOf(`data: a\ndata: b\nserver: { port: x }\n${MINIMAL}`)).toMatchObject([
    { line: 2, message: "this key is repeated in the same mapping" },
    { line: 3, path: "server.port" },
  ]);
});

test("parseSettings() refuses an alias bomb and too deep nesting", () => {
  const bomb = ["a: &a [x, x, x, x, x, x, x, x, x, x]"];
  for (const [index, name] of [..."bcdefg"].entries()) {
    const previous = "abcdef"[index];
    bomb.push(`${name}: &${name} [${Array(10).fill(`*${previous}`).join(", ")}]`);
  }
  expect(faultsOf(bomb.join("\n"))).toHaveLength(1);
  expect(faultsOf("[".repeat(100_000)).length).toBeGreaterThan(0);
});

test("parseSettings() reports broken syntax once a line, at most ten times", () => {
  expect(faultsOf("a: } } }\n").length).toBe(1);
  expect(faultsOf("a: }\n".repeat(50)).length).toBeLessThanOrEqual(10);
});

test("parseSettings() explains the form of an S3 bucket's name", () => {
  const store = "{ type: s3, endpoint: http://a.example, region: r, bucket: b, accessKeyId: A, secretAccessKey: S }";
  expect(faultsOf(`store: ${store}\n${MINIMAL}`)).toMatchObject([
    { path: "store.bucket", message: expect.stringContaining("2 to 255") },
  ]);
});
