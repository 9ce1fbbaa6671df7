// The contract of every kind of origin, for any server behaviour. A new kind is one line in the table.
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { SILENT_LOG } from "../../src/core/log.ts";
import { createHttpOrigin, type HttpOriginOptions } from "../../src/serve/origin/kinds/http-origin.ts";
import { qiniuRules } from "../../src/serve/origin/kinds/qiniu.ts";
import { s3Rules } from "../../src/serve/origin/kinds/s3.ts";
import { siteRules } from "../../src/serve/origin/kinds/site.ts";
import type { Origin } from "../../src/serve/origin/origin.ts";
import { INSIDE_ANSWERS, INSIDE_HOSTS } from "../helpers/inside-hosts.ts";
import {
  chunk,
  head,
  response,
  type Script,
  type ScriptedOrigin,
  startScriptedOrigin,
} from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { ask, codeOf, fetchWhole } from "../helpers/site-under-test.ts";

interface Kind {
  readonly name: string;
  readonly open: (url: string, options: HttpOriginOptions) => Origin;
  /** False: every redirect is refused. */
  readonly follows: boolean;
  /** Secrets that must never appear: keys, and values derived from them. */
  readonly secrets: RegExp;
}

const KINDS: readonly Kind[] = [
  {
    name: "site",
    open: (url, options) =>
      createHttpOrigin(options, siteRules({ url, headers: { Authorization: "Basic c2VjcmV0" }, ...options })),
    follows: true,
    secrets: /c2VjcmV0/,
  },
  {
    name: "qiniu, public",
    open: (domain, options) => createHttpOrigin(options, qiniuRules({ domain, private: false, ...options })),
    follows: true,
    secrets: /token/,
  },
  {
    name: "qiniu, private",
    open: (domain, options) =>
      createHttpOrigin(
        options,
        qiniuRules({ domain, private: true, accessKey: "QINIU_AK", secretKey: "QINIU_SK", ...options }),
      ),
    follows: true,
    secrets: /token=|QINIU_/,
  },
  {
    name: "s3, public",
    open: (endpoint, options) => createHttpOrigin(options, s3Rules({ endpoint, bucket: "pictures", ...options })),
    follows: false,
    secrets: /Signature/,
  },
  {
    name: "s3, with keys",
    open: (endpoint, options) =>
      createHttpOrigin(
        options,
        s3Rules({ endpoint, bucket: "pictures", accessKeyId: "S3_AK", secretAccessKey: "S3_SK", ...options }),
      ),
    follows: false,
    secrets: /Signature|S3_[AS]K/,
  },
];

const PATIENT: HttpOriginOptions = {
  allowPrivate: true,
  connections: 8,
  timeouts: { connect: 3000, firstByte: 3000, idle: 3000, total: 5000 },
  userAgent: "Huiyuan/test",
  serverId: "test",
  log: SILENT_LOG,
};
/** Deadlines that must be missed. Everything before them has this long on a busy machine. */
const QUICK: HttpOriginOptions = { ...PATIENT, timeouts: { connect: 1_000, firstByte: 500, idle: 500, total: 900 } };

const length = (count: number) => head("200 OK", [["Content-Length", String(count)]]);
const chunked = head("200 OK", [["Transfer-Encoding", "chunked"]]);
const coded = (coding: string) =>
  head("200 OK", [
    ["Transfer-Encoding", "chunked"],
    ["Content-Encoding", coding],
  ]);
const xml = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;

/** Scripts and their outcome: the code of fetch(), or that of the body, or "whole" or "absent". */
const ANSWERS: readonly (readonly [string, Script, string])[] = [
  ["a declared length", [response("abcde")], "whole"],
  ["chunks", [chunked, chunk("abcde"), chunk("")], "whole"],
  ["close-delimited", [head("200 OK", [["Connection", "close"]]), "abcde", "FIN"], "whole"],
  ["a cookie", [response("abcde", { headers: { "Set-Cookie": "a=b", Vary: "*" } })], "whole"],
  ["404", [response("", { status: "404 Not Found" })], "absent"],
  ["404 of a missing key", [response(xml("NoSuchKey"), { status: "404 Not Found" })], "absent"],
  ["410", [response("", { status: "410 Gone" })], "absent"],
  ["403", [response(xml("AccessDenied"), { status: "403 Forbidden" })], "origin_status"],
  ["401", [response('{"error":"bad token"}', { status: "401 Unauthorized" })], "origin_status"],
  ["500", [response("oops", { status: "500 Oops" })], "origin_status"],
  ["503", [response(xml("SlowDown"), { status: "503 Slow Down" })], "origin_status"],
  ["a truncated error", [head("500 Oops", [["Content-Length", "900"]]), "<Err", "FIN"], "origin_status"],
  ["an error that never ends", [head("500 Oops", [["Content-Length", "900"]]), "<Err", "HANG"], "origin_status"],
  ["206 to a whole request", [response("abcde", { status: "206 Partial Content" })], "origin_unexpected"],
  ["304 to an unconditional request", [head("304 Not Modified")], "origin_unexpected"],
  ["gzip", [response(gzipSync("abcde"), { headers: { "Content-Encoding": "gzip" } })], "whole"],
  ["deflate", [response(deflateSync("abcde"), { headers: { "Content-Encoding": "deflate" } })], "whole"],
  ["br in chunks", [coded("br"), chunk(brotliCompressSync("abcde")), chunk("")], "whole"],
  ["gzip without its last chunk", [coded("gzip"), chunk(gzipSync("abcde")), "FIN"], "origin_truncated"],
  ["a gzip cut inside", [coded("gzip"), chunk(gzipSync("abcde").subarray(0, -1)), chunk("")], "origin_truncated"],
  ["a lie about gzip", [response("abcde", { headers: { "Content-Encoding": "gzip" } })], "origin_encoded"],
  ["an unknown coding", [response("abcde", { headers: { "Content-Encoding": "zstd" } })], "origin_encoded"],
  ["gzip beyond the limit", [coded("gzip"), chunk(gzipSync(Buffer.alloc(1_048_577))), "HANG"], "origin_too_large"],
  ["a declared length over the limit", [length(1_048_577)], "origin_too_large"],
  ["more bytes than allowed", [chunked, chunk(Buffer.alloc(1_048_577)), "HANG"], "origin_too_large"],
  ["length 10, 5 sent, FIN", [length(10), "abcde", "FIN"], "origin_truncated"],
  ["length 10, 5 sent, RST", [length(10), "abcde", { pause: 30 }, "RST"], "origin_truncated"],
  ["no last chunk", [chunked, chunk("abcde"), "FIN"], "origin_truncated"],
  ["silence before the head", ["HANG"], "origin_timeout"],
  ["silence inside the body", [length(10), "abcde", "HANG"], "origin_timeout"],
  [
    "a dripping body",
    [
      length(100),
      ...Array(60)
        .fill(["a", { pause: 20 }])
        .flat(),
    ],
    "origin_timeout",
  ],
  ["FIN before the head", ["FIN"], "origin_reset"],
  ["RST before the head", ["RST"], "origin_reset"],
  ["no HTTP", ["hello\r\n\r\n"], "origin_head_invalid"],
];

describe.each(KINDS)("an origin of kind $name", ({ open, follows, secrets }) => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  const listen = async (script: Script | { readonly inTurn: readonly Script[] }): Promise<ScriptedOrigin> => {
    const started = await startScriptedOrigin({ "*": script });
    closers.push(() => started.close());
    return started;
  };
  const originAt = (url: string, options: Partial<HttpOriginOptions> = {}): Origin => {
    const origin = open(url, { ...PATIENT, ...options });
    closers.push(() => origin.close());
    return origin;
  };
  /** The outcome of a fetch, once it is over; throws if an error contains a secret. */
  const outcome = async (origin: Origin, key = "a.jpg"): Promise<string> => {
    try {
      const { answer, error, bytes } = await fetchWhole(origin, key);
      expect(answer.url).not.toMatch(secrets);
      expect(String(error)).not.toMatch(secrets);
      return error === undefined ? `whole: ${bytes}` : await codeOf(Promise.reject(error)).then(String);
    } catch (error) {
      expect(String(error)).not.toMatch(secrets);
      if (error instanceof Error && error.message.endsWith("is absent")) return "absent";
      return error instanceof Error && "code" in error ? String(error.code) : String(error);
    }
  };

  test.each(ANSWERS)("handles %s as the contract says", async (_name, script, wanted) => {
    const server = await listen(script);
    const origin = originAt(server.url, wanted === "origin_timeout" ? QUICK : {});
    const idle = script.includes("HANG") && wanted === "origin_status" ? originAt(server.url, QUICK) : origin;
    expect(await outcome(idle)).toBe(wanted === "whole" ? "whole: abcde" : wanted);
    const asked = wanted === "origin_reset" ? 2 : 1;
    expect(server.requests).toHaveLength(asked);
  });

  test("retries once after a reset before the head", async () => {
    const server = await listen({ inTurn: [["RST"], [response("abcde")]] });
    expect(await outcome(originAt(server.url))).toBe("whole: abcde");
  });

  test("throws origin_refused if no server listens", async () => {
    expect(await outcome(originAt(`http://127.0.0.1:${await freePort()}`))).toBe("origin_refused");
  });

  test("requests the whole and forwards only Via and CDN-Loop of the client", async () => {
    const server = await listen([response("abcde")]);
    await fetchWhole(originAt(server.url), "a.jpg", { via: "1.1 front", cdnLoop: "front" });
    const { headers } = server.requests[0] ?? { headers: {} };
    expect(headers).toMatchObject({
      host: `127.0.0.1:${server.port}`,
      accept: "*/*",
      "accept-encoding": "identity",
      via: "1.1 front, 1.1 huiyuan-test",
      "cdn-loop": "front, huiyuan-test",
    });
    expect(Object.keys(headers)).not.toContain("range");
  });

  test("detects a loop without a request", async () => {
    const server = await listen([response("abcde")]);
    const request = ask("a.jpg", { via: "1.1 huiyuan-test" });
    expect(await codeOf(originAt(server.url).fetch(request))).toBe("origin_loop");
    expect(server.requests).toEqual([]);
  });

  test("has an id without secrets that differs with the address", async () => {
    const [one, other] = [originAt("http://a.example"), originAt("http://b.example")];
    expect(one.id).not.toMatch(secrets);
    expect(one.id).not.toBe(other.id);
    expect(one.id).toBe(originAt("http://a.example").id);
  });

  // Addresses that the guard must block.

  /** localhost is the only name among them; some systems do not know all spellings. */
  const asLoopback = async () => ["127.0.0.1"];

  test.each(INSIDE_HOSTS)("does not dial %s without allowPrivate", async (host) => {
    const inside = await listen([response("abcde")]);
    const origin = originAt(`http://${host}:${inside.port}`, { allowPrivate: false, resolve: asLoopback });
    expect(await outcome(origin)).toBe("origin_blocked");
    expect(inside.connections).toBe(0);
  });

  test.each(INSIDE_HOSTS)("does not follow a redirect to %s", async (host) => {
    const inside = await listen([response("abcde")]);
    const Location = Buffer.from(`http://${host}:${inside.port}/x.jpg`).toString("latin1");
    const server = await listen([response("", { status: "302 Found", headers: { Location } })]);
    const origin = originAt(server.url, { resolve: asLoopback });
    expect(await outcome(origin)).toBe(follows ? "origin_blocked" : "origin_redirect");
    expect(inside.connections).toBe(0);
  });

  test.each(INSIDE_ANSWERS.map((answers) => [answers.join(" and "), answers] as const))(
    "does not dial a name that is %s",
    async (_name, answers) => {
      const inside = await listen([response("abcde")]);
      const options = { allowPrivate: false, resolve: async () => answers };
      expect(await outcome(originAt(`http://cdn.example:${inside.port}`, options))).toBe("origin_blocked");
      expect(inside.connections).toBe(0);
    },
  );

  test("resolves the name for each dial, and does not dial a forbidden new address", async () => {
    const server = await listen([response("abcde", { headers: { Connection: "close" } }), "FIN"]);
    const answers = [["127.0.0.1"], ["169.254.169.254"]];
    const resolve = async () => answers.shift() ?? [];
    const origin = originAt(`http://cdn.example:${server.port}`, { resolve });
    expect(await outcome(origin)).toBe("whole: abcde");
    await server.closedDownTo(0);
    expect(await outcome(origin, "b.jpg")).toBe("origin_blocked");
    expect(server.connections).toBe(1);
  });

  test("sends another host nothing that belongs to its own", async () => {
    const other = await startScriptedOrigin({ "*": [response("abcde")] }, { host: "127.0.0.2" });
    closers.push(() => other.close());
    const Location = `${other.url}/x.jpg`;
    const server = await listen([response("", { status: "302 Found", headers: { Location } })]);
    const origin = originAt(server.url, { classify: () => "public" });
    expect(await outcome(origin)).toBe(follows ? "whole: abcde" : "origin_redirect");
    for (const { raw } of other.requests) expect(raw).not.toMatch(secrets);
    expect(other.requests).toHaveLength(follows ? 1 : 0);
  });
});
