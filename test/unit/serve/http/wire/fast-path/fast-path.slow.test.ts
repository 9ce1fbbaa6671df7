// The fast path and node's server give the same responses to the same bytes.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../../src/core/errors.ts";
import { toKey } from "../../../../../../src/core/object.ts";
import type { Site } from "../../../../../../src/serve/http/request/site.ts";
import { createCacheControl } from "../../../../../../src/serve/http/response/cache-control.ts";
import { parseInstruction } from "../../../../../../src/serve/image/grammar/grammar.ts";
import { nameRecipe } from "../../../../../../src/serve/image/grammar/named-recipe.ts";
import { makeToken } from "../../../../../../src/serve/sign/token.ts";
import { createVerifiedTokens } from "../../../../../../src/serve/sign/verified.ts";
import { converse } from "../../../../../helpers/converse.ts";
import { type FastPathLab, startDownloadLab, startFastPathLab } from "../../../../../helpers/fast-path-lab.ts";
import { storedLab } from "../../../../../helpers/mirror-lab.ts";
import { FIELDS, KEYS, NOW, SECRET_KEYS } from "../../../../../helpers/tokens.ts";
import { infoOf, randomBytes, wholeBody } from "../../../../../helpers/whole-body.ts";

const IN_MEMORY = "a/b.jpg";
const ON_DISK = "disk.jpg";
const LARGE = "large.jpg";
const TOKEN = encodeURIComponent(makeToken(FIELDS, SECRET_KEYS.AKIDONE));

let lab: FastPathLab;
let etag: string;

beforeAll(async () => {
  const { stored } = storedLab();
  for (const [name, bytes] of [
    [IN_MEMORY, 5_000],
    [ON_DISK, 3_000],
    [LARGE, 400_000],
  ] as const) {
    const body = wholeBody(randomBytes(bytes));
    const info = infoOf(toKey(name), body);
    // Only an object whose key was absent is taken into memory.
    await stored.put(info, body, { when: name === IN_MEMORY ? "absent" : "always" });
    if (name === IN_MEMORY) etag = `"${info.hashes.sha256.slice(0, 32)}"`;
  }
  const tokens = createVerifiedTokens({ keys: KEYS });
  const scope = { operation: "download", appid: "10001234", bucket: "photos", userid: "0", acceptV1: true } as const;
  const site: Site = {
    domain: "*",
    stored,
    source: undefined,
    isProjectEnabled: true,
    separators: ["!"],
    aliases: new Map([["small", nameRecipe(parseInstruction("imageView2/2/w/20", { era: 2015 }))]]),
    styles: [],
    acceptsInstructions: true,
    era: 2015,
    originalAuthorizer: undefined,
    variants: {
      peek: () => undefined,
      get: () => Promise.reject(new HuiyuanError("render_overloaded", "no renderer here", { retryAfterSeconds: 2 })),
      preview: async () => ({ found: undefined, refusal: undefined }),
      list: async () => ({ variants: [], next: undefined }),
      drop: () => Promise.resolve(),
    },
    referers: undefined,
    authorizer: undefined,
    cacheControl: createCacheControl("public, max-age=86400"),
    cors: ["*"],
    notFoundPage: undefined,
  };
  const sites: Record<string, Site> = {
    "open.example": site,
    "signed.example": {
      ...site,
      authorizer: {
        admit(sign, fileid) {
          const grant = tokens.verify(sign ?? "", { ...scope, fileid, oneTimeDownloads: "reuse" }, NOW);
          if (grant.kind !== "multi-use") return { scope: { kind: "reusable-one-time" }, spend: undefined };
          return {
            scope: { kind: "signed", mode: "private", expiresInSeconds: grant.expires - NOW },
            spend: undefined,
          };
        },
        boundFile: tokens.boundFile,
      },
    },
    "strict.example": {
      ...site,
      cors: ["https://a.example"],
      referers: { mode: "allow", domains: ["a.example"], allowEmpty: true },
      notFoundPage: { body: Buffer.from("gone"), mediaType: "text/plain" },
    },
    "off.example": { ...site, isProjectEnabled: false },
  };
  lab = await startDownloadLab({
    registry: { sites: { find: (host) => sites[host] } },
    healthPath: () => "/health",
  });
});
afterAll(() => lab.stop());

const head = (line: string, fields: readonly string[]) => [line, ...fields, "", ""].join("\r\n");
const PLAIN = head(`GET /${IN_MEMORY}?sign=${TOKEN} HTTP/1.1`, ["Host: signed.example", "Accept: */*"]);
/** The offer to upgrade that curl and Java's client send. */
const OFFER = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"];

const line = fc
  .record({
    method: fc.constantFrom("GET", "GET", "GET", "HEAD", "OPTIONS", "PUT", "get", ""),
    path: fc.oneof(
      fc.constantFrom(IN_MEMORY, ON_DISK, LARGE, "a%2Fb.jpg", "%61/b.jpg", "a/b.jpg!small", "none.jpg", "a/../b", ""),
      fc.constantFrom(
        "caf\xc3\xa9.jpg",
        "caf\xe9.jpg",
        "%zz",
        "a b.jpg",
        "a#b",
        'a"b',
        "photos/v2/1/photos/0/x",
        "x".repeat(1_100),
      ),
      fc.webPath().map((path) => path.slice(1)),
    ),
    query: fc.oneof(
      fc.constantFrom("", "", `?sign=${TOKEN}`, `?sign=${TOKEN}&sign=${TOKEN}`, "?sign=%", "?imageView2/2/w/9", "?a=b"),
      fc.constantFrom("?exif%2F\xe9", "?exif/\xe9", "?a=\xc3\xa9", "?sign=\xe9"),
      fc.webQueryParameters().map((query) => `?${query}`),
    ),
    version: fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1", "HTTP/1.1 "),
    slash: fc.constantFrom("/", "/", "/", "", "//", "http://open.example/"),
  })
  .map(({ method, slash, path, query, version }) => `${method} ${slash}${path}${query} ${version}`);

const field = fc
  .tuple(
    fc.oneof(
      fc.constantFrom("Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since"),
      fc.constantFrom("Origin", "Referer", "Cookie", "Accept", "Accept-Encoding", "X-A", "Connection", "Keep-Alive"),
      fc.constantFrom("Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "TE", "__proto__", "constructor"),
      fc.string({ maxLength: 6, unit: fc.constantFrom(..."aZ09-_ :\t!é(\0") }),
    ),
    fc.oneof(
      fc.constantFrom("bytes=0-9", "bytes=0-1,5-9", "bytes=-3", "bytes=99999-", "*", "0", "close", "keep-alive"),
      fc.constantFrom("https://a.example", "https://b.example/x", "Sat, 01 Jan 2000 00:00:00 GMT", "ETAG", 'W/"x"'),
      fc.constantFrom("Sat, 01 Jan 2050 00:00:00 GMT", "chunked", "100-continue", "x".repeat(9_000), "a\rb", "a\nb"),
      fc.string({ maxLength: 6, unit: fc.constantFrom(..."aZ \t\x7f\xe9\xa0\x01:,") }),
    ),
    fc.constantFrom(":", ":", ": ", ": ", ": ", ":\t ", " :", ""),
    fc.constantFrom("", "", "", " ", "\t", "\xa0"),
    fc.nat(2),
  )
  .map(([name, value, colon, after, spelling]) => {
    const spelled = [name, name.toLowerCase(), name.toUpperCase()][spelling];
    return `${spelled}${colon}${value === "ETAG" ? etag : value}${after}`;
  });

const request = fc
  .record({
    line,
    host: fc.constantFrom("open.example", "signed.example", "strict.example", "off.example", "OPEN.example.:80", "a b"),
    before: fc.array(field, { maxLength: 2 }),
    after: fc.array(field, { maxLength: 2 }),
    end: fc.constantFrom("\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r\n "),
  })
  .map(
    ({ line: first, host, before, after, end }) => `${[first, ...before, `Host: ${host}`, ...after].join(end)}\r\n\r\n`,
  );

/** Half of the requests name stored objects, so that conditions and ranges are tested. */
const sensible = fc
  .record({
    method: fc.constantFrom("GET", "HEAD"),
    path: fc.constantFrom(IN_MEMORY, ON_DISK, LARGE),
    host: fc.constantFrom("open.example", "signed.example", "strict.example"),
    fields: fc.array(field, { maxLength: 3 }),
  })
  .map(({ method, path, host, fields }) =>
    head(`${method} /${path}?sign=${TOKEN} HTTP/1.1`, [`hOsT:${host} `, ...fields]),
  );

const any = fc.oneof(sensible, request);

describe("the fast path and node's server give the same response", () => {
  test("to any request", async () => {
    const before = lab.onFastPath;
    await fc.assert(
      fc.asyncProperty(any, async (bytes) => {
        expect(await converse(lab.fast, [bytes], 1)).toEqual(await converse(lab.plain, [bytes], 1));
      }),
      { numRuns: 250 },
    );
    // Otherwise node's server would have been compared with itself.
    expect(lab.onFastPath - before).toBeGreaterThan(15);
  });

  test("to any request in any pieces", async () => {
    await fc.assert(
      fc.asyncProperty(any, fc.array(fc.nat(400), { minLength: 1, maxLength: 3 }), async (bytes, cuts) => {
        // Node reports only the last piece of an unreadable head, so an API call is not recognized.
        fc.pre(!bytes.includes("/photos/"));
        const ends = [...cuts, bytes.length].sort((left, right) => left - right);
        const pieces = ends.map((end, index) => bytes.slice(ends[index - 1] ?? 0, end)).filter((piece) => piece !== "");
        expect(await converse(lab.fast, pieces, 1)).toEqual(await converse(lab.plain, [bytes], 1));
      }),
      { numRuns: 100 },
    );
  });

  test("to a request that expects 100 Continue", async () => {
    for (const fields of [[], ["Content-Length: 3"]]) {
      const bytes = head(`GET /${IN_MEMORY} HTTP/1.1`, ["Host: open.example", "Expect: 100-continue", ...fields]);
      const [answer, ...more] = await converse(lab.plain, [bytes], 1);
      expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
      expect(await converse(lab.fast, [bytes], 1)).toEqual([answer, ...more]);
    }
  });

  test("to a plain request cut at every position", async () => {
    const whole = await converse(lab.plain, [PLAIN], 1);
    expect(whole[0]).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    for (let at = 1; at < PLAIN.length; at += 1) {
      expect([at, ...(await converse(lab.fast, [PLAIN.slice(0, at), PLAIN.slice(at)], 1))]).toEqual([at, ...whole]);
    }
  });

  test("to pipelined requests, in one piece or each in its own", async () => {
    const gets = fc.array(
      fc.constantFrom(
        PLAIN,
        head(`GET /${ON_DISK} HTTP/1.1`, ["Host: open.example"]),
        head(`GET /${LARGE} HTTP/1.1`, ["Host: open.example", "Range: bytes=5-399000"]),
        head("GET /none.jpg HTTP/1.1", ["Host: open.example"]),
        head(`GET /${IN_MEMORY} HTTP/1.1`, ["Host: open.example", "Accept: */*", "accept: image/*"]),
        "POST / HTTP/1.1\r\nHost: open.example\r\nContent-Length: 3\r\n\r\nabc",
      ),
      { minLength: 2, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(gets, fc.boolean(), async (requests, isOnePiece) => {
        const pieces = isOnePiece ? [requests.join("")] : requests;
        const expected = await converse(lab.plain, pieces, requests.length);
        expect(expected).toHaveLength(requests.length);
        expect(await converse(lab.fast, pieces, requests.length)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});

test.each([
  ["a query", `/${IN_MEMORY}?\xe7\x89\x88=1`, `/${IN_MEMORY}?%E7%89%88=1`, 200],
  ["a path", "/\xe5\x9b\xbe.jpg", "/%E5%9B%BE.jpg", 404],
  ["a path that is no UTF-8", "/\xe5.jpg", "/%E5.jpg", 400],
])(
  "createFastPath() treats raw bytes beyond ASCII, which node's server refuses, as escaped: %s",
  async (_what, raw, escaped, status) => {
    const [answer, expected] = [raw, escaped].map((target) =>
      converse(lab.fast, [head(`GET ${target} HTTP/1.1`, ["Host: open.example"])], 1),
    );
    expect(await answer).toEqual(await expected);
    expect((await answer)?.[0]).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  },
);

const RAW_AND_ESCAPED = ["/\xe5\x9b\xbe.jpg?\xe7", "/%E5%9B%BE.jpg?%E7"] as const;

test.each([
  [
    "Connection: close",
    (target: string) => head(`GET ${target} HTTP/1.1`, ["Host: open.example", "Connection: close"]),
  ],
  ["HTTP/1.0", (target: string) => head(`GET ${target} HTTP/1.0`, ["Host: open.example"])],
  ["a foreign method", (target: string) => head(`PURGE ${target} HTTP/1.1`, ["Host: open.example"])],
  ["an absolute target", (target: string) => head(`GET http://open.example${target} HTTP/1.1`, ["Host: open.example"])],
  ["the REST API", (target: string) => head(`GET /photos/v2${target} HTTP/1.1`, ["Host: open.example"])],
])("createFastPath() escapes raw bytes beyond ASCII: %s", async (_what, requestOf) => {
  const [answer, expected] = RAW_AND_ESCAPED.map((target) => converse(lab.fast, [requestOf(target)], 1));
  expect(await answer).toEqual(await expected);
  expect((await answer)?.[0]).not.toContain("the request is not valid");
});

test("createFastPath() escapes raw bytes in a target, wherever it is cut", async () => {
  const [raw, escaped] = RAW_AND_ESCAPED.map((target) => head(`GET ${target} HTTP/1.1`, ["Host: open.example"]));
  const expected = await converse(lab.fast, [escaped as string], 1);
  for (let at = 1; at < (raw as string).length; at += 1) {
    expect(await converse(lab.fast, [(raw as string).slice(0, at), (raw as string).slice(at)], 1)).toEqual(expected);
  }
});

const HOST = "Host: open.example";

describe.each([
  ["nothing", ""],
  ["an empty line", "\r\n"],
  ["a plain request", PLAIN],
  ["an absolute target", head("GET http://open.example/none.jpg HTTP/1.1", [HOST])],
  ["a method that is not served", head("DELETE /none.jpg HTTP/1.1", [HOST])],
  ["a raw target in a head that is not plain", head("GET /\xe5\x9b\xbe.jpg HTTP/1.1", [HOST, "Content-Length: 0"])],
  ["a body", `${head("POST /x HTTP/1.1", [HOST, "Content-Length: 5"])}hello`],
  [
    "a body that looks like a request",
    `${head("POST /x HTTP/1.1", [HOST, `Content-Length: ${PLAIN.length}`])}${PLAIN}`,
  ],
  ["a body of line ends", `${head("POST /x HTTP/1.1", [HOST, "Content-Length: 4002"])}${"\r\n".repeat(2_001)}`],
  ["an offer to upgrade", head("POST /x HTTP/1.1", [HOST, ...OFFER, "Content-Length: 0"])],
])("raw bytes in a target after %s", (_what, before) => {
  const [raw, escaped] = RAW_AND_ESCAPED.map((target) => head(`GET ${target} HTTP/1.1`, [HOST]));
  const answers = before === "" || before === "\r\n" ? 1 : 2;

  test.each([
    ["on the fast path", () => lab.fast],
    ["where node's server answers", () => lab.plain],
  ])("are answered as if they were escaped, %s", async (_where, port) => {
    const expected = await converse(port(), [`${before}${escaped}`], answers);
    expect(expected).toHaveLength(answers);
    expect(expected.at(-1)).toMatch(/^HTTP\/1\.1 404 /);
    expect(await converse(port(), [`${before}${raw}`], answers)).toEqual(expected);
    expect(await converse(port(), [before, raw as string], answers)).toEqual(expected);
    const pieces = `${before}${raw}`.match(/.{1,7}/gs) ?? [];
    expect(await converse(port(), pieces, answers)).toEqual(expected);
  });
});

test("createFastPath() hands over a head with raw bytes in its values unchanged", async () => {
  const raw = head("GET /x HTTP/1.0", ["Host: open.example", "X-A: \xe5\x9b\xbe"]);
  expect(await converse(lab.fast, [raw], 1)).toEqual(await converse(lab.plain, [raw], 1));
});

test.each([
  ["a plain GET", PLAIN, 1],
  ["a HEAD", PLAIN.replace("GET", "HEAD"), 1],
  ["a GET of what is not in memory", head(`GET /${LARGE} HTTP/1.1`, ["Host: open.example"]), 1],
  ["Connection: keep-alive", head("GET /x HTTP/1.1", ["Host: open.example", "connection: Keep-Alive"]), 1],
  ["Connection: close", head("GET /x HTTP/1.1", ["Host: open.example", "Connection: close"]), 0],
  ["an offer of HTTP/2", head("GET /x HTTP/1.1", ["Host: open.example", ...OFFER]), 1],
  ["an offer and something behind it", head("GET /x HTTP/1.1", ["Host: open.example", ...OFFER]) + PLAIN, 0],
  ["HTTP/1.0", head("GET /x HTTP/1.0", ["Host: open.example"]), 0],
  ["no Host", head("GET /x HTTP/1.1", ["Accept: */*"]), 0],
  ["a path of the REST API", head("GET /photos/v2/1 HTTP/1.1", ["Host: open.example"]), 0],
  ["a health check", head("GET /health?x HTTP/1.1", ["Host: open.example"]), 0],
  ["a path like the health path", head("GET /healthy HTTP/1.1", ["Host: open.example"]), 1],
  ["a body", `${head("GET /x HTTP/1.1", ["Host: open.example", "Content-Length: 1"])}x`, 0],
  ["two requests in one piece", PLAIN + PLAIN, 0],
  ["a request and half of another in one piece", PLAIN + PLAIN.slice(0, 20), 0],
])("createFastPath() decides whether a request is plain: %s", async (_what, bytes, count) => {
  const before = lab.onFastPath;
  await converse(lab.fast, [bytes], Math.max(1, count));
  expect(lab.onFastPath - before).toBe(count);
});

test("responses with and without a length, in any pieces, are framed as node's server frames them", async () => {
  const answer = fc.record({
    status: fc.constantFrom(200, 206, 304, 404, 499, 503, 599),
    hasLength: fc.boolean(),
    pieces: fc.array(fc.nat(70_000), { maxLength: 4 }),
    isHead: fc.boolean(),
  });
  let current: { status: number; hasLength: boolean; pieces: number[] };
  const framing = await startFastPathLab((_request, response) => {
    const { status, hasLength, pieces } = current;
    const total = pieces.reduce((sum, bytes) => sum + bytes, 0);
    response.writeHead(status, ["X-A", "b"], hasLength ? ["Content-Length", String(total)] : []);
    const bodies = pieces.map((bytes) => Buffer.alloc(bytes, "x"));
    const last = bodies.pop();
    for (const body of bodies) response.write(body);
    response.end(last);
  });
  try {
    await fc.assert(
      fc.asyncProperty(answer, async ({ isHead, ...rest }) => {
        current = rest;
        const bytes = head(`${isHead ? "HEAD" : "GET"} / HTTP/1.1`, ["Host: a.example"]);
        const expected = await converse(framing.plain, [bytes], 1);
        expect(await converse(framing.fast, [bytes], 1)).toEqual(expected);
      }),
      { numRuns: 100 },
    );
    expect(framing.onFastPath).toBeGreaterThan(99);
  } finally {
    await framing.stop();
  }
});

test("raw bytes beyond ASCII arrive escaped, from the fast path and from node's server", async () => {
  const seen: unknown[] = [];
  const listening = await startFastPathLab(({ url }, response) => {
    seen.push(url);
    response.writeHead(200, ["Content-Length", "0"]);
    response.end();
  });
  try {
    const bytes = head("GET /caf\xc3\xa9?exif%2F\xe9 HTTP/1.1", ["Host: a.example"]);
    for (const port of [listening.fast, listening.plain]) await converse(port, [bytes], 1);
    expect(seen).toEqual(["/caf%C3%A9?exif%2F%E9", "/caf%C3%A9?exif%2F%E9"]);
    expect(listening.onFastPath).toBe(1);
  } finally {
    await listening.stop();
  }
});
