import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import {
  type AnswerFacts,
  assessHead,
  type RawHeaders,
} from "../../../../../src/serve/origin/exchange/response-head.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");

function assess(status: number, headers: RawHeaders = {}, isConditional = false) {
  return assessHead({ status, headers }, { maxBytes: 1000, label: "http://h/a", now: NOW, isConditional });
}

function facts(headers: RawHeaders): AnswerFacts {
  const verdict = assess(200, headers);
  if (verdict.kind !== "answer") throw new Error(verdict.kind);
  return verdict.facts;
}

test("assessHead() returns absent for 404 and 410, and redirect for the five redirect statuses", () => {
  expect([assess(404).kind, assess(410).kind]).toEqual(["absent", "absent"]);
  for (const status of [301, 302, 303, 307, 308]) {
    expect(assess(status, { location: "/b" })).toEqual({ kind: "redirect", location: "/b" });
  }
});

const REFUSED = [
  [201, {}, "origin_unexpected"],
  [204, {}, "origin_unexpected"],
  [206, { "content-range": "bytes 0-9/10" }, "origin_unexpected"],
  [304, {}, "origin_unexpected"],
  [300, {}, "origin_status"],
  [400, {}, "origin_status"],
  [403, {}, "origin_status"],
  [405, {}, "origin_status"],
  [500, {}, "origin_status"],
  [503, {}, "origin_status"],
  [200, { "content-encoding": "zstd" }, "origin_encoded"],
  [200, { "content-encoding": "gzip, br" }, "origin_encoded"],
  [200, { "content-encoding": ["gzip", "gzip"] }, "origin_encoded"],
  [200, { "content-encoding": "gzip", "transfer-encoding": "gzip, chunked" }, "origin_encoded"],
  [200, { "content-encoding": "gzip", "content-length": "1001" }, "origin_too_large"],
  [200, { "transfer-encoding": "gzip, chunked" }, "origin_encoded"],
  [200, { "content-length": "1001" }, "origin_too_large"],
] as const;

for (const [status, headers, code] of REFUSED) {
  test(`assessHead() throws ${code} for ${status} ${JSON.stringify(headers)}`, () => {
    expect(() => assess(status, headers)).toThrow(expect.objectContaining({ code }));
  });
}

test("assessHead() throws with the origin's status and its Retry-After", () => {
  const waits: readonly (readonly [string, number | undefined])[] = [
    ["7", 7],
    ["Thu, 01 Jan 2026 00:00:30 GMT", 30],
    ["Thu, 01 Jan 2025 00:00:00 GMT", 0],
    ["99999999", 86_400],
    ["soon", undefined],
    ["2026-01-01T00:00:30Z", undefined],
  ];
  for (const [text, retryAfterSeconds] of waits) {
    expect(() => assess(429, { "retry-after": text })).toThrow(
      expect.objectContaining({ code: "origin_status", originStatus: 429, retryAfterSeconds }),
    );
  }
});

test("assessHead() reads size and framing", () => {
  const cases: readonly (readonly [RawHeaders, AnswerFacts["size"], AnswerFacts["framing"]])[] = [
    [{ "content-length": "1000" }, 1000, "length"],
    [{ "content-length": "0", "content-encoding": "identity" }, 0, "length"],
    [{ "transfer-encoding": "chunked" }, undefined, "chunked"],
    [{}, undefined, "close"],
  ];
  for (const [headers, size, framing] of cases) {
    expect([facts(headers).size, facts(headers).framing]).toEqual([size, framing]);
  }
});

test("assessHead() reads one coding, whose length is not that of the image", () => {
  const cases: readonly (readonly [RawHeaders, AnswerFacts["coding"]])[] = [
    [{ "content-encoding": "gzip", "content-length": "9" }, "gzip"],
    [{ "content-encoding": "X-GZip", "transfer-encoding": "chunked" }, "gzip"],
    [{ "content-encoding": ["identity", "br"] }, "br"],
    [{ "content-encoding": " deflate ," }, "deflate"],
  ];
  for (const [headers, coding] of cases)
    expect(facts(headers)).toMatchObject({ coding, size: undefined, framing: "chunked" });
  for (const headers of [{}, { "content-encoding": "identity" }, { "content-encoding": "" }])
    expect(facts({ ...headers, "content-length": "9" })).toMatchObject({ coding: undefined, size: 9 });
});

test("assessHead() returns only listed headers and validators, and none that is long or not visible ASCII", () => {
  const kept = facts({
    "content-disposition": 'inline; filename="a.jpg"',
    "content-language": "x".repeat(1025),
    "set-cookie": "a=b",
    "cache-control": "no-store",
    etag: '"v1"',
    "last-modified": "\u00ff",
  });
  expect(kept.headers).toEqual({ "content-disposition": 'inline; filename="a.jpg"' });
  expect([kept.etag, kept.lastModified]).toEqual(['"v1"', undefined]);
});

test("assessHead() accepts a 304 if the request was conditional", () => {
  const headers = { etag: 'W/"v2"', "cache-control": ["max-age=5", "no-cache"], date: "now", age: "3", expires: "0" };
  expect(assess(304, headers, true)).toEqual({
    kind: "not-modified",
    facts: {
      etag: 'W/"v2"',
      lastModified: undefined,
      life: { cacheControl: "max-age=5, no-cache", date: "now", age: "3", expires: "0" },
    },
  });
  expect(assess(304, {}, true)).toEqual({
    kind: "not-modified",
    facts: { etag: undefined, lastModified: undefined, life: {} },
  });
});

const digest = (algorithm: string) => createHash(algorithm).update("x").digest();
const base64 = (algorithm: string) => digest(algorithm).toString("base64");

const DIGESTS: readonly (readonly [string, RawHeaders, object])[] = [
  ["Content-MD5", { "content-md5": base64("md5") }, { md5: digest("md5") }],
  ["Repr-Digest", { "repr-digest": `sha-256=:${base64("sha256")}:` }, { sha256: digest("sha256") }],
  [
    "Content-Digest",
    { "content-digest": `sha-512=:AA==:, sha-256=:${base64("sha256")}:;p=1` },
    { sha256: digest("sha256") },
  ],
  [
    "Digest",
    { digest: `SHA-256=${base64("sha256")},MD5=${base64("md5")},SHA=${base64("sha1")}` },
    { sha256: digest("sha256"), md5: digest("md5"), sha1: digest("sha1") },
  ],
  [
    "the newer of two different ones",
    { "content-md5": base64("md5"), "content-digest": `md5=:${Buffer.alloc(16).toString("base64")}:` },
    { md5: Buffer.alloc(16) },
  ],
];

for (const [name, headers, wanted] of DIGESTS) {
  test(`assessHead() reads ${name}`, () => expect(facts(headers).digests).toEqual(wanted));
}

test("assessHead() ignores malformed digests and an ETag that looks like one", () => {
  const headers = {
    "content-md5": "AAAA",
    digest: "md5, sha-256=%%%, constructor=AAAAAAAAAAAAAAAAAAAAAA==",
    "repr-digest": "sha-256=AA==, sha-256=::",
    etag: `"${digest("md5").toString("hex")}"`,
  };
  expect(facts(headers).digests).toEqual({});
});
