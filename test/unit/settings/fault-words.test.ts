// Every fault has a Chinese message, without English sentences.
import { expect, test } from "vitest";
import { FAULTS } from "../../../src/settings/fault-words.ts";
import type { Fault } from "../../../src/settings/faults.ts";
import { faultsOf, MINIMAL, withBucket, withMirror, withOrigin } from "./parse.ts";

const SITE = '{ type: site, url: "https://src.example.com" }';
const QINIU = '{ type: qiniu, domain: "http://q.example.com", private: true }';
const key = (keys: string) => MINIMAL.replace("{ secretId: AKID, secretKey: SECRET }", keys);
const rule = (keys: string) => withMirror(`rules: [{ ${keys} }]`);
const s3 = (keys: string) => `store: { type: s3, accessKeyId: A, secretAccessKey: S, ${keys} }\n${MINIMAL}`;
const server = (keys: string) => `server: { ${keys} }\n${MINIMAL}`;

const FAULTY: readonly string[] = [
  // The schema.
  ...["", "projects: []", "- 1", "hello", "projects: 5", `limits:\n${MINIMAL}`, `server: 5\n${MINIMAL}`],
  ...["port: 99999", "port: x", "prot: 80", "colour: red", "workers: many", "host: ' '", "adminHosts: [a b]"].map(
    server,
  ),
  ...["adminToken: 'a b'", "migrationFolders: [x]", "publicScheme: ftp", "publicPort: 0", "healthPath: x"].map(server),
  ...["trustedProxies: [x]", "accessLog: some", "drainDelay: 2h", "drainDelay: 5", "adminToken: [1]"].map(server),
  `limits: { fills: 0, memory: lots, disk: 1, objectSize: 2GiB, renders: many, imageFrames: 1.5 }\n${MINIMAL}`,
  `data: ""\ncoordination: { type: valkey, prefix: "", name: "a b" }\nstore: { type: gcs }\n${MINIMAL}`,
  MINIMAL.replace('"10001234"', "12"),
  ...["name: Photos", "separators: [x, '#']", "separators: 5", "cors: [x]", "grammarEra: 1999"].map(withBucket),
  ...["referers: { domains: [a b] }", "aliases: { 'a b': x }", "aliases: { a: 5 }", "cacheControl: ' x'"].map(
    withBucket,
  ),
  ...["publicDomain: 'a:80'", "publicDomain: 'a b'", "token: 5", "originalProtection: maybe", "aliases: []"].map(
    withBucket,
  ),
  ...["domains: [{ host: 'a b' }]", "domains: [{ host: 5 }]", "callback: { url: x }", "callback: 5"].map(withBucket),
  ...["keyQuery: some", "keyQuery: ['a&b']", "failoverOn: [600]", "allowedTypes: []", "allowedTypes: [psd]"].map(
    withMirror,
  ),
  ...["maxKeys: -1", "timeouts: { connect: 0s }", "timeouts: { connect: 1 }", "origins: []"].map(withMirror),
  ...["match: { prefix: /a, suffix: '', pattern: /a, methods: [PUT], host: a/b }", "redirectStatus: 303"].map(rule),
  ...["fallbackStatus: 500", "path: { addSuffix: '', template: '#', strip: /x }", "setQuery: { a: 'b c' }"].map(rule),
  ...["setQuery: { 'a b': c }", "match: []"].map(rule),
  ...["url: x, host: 'a b', referer: ' ', headers: { a: ' ' }", "url: x, basicAuth: { username: 'a:b' }"].map(
    withOrigin,
  ),
  // Origins and stores.
  ...["url: 'https://a b'", "url: 'https://['", "url: 'https://u:p@a.example'", "url: 'https://a.example?b'"].map(
    withOrigin,
  ),
  ...["url: 'https://a.example#b'", "url: 'https://a.example:25'", "url: 'http://169.254.169.254'"].map(withOrigin),
  ...["url: 'http://10.0.0.1'", "url: 'http://localhost:8080'", "url: 'https://img.example.com'"].map(withOrigin),
  withOrigin("url: 'https://a.example', headers: { Authorization: x }, basicAuth: { username: u, password: p }"),
  withOrigin("url: 'https://a.example', headers: { ' ': x, Host: x, Range: x, A: x, a: x }"),
  withOrigin(`url: "https://a.example", headers: { ${[..."abcdefghijk"].map((name) => `${name}: x`).join(", ")} }`),
  withMirror(`rules: [{ origins: [${QINIU}] }]`),
  withMirror("rules: [{ origins: [{ type: s3, preset: cos, region: r, bucket: b-1, accessKeyId: A }] }]"),
  ...["bucket: b", "bucket: bb", "preset: minio, bucket: bb", "preset: oss, bucket: bb"].map(s3),
  ...["preset: oss, region: '-', bucket: bb", "preset: oss, endpoint: 'https://a.example', bucket: bb"].map(s3),
  ...["preset: oss, region: r, bucket: bb, pathStyle: true", "endpoint: 'https://bb.a.example', bucket: bb"].map(s3),
  ...["endpoint: 'https://a.example', bucket: b.b, pathStyle: false", "preset: oss, region: r, bucket: B_"].map(s3),
  ...["endpoint: 'http://8.8.8.8', bucket: bb, pathStyle: false", "endpoint: x, region: 5, bucket: bb, prefix: /"].map(
    s3,
  ),
  // Rules between keys.
  ...["adminHost: 0.0.0.0", "adminHost: 0.0.0.0, adminToken: short", "adminPort: 8080, host: 127.0.0.1"].map(server),
  server("healthPath: /photos/x"),
  ...[1, 2, 3].map((count) => key(Array(count).fill("{ secretId: A, secretKey: S, enabled: false }").join(", "))),
  withBucket('domains: [{ host: "*" }, { host: "*" }, { host: a.example }, { host: a.example }]'),
  MINIMAL.replace("{ name: photos }", "{ name: photos, domains: [{ host: b-10001234.localhost }] }, { name: b }"),
  MINIMAL.replace("{ name: photos }", "{ name: a, publicDomain: b-10001234.localhost }, { name: b, publicDomain: c }"),
  ...["url: 'https://a.example/#b'", "url: 'https://u@a.example'", "url: 'https://a.example/?a b'"].map((url) =>
    withBucket(`callback: { ${url}, secret: s }`),
  ),
  ...["timeouts: { total: 1s }", "processedMiss: origin, rules: [{ fallbackKey: ../x }]"].map(withMirror),
  rule("processedMiss: origin, origins: [{ type: s3, preset: aws, bucket: bb }]"),
  rule(`origins: [${SITE.replace("}", ", standby: true }")}]`),
  ...["strip: a", "stripSuffix: a", "file: a, add: b", "template: x, add: a, addSuffix: b", "add: a/../b"].map((path) =>
    rule(`path: { ${path} }`),
  ),
  ...["passHeaders: { allow: [Cookie, ' '] }", "redirectTo: 'https://img.example.com'"].map(rule),
  rule(`setQuery: { ${[..."abcdefghijk"].map((name) => `${name}: x`).join(", ")} }`),
  rule(`action: redirect, followRedirects: false, origins: [${QINIU}]`),
  ...["separators: [], aliases: { a: imageView2/2 }", "separators: ['~']", "aliases: { 'a!': x }"].map(withBucket),
  withBucket("aliases: { a: imageView2/2/w/x }, styles: { a: imageView2/2 }"),
  withBucket(`styles: { ${Array.from({ length: 101 }, (_, at) => `a${at}: imageView2/2/w/9`).join(", ")} }`),
  // Secrets, files and YAML.
  ...["env:", "env:NOPE", "env:EMPTY", "file:", "file:gone", "file:a.html", "file:empty", "'[secret]'"].map((secret) =>
    key(`{ secretId: A, secretKey: ${secret} }`),
  ),
  ...["notFound: { file: gone.html }", "notFound: { file: data/x.html }"].map(withBucket),
  `data: .\n${MINIMAL}`,
  `data: /srv\nserver: { migrationFolders: [/srv/a] }\n${MINIMAL}`,
  `data: *gone\ndata: b\n${MINIMAL}`,
  ...["a: &  b", 'a: "\\q"', " a: 1\nb: 2", "a: @b", "a: b: c", "a: [\n- b\n]", "a: [", "a\nb: 1", "a: 1\n---\nb: 1"],
  ...["[".repeat(9_999), "a:\n\tb: 1", "a: !b c", "a: }"],
  `a: &a [${"x,".repeat(9)}]\nb: &b [${"*a,".repeat(9)}]\nc: &c [${"*b,".repeat(9)}]\nd: [${"*c,".repeat(9)}]`,
];

const found = FAULTY.flatMap((text) => {
  const faults = faultsOf(text, { env: { EMPTY: "" }, files: { "/etc/huiyuan/empty": "" } });
  return faults.length > 0 ? faults : [{ path: text, message: "", zh: "" } as Fault];
});

/** Names and values may stand in a Chinese message: one word at a time, in quotes, or as these terms. */
const TERMS = /"(?:[^"\\]|\\.)*"|`[^`]*`|\([A-Z]+\)|REST API|export \w+|grammarEra: \w+|docs\/\S+|- _ \/ !/g;

test("every faulty file has faults, and each has a message in Chinese", () => {
  expect(found.filter(({ message, zh }) => message === "" || !/\p{Script=Han}/u.test(zh))).toEqual([]);
});

test("no Chinese message has English phrases", () => {
  const zh = [...found.map((fault) => fault.zh), ...Object.values(FAULTS).map(([, text]) => text)];
  expect(
    zh.map((text) => text.replace(TERMS, "")).filter((text) => /[A-Za-z]{2,}(?:,)? [A-Za-z]{2,}/.test(text)),
  ).toEqual([]);
});

test("Chinese messages have the numbers and quoted values of the English ones", () => {
  const valuesIn = (text: string) => new Set(text.match(/\d+|"(?:[^"\\]|\\.)*"/g));
  const others = found.filter(({ message, zh }) => [...valuesIn(zh)].some((value) => !valuesIn(message).has(value)));
  expect(others.map(({ message, zh }) => [message, zh])).toEqual([]);
});

test("the Chinese message of a fault has the values of the English one", () => {
  const namesIn = (text: string) => [...new Set(text.match(/\{\w+\}/g))].sort();
  // A Chinese number has no type, and instructions have messages of their own.
  const others = Object.entries(FAULTS).filter(([name]) => !["quotes", "instruction"].includes(name));
  expect(others.map(([, [en]]) => namesIn(en))).toEqual(others.map(([, [, zh]]) => namesIn(zh)));
});
