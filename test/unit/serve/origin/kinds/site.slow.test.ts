// Tests the responses, requests and redirects of a site. Faulty responses are in site-faults.slow.test.ts.
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import type { Origin, OriginAnswer, OriginSink } from "../../../../../src/serve/origin/origin.ts";
import { eventually } from "../../../../helpers/program.ts";
import {
  chunk,
  head,
  type OriginHandler,
  response,
  type ScriptedOrigin,
  type ScriptedOriginOptions,
  type ScriptTable,
  startScriptedOrigin,
} from "../../../../helpers/scripted-origin.ts";
import { answerOf, ask, codeOf, fetchWhole, gather, siteAt } from "../../../../helpers/site-under-test.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function origin(
  script: OriginHandler | ScriptTable,
  options: ScriptedOriginOptions = {},
): Promise<ScriptedOrigin> {
  const started = await startScriptedOrigin(script, options);
  closers.push(() => started.close());
  return started;
}

function site(...args: Parameters<typeof siteAt>): Origin {
  const created = siteAt(...args);
  closers.unshift(() => created.close());
  return created;
}

test("fetch() pushes the exact body and returns the facts of the head", async () => {
  const body = Buffer.alloc(300_000, "xyz");
  const headers = { ETag: '"v1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "Set-Cookie": "a=b" };
  const server = await origin({ "/base/a%20b.jpg": [response(body, { headers })] });
  const { answer, bytes, error } = await fetchWhole(site(`${server.url}/base/`), "a b.jpg");
  expect(error).toBeUndefined();
  expect(bytes.equals(body)).toBe(true);
  expect(answer).toMatchObject({
    url: `${server.url}/base/a%20b.jpg`,
    size: 300_000,
    framing: "length",
    etag: '"v1"',
    lastModified: "Thu, 01 Jan 2026 00:00:00 GMT",
    headers: {},
  });
  expect(answer.headMs).toBeGreaterThan(0);
});

test("fetch() sends exactly its own head, whatever proxies the environment names", async () => {
  const server = await origin({ "*": [response("x")] });
  process.env.http_proxy = "http://127.0.0.1:9";
  try {
    await fetchWhole(site(server.url), "a/b.jpg", { via: "1.1 edge", cdnLoop: "cdn" });
  } finally {
    delete process.env.http_proxy;
  }
  expect(server.requests[0]?.raw.split("\r\n")).toEqual([
    "GET /a/b.jpg HTTP/1.1",
    `host: 127.0.0.1:${server.port}`,
    "connection: keep-alive",
    "Accept: */*",
    "Accept-Encoding: identity",
    "User-Agent: Huiyuan/test",
    "Via: 1.1 edge, 1.1 huiyuan-test",
    "CDN-Loop: cdn, huiyuan-test",
    "",
    "",
  ]);
});

test("fetch() sends nothing and throws origin_loop if the request came from this server", async () => {
  const server = await origin({ "*": [response("x")] });
  expect(await codeOf(site(server.url).fetch(ask("a", { via: "1.1 huiyuan-test" })))).toBe("origin_loop");
  expect(server.requests).toHaveLength(0);
});

test("fetch() returns undefined for 404 and 410 and keeps the connection", async () => {
  const server = await origin({
    "/gone": [response("gone", { status: "410 Gone" })],
    "/a": [response("x")],
  });
  const under = site(server.url, { connections: 1 });
  expect(await under.fetch(ask("none"))).toBeUndefined();
  expect(await under.fetch(ask("gone"))).toBeUndefined();
  expect((await fetchWhole(under, "a")).bytes.toString()).toBe("x");
  expect(server.connections).toBe(1);
});

test("fetch() ends the connection of a long error page instead of reading it", async () => {
  const server = await origin({ "*": [response(Buffer.alloc(1_000_000), { status: "404 Not Found" })] });
  expect(await site(server.url).fetch(ask("none"))).toBeUndefined();
  await server.closedDownTo(0);
});

test("fetch() reads chunked bodies, with trailers, as whole", async () => {
  const server = await origin({
    "/a": [
      head("200 OK", [["Transfer-Encoding", "chunked"]]),
      chunk("ab"),
      chunk("cde"),
      "0\r\nContent-MD5: x\r\n\r\n",
    ],
  });
  const { answer, bytes, error } = await fetchWhole(site(server.url), "a");
  expect([answer.framing, answer.size, bytes.toString(), error]).toEqual(["chunked", undefined, "abcde", undefined]);
});

test("fetch() reads a close-delimited body to its FIN, in HTTP/1.1 and HTTP/1.0", async () => {
  const server = await origin({
    "/1.1": [head("200 OK", [["Connection", "close"]]), "ab", { pause: 5 }, "cd", "FIN"],
    "/1.0": ["HTTP/1.0 200 OK\r\n\r\n", "abcd", "FIN"],
  });
  for (const key of ["1.1", "1.0"]) {
    const { answer, bytes, error } = await fetchWhole(site(server.url), key);
    expect([answer.framing, answer.size, bytes.toString(), error]).toEqual(["close", undefined, "abcd", undefined]);
  }
});

test("fetch() reads HTTP/1.0 with Content-Length by its length", async () => {
  const server = await origin({ "/a": ["HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nabcd", "FIN"] });
  const { answer, bytes, error } = await fetchWhole(site(server.url), "a");
  expect([answer.framing, bytes.toString(), error]).toEqual(["length", "abcd", undefined]);
});

test("fetch() with HEAD returns the size and ends without a byte", async () => {
  const server = await origin({ "/a": [head("200 OK", [["Content-Length", "12345"]])] });
  const { answer, bytes, error } = await fetchWhole(site(server.url), "a", { method: "HEAD" });
  expect([server.requests[0]?.method, answer.size, bytes.length, error]).toEqual(["HEAD", 12345, 0, undefined]);
});

test("fetch() ends an empty body at once", async () => {
  const server = await origin({ "/a": [response("")] });
  const { answer, bytes, error } = await fetchWhole(site(server.url), "a");
  expect([answer.size, bytes.length, error]).toEqual([0, 0, undefined]);
});

test("fetch() skips a few informational heads", async () => {
  const hint = head("103 Early Hints", [["Link", "</x>"]]);
  const server = await origin({ "/a": [head("102 Processing"), hint, hint, response("x")] });
  expect((await fetchWhole(site(server.url), "a")).bytes.toString()).toBe("x");
});

/** An idle time that a flowing body never misses on a busy machine, and a longer one. */
const IDLE_MS = 300;
const PAUSE_MS = 450;

test("the body waits while its sink pauses, its idle time stops, and no byte is lost", async () => {
  const body = Buffer.alloc(2_000_000, "0123456789");
  const server = await origin({ "/a": [response(body)] });
  const answer = await answerOf(
    site(server.url, { timeouts: { idle: IDLE_MS } }).fetch(ask("a", { maxBytes: body.length })),
  );
  const chunks: Buffer[] = [];
  let pauses = 0;
  await new Promise<void>((resolve, reject) => {
    answer?.body.start({
      data: (bytes) => {
        chunks.push(bytes);
        if (pauses === 3) return true;
        pauses += 1;
        setTimeout(() => answer.body.resume(), PAUSE_MS); // longer than the idle time, which is the claim
        return false;
      },
      end: resolve,
      error: reject,
    });
  });
  expect([pauses, Buffer.concat(chunks).equals(body)]).toEqual([3, true]);
});

test.each<[string, [string, string][]]>([
  ["until the connection ends", []],
  [
    "of a declared length, over a connection that is to end",
    [
      ["Content-Length", "300000"],
      ["Connection", "close"],
    ],
  ],
  ["of a declared length", [["Content-Length", "300000"]]],
])("a body %s is whole if the connection ends while its sink pauses", async (_name, headers) => {
  const body = Buffer.alloc(300_000, "0123456789");
  const server = await origin({
    "/a": [head("200 OK", headers), body.subarray(0, 200_000), { pause: 20 }, body.subarray(200_000), "FIN"],
  });
  const answer = await answerOf(site(server.url).fetch(ask("a", { maxBytes: body.length })));
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    answer?.body.start({
      data: (bytes) => {
        chunks.push(bytes);
        setTimeout(() => answer.body.resume(), 40); // Long enough for the end to have arrived.
        return false;
      },
      end: resolve,
      error: reject,
    });
  });
  expect(Buffer.concat(chunks).equals(body)).toBe(true);
  await server.closedDownTo(0);
});

test("destroy() frees the connection of a paused body whose connection has ended", async () => {
  const server = await origin({ "/a": [head("200 OK"), Buffer.alloc(20_000), "FIN"] });
  const answer = await answerOf(site(server.url).fetch(ask("a")));
  await new Promise<void>((resolve) => {
    answer?.body.start({
      data() {
        resolve();
        return false;
      },
      end() {},
      error() {},
    });
  });
  await delay(50);
  answer?.body.destroy();
  await server.closedDownTo(0);
});

/** A body in a few chunks, some of which arrive before there is a sink. `wants`: the sink's result for each. */
async function takenLate(bytes: number, wants: (answer: OriginAnswer) => OriginSink["data"]) {
  const body = Buffer.alloc(bytes, "0123456789");
  const server = await origin({ "/a": [response(body)] });
  const answer = await answerOf(site(server.url, { timeouts: { idle: IDLE_MS } }).fetch(ask("a", { maxBytes: bytes })));
  if (answer === undefined) throw new Error("absent");
  await delay(100);
  const heard: (Buffer | "end" | Error)[] = [];
  const data = wants(answer);
  answer.body.start({
    data: (piece) => {
      heard.push(piece);
      return data(piece);
    },
    end: () => heard.push("end"),
    error: (error) => heard.push(error),
  });
  const received = () => Buffer.concat(heard.filter((each) => Buffer.isBuffer(each)));
  return { answer, body, heard, received };
}

test.each([1, 20_000, 2_000_000])("a body of %d bytes that arrived before start() is whole", async (bytes) => {
  const { heard, received, body } = await takenLate(bytes, () => () => true);
  await eventually(() => heard.at(-1) === "end", "the body ends");
  expect(received().equals(body)).toBe(true);
});

test("the end of a body that arrived before start() waits for a sink that pauses", async () => {
  const { answer, heard, body } = await takenLate(20_000, () => () => false);
  await delay(PAUSE_MS);
  expect(heard).toEqual([body]);
  answer.body.resume();
  expect(heard).toEqual([body, "end"]);
});

test("a sink that destroys the body during early chunks gets no more calls", async () => {
  const { heard, body } = await takenLate(20_000, ({ body }) => () => {
    body.destroy();
    return true;
  });
  await delay(50);
  expect(heard).toEqual([body]);
});

test("of a body that is not started, little more than the first read arrives", async () => {
  const { answer, heard, received } = await takenLate(50_000_000, () => () => false);
  await delay(50);
  answer.body.destroy();
  expect(heard.every((each) => Buffer.isBuffer(each))).toBe(true);
  expect(received().length).toBeLessThanOrEqual(4 * 65_536);
});

test("fetch() reuses connections, and opens no more than allowed", async () => {
  const server = await origin({ "*": [{ pause: 5 }, response("x")] });
  const under = site(server.url, { connections: 2 });
  await Promise.all(Array.from({ length: 20 }, (_, index) => fetchWhole(under, `${index}`)));
  expect([server.requests.length, server.connections]).toEqual([20, 2]);
});

test("an idle connection that the origin closed only costs a new connection", async () => {
  const server = await origin({ "*": { inTurn: [[response("1"), "FIN"], [response("2")]] } });
  const under = site(server.url, { connections: 1 });
  expect((await fetchWhole(under, "a")).bytes.toString()).toBe("1");
  expect((await fetchWhole(under, "a")).bytes.toString()).toBe("2");
});

test("fetch() follows redirects and drops Host, Referer and configured headers at another host", async () => {
  const other = await origin({ "/final?x=1": [response("x")] }, { host: "127.0.0.2" });
  const server = await origin({
    "/a": [response("moved", { status: "302 Found", headers: { Location: "/b" } })],
    "/b": [response("moved", { status: "301 Moved", headers: { Location: `${other.url}/final?x=1` } })],
  });
  const under = site(server.url, {
    host: "img.example.com",
    referer: "https://example.com/",
    headers: { Authorization: "Basic eA==" },
    classify: (address) => (address === "127.0.0.2" ? "public" : "private"),
  });
  const { answer, bytes } = await fetchWhole(under, "a");
  expect([bytes.toString(), answer.url]).toEqual(["x", `${other.url}/final`]);
  for (const request of server.requests) {
    expect(request.headers).toMatchObject({
      host: "img.example.com",
      referer: "https://example.com/",
      authorization: "Basic eA==",
    });
  }
  expect(server.requests.map((request) => request.target)).toEqual(["/a", "/b"]);
  expect(other.requests[0]?.headers).toMatchObject({ host: `127.0.0.2:${other.port}`, via: "1.1 huiyuan-test" });
  expect(other.requests[0]?.raw).not.toMatch(/referer|authorization/i);
});

const REFUSED_REDIRECTS: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["without a Location", {}],
  ["to itself", { Location: "/a" }],
  ["to a file", { Location: "file:///etc/passwd" }],
  ["with a password", { Location: "http://u:p@127.0.0.1/" }],
];

for (const [what, headers] of REFUSED_REDIRECTS) {
  test(`fetch() throws origin_redirect for a redirect ${what}`, async () => {
    const server = await origin({ "*": [response("", { status: "302 Found", headers })] });
    expect(await codeOf(site(server.url).fetch(ask("a")))).toBe("origin_redirect");
    expect(server.requests).toHaveLength(1);
  });
}

test("fetch() stops after five redirects", async () => {
  const server = await origin(async (request, connection) => {
    await connection.send(response("", { status: "302 Found", headers: { Location: `${request.target}1` } }));
  });
  expect(await codeOf(site(server.url).fetch(ask("a")))).toBe("origin_redirect");
  expect(server.requests).toHaveLength(6);
});

test("id is equal for equal settings and different if responses may differ", async () => {
  const ids = [
    {},
    { timeouts: { total: 1 }, connections: 1 },
    { host: "h" },
    { referer: "r" },
    { headers: { A: "b" } },
  ].map((options) => site("http://h", options).id);
  expect(ids[0]).toBe(ids[1]);
  expect(new Set(ids).size).toBe(4);
});

test("close() lets a body run to its end, closes the connections and refuses later fetches", async () => {
  const server = await origin({ "/a": [response("x".repeat(100_000))] });
  const under = site(server.url);
  const answer = await answerOf(under.fetch(ask("a")));
  const closed = under.close();
  expect(await codeOf(under.fetch(ask("b")))).toBe("draining");
  expect(answer && (await gather(answer.body)).bytes.length).toBe(100_000);
  await closed;
  await server.closedDownTo(0);
});
