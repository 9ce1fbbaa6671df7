// Tests sites that fail, send false data, stall or never stop.
import { afterEach, expect, test } from "vitest";
import type { OriginTimeouts } from "../../../../../src/serve/origin/kinds/http-origin.ts";
import type { Origin } from "../../../../../src/serve/origin/origin.ts";
import {
  chunk,
  head,
  type OriginHandler,
  response,
  type Script,
  type ScriptedOrigin,
  type ScriptedOriginOptions,
  type ScriptTable,
  startScriptedOrigin,
} from "../../../../helpers/scripted-origin.ts";
import { freePort } from "../../../../helpers/services.ts";
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

const OK = "HTTP/1.1 200 OK\r\n";
const ONE_SECOND_OF_HINTS = Array.from({ length: 17 }, () => head("103 Early Hints"));

/** Name, script, code, requests that the origin sees. */
const HEAD_FAULTS: readonly (readonly [string, Script, string, number])[] = [
  ["206", [response("x", { status: "206 Partial Content" })], "origin_unexpected", 1],
  ["304", [head("304 Not Modified")], "origin_unexpected", 1],
  ["204", [head("204 No Content")], "origin_unexpected", 1],
  ["a flood of 1xx", ONE_SECOND_OF_HINTS, "origin_unexpected", 1],
  ["zstd", [response("x", { headers: { "Content-Encoding": "zstd" } })], "origin_encoded", 1],
  ["500", [response("x", { status: "500 Oops" })], "origin_status", 1],
  ["403", [response("x", { status: "403 No" })], "origin_status", 1],
  ["a declared length over the limit", [head("200 OK", [["Content-Length", "1048577"]])], "origin_too_large", 1],
  ["HTTP/0.9", ["just bytes, no head\r\n\r\n"], "origin_head_invalid", 1],
  ["an unrequested 100", [head("100 Continue"), response("x")], "origin_head_invalid", 1],
  [
    "an unrequested 101",
    [
      head("101 Switching", [
        ["Upgrade", "x"],
        ["Connection", "upgrade"],
      ]),
    ],
    "origin_head_invalid",
    1,
  ],
  ["an unrequested 101 followed by a 200", ["HTTP/1.1 101 Switching\r\n\r\n", response("x")], "origin_head_invalid", 1],
  ["the status 000", ["HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"], "origin_head_invalid", 1],
  ["the status 099", ["HTTP/1.1 099 X\r\nContent-Length: 1\r\n\r\nx"], "origin_head_invalid", 1],
  ["two lengths", [`${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`], "origin_head_invalid", 1],
  [
    "a length together with chunks",
    [`${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    "origin_head_invalid",
    1,
  ],
  ["a bad length", [`${OK}Content-Length: 1x\r\n\r\nx`], "origin_head_invalid", 1],
  ["a head over 64 KiB", [OK, ...headerLines(70, 1000), "\r\n"], "origin_head_invalid", 1],
  ["one header of 8 MB", [`${OK}X: `, Buffer.alloc(8_000_000, "x"), "\r\n\r\n"], "origin_head_invalid", 1],
  ["a NUL in a header", [`${OK}X: a\0b\r\n\r\n`], "origin_head_invalid", 1],
  ["FIN before the head", ["FIN"], "origin_reset", 2],
  ["RST before the head", ["RST"], "origin_reset", 2],
  ["FIN inside the head", [`${OK}Content-Le`, "FIN"], "origin_reset", 2],
];

function headerLines(count: number, bytes: number): string[] {
  return Array.from({ length: count }, (_, index) => `X-${index}: ${"x".repeat(bytes)}\r\n`);
}

for (const [name, script, code, requests] of HEAD_FAULTS) {
  test(`fetch() throws ${code} for ${name}`, async () => {
    const server = await origin({ "/a": script });
    expect(await codeOf(site(server.url).fetch(ask("a")))).toBe(code);
    expect(server.requests).toHaveLength(requests);
  });
}

test("fetch() throws with the origin's status and Retry-After", async () => {
  const server = await origin({ "*": [response("", { status: "429 Slow down", headers: { "Retry-After": "7" } })] });
  await expect(site(server.url).fetch(ask("a"))).rejects.toMatchObject({
    code: "origin_status",
    originStatus: 429,
    retryAfterSeconds: 7,
  });
});

test("fetch() retries once before the head, and accepts the second response", async () => {
  const server = await origin({ "/a": { inTurn: [["RST"], [response("x")]] } });
  const { bytes, error } = await fetchWhole(site(server.url), "a");
  expect([bytes.toString(), error, server.requests.length]).toEqual(["x", undefined, 2]);
});

test("fetch() throws origin_refused if no server listens", async () => {
  expect(await codeOf(site(`http://127.0.0.1:${await freePort()}`).fetch(ask("a")))).toBe("origin_refused");
});

/** Name, script, bytes that still arrive, code. If a length is declared, it is 10 bytes. */
const BODY_FAULTS: readonly (readonly [string, Script, string, string])[] = [
  [
    "a length not met, then FIN",
    [head("200 OK", [["Content-Length", "10"]]), "abcde", "FIN"],
    "abcde",
    "origin_truncated",
  ],
  [
    "a length not met with Connection: close, then FIN",
    [
      head("200 OK", [
        ["Content-Length", "10"],
        ["Connection", "close"],
      ]),
      "abcde",
      "FIN",
    ],
    "abcde",
    "origin_truncated",
  ],
  [
    "an HTTP/1.0 length not met",
    ["HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nabcde", "FIN"],
    "abcde",
    "origin_truncated",
  ],
  [
    "no last chunk, then FIN",
    [head("200 OK", [["Transfer-Encoding", "chunked"]]), chunk("abc"), "FIN"],
    "abc",
    "origin_truncated",
  ],
  [
    "no last chunk with Connection: close, then FIN",
    [
      head("200 OK", [
        ["Transfer-Encoding", "chunked"],
        ["Connection", "close"],
      ]),
      chunk("abc"),
      "FIN",
    ],
    "abc",
    "origin_truncated",
  ],
  [
    "half a chunk, then FIN",
    [head("200 OK", [["Transfer-Encoding", "chunked"]]), "a\r\nabc", "FIN"],
    "abc",
    "origin_truncated",
  ],
  [
    "a broken chunk size",
    [head("200 OK", [["Transfer-Encoding", "chunked"]]), chunk("abc"), "zz\r\n"],
    "abc",
    "origin_truncated",
  ],
];

for (const [name, script, bytes, code] of BODY_FAULTS) {
  test(`the body ends with ${code} for ${name}, after the bytes that arrived`, async () => {
    const server = await origin({ "/a": script });
    const heard = await fetchWhole(site(server.url), "a");
    expect(heard.bytes.toString()).toBe(bytes);
    expect(heard.error).toMatchObject({ code });
    expect(server.requests).toHaveLength(1);
  });
}

const HEADS: readonly (readonly [string, Buffer, string])[] = [
  ["a declared length", head("200 OK", [["Content-Length", "10"]]), "abcde"],
  ["chunks", head("200 OK", [["Transfer-Encoding", "chunked"]]), "5\r\nabcde\r\n"],
  ["a close-delimited body", head("200 OK", [["Connection", "close"]]), "abcde"],
];

for (const isPaused of [false, true]) {
  for (const [name, start, part] of HEADS) {
    const state = isPaused ? ", while the sink pauses" : "";
    test(`the body ends with origin_truncated for RST inside ${name}${state}`, async () => {
      let reset = () => {};
      const server = await origin(async (_request, connection) => {
        reset = () => connection.reset();
        await connection.send(start);
        await connection.send(part);
        await connection.hang();
      });
      const answer = await answerOf(site(server.url).fetch(ask("a")));
      const error = await new Promise((resolve) => {
        answer?.body.start({
          // Reset only now: a RST may overtake bytes that were not read yet.
          data: () => {
            reset();
            return !isPaused;
          },
          end: () => resolve("end"),
          error: resolve,
        });
      });
      expect(error).toMatchObject({ code: "origin_truncated" });
      await server.closedDownTo(0);
    });
  }
}

for (const how of ["reset", "end"] as const) {
  test(`a close-delimited body with unread bytes ends according to its ${how}`, async () => {
    const bytes = Buffer.alloc(600_000, "x");
    let resume: (() => void) | undefined;
    const server = await origin(async (_request, connection) => {
      await connection.send(head("200 OK", [["Connection", "close"]]));
      await connection.send(bytes);
      connection[how]();
      setTimeout(() => resume?.(), 50);
      await connection.hang();
    });
    const { body } = (await answerOf(site(server.url).fetch(ask("a")))) ?? {};
    let received = 0;
    const error = await new Promise((resolve) => {
      body?.start({
        data: (chunk) => {
          received += chunk.length;
          if (resume !== undefined) return true;
          resume = () => body.resume();
          return false;
        },
        end: () => resolve(undefined),
        error: resolve,
      });
    });
    if (how === "reset") return expect(error).toMatchObject({ code: "origin_truncated" });
    expect(error).toBeUndefined();
    expect(received).toBe(bytes.length);
  });
}

test("the body ends with origin_too_large if more bytes arrive than allowed, and so does the connection", async () => {
  const server = await origin({
    "/chunked": [
      head("200 OK", [["Transfer-Encoding", "chunked"]]),
      chunk(Buffer.alloc(700)),
      chunk(Buffer.alloc(700)),
      "HANG",
    ],
    "/close": [head("200 OK", [["Connection", "close"]]), Buffer.alloc(1400), "HANG"],
  });
  const under = site(server.url);
  for (const key of ["chunked", "close"]) {
    expect((await fetchWhole(under, key, { maxBytes: 1000 })).error).toMatchObject({ code: "origin_too_large" });
  }
  await server.closedDownTo(0);
});

test("bytes after the declared length never reach the next response", async () => {
  const stray = Buffer.concat([response("whole"), response("stray")]);
  const server = await origin({ "/a": [stray], "/b": [response("b")] });
  const under = site(server.url, { connections: 1 });
  expect((await fetchWhole(under, "a")).bytes.toString()).toBe("whole");
  expect((await fetchWhole(under, "b")).bytes.toString()).toBe("b");
});

test("a connection is not used again after a truncated body", async () => {
  const server = await origin({
    "/a": [head("200 OK", [["Content-Length", "10"]]), "abc", "FIN"],
    "/b": [response("b")],
  });
  const under = site(server.url, { connections: 1 });
  expect((await fetchWhole(under, "a")).error).toMatchObject({ code: "origin_truncated" });
  expect((await fetchWhole(under, "b")).bytes.toString()).toBe("b");
  expect(server.requests.map((request) => request.connection)).toEqual([0, 1]);
});

/** A deadline that must be missed. Everything before it has this long on a busy machine. */
const SHORT_MS = 400;

/** Name, deadline that must fire, script. */
const SLOW_HEADS: readonly (readonly [string, Partial<OriginTimeouts>, Script])[] = [
  ["no head at all", { firstByte: SHORT_MS }, ["HANG"]],
  ["half a head", { firstByte: SHORT_MS }, [`${OK}Content-Length: 1`, "HANG"]],
  [
    "a dripping head",
    { firstByte: SHORT_MS },
    [OK, ...Array.from({ length: 90 }, () => [{ pause: 20 }, "X: y\r\n"]).flat()],
  ],
  ["hints instead of a head", { firstByte: SHORT_MS }, [head("103 Early Hints"), "HANG"]],
  ["no head in the total time", { total: SHORT_MS }, ["HANG"]],
];

for (const [name, timeouts, script] of SLOW_HEADS) {
  test(`fetch() throws origin_timeout for ${name}, without a retry`, async () => {
    const server = await origin({ "/a": script });
    expect(await codeOf(site(server.url, { timeouts }).fetch(ask("a")))).toBe("origin_timeout");
    expect(server.requests).toHaveLength(1);
    await server.closedDownTo(0);
  });
}

const DRIP = Array.from({ length: 90 }, () => ["x", { pause: 20 }]).flat();

const SLOW_BODIES: readonly (readonly [string, Partial<OriginTimeouts>, Script])[] = [
  ["silence inside the body", { idle: SHORT_MS }, ["abc", "HANG"]],
  ["silence before the first byte of the body", { idle: SHORT_MS }, ["HANG"]],
  ["a body that drips beyond the total time", { total: SHORT_MS }, DRIP],
];

for (const [name, timeouts, script] of SLOW_BODIES) {
  test(`the body ends with origin_timeout for ${name}`, async () => {
    const server = await origin({ "/a": [head("200 OK", [["Content-Length", "1000"]]), ...script] });
    expect((await fetchWhole(site(server.url, { timeouts }), "a")).error).toMatchObject({ code: "origin_timeout" });
    await server.closedDownTo(0);
  });
}

test("a body whose sink does not read it in the total time ends with store_failed: the origin is not to blame", async () => {
  const server = await origin({ "/a": [response(Buffer.alloc(500_000))] });
  const answer = await answerOf(site(server.url, { timeouts: { idle: 60, total: SHORT_MS } }).fetch(ask("a")));
  const error = await new Promise((resolve) => {
    answer?.body.start({ data: () => false, end: () => resolve("end"), error: resolve });
  });
  expect(error).toMatchObject({ code: "store_failed", cause: { code: "origin_timeout" } });
  await server.closedDownTo(0);
});

test("a body that is never started ends with the total time, and reports that when started", async () => {
  const server = await origin({ "/a": [response(Buffer.alloc(500_000))] });
  const answer = await answerOf(site(server.url, { timeouts: { total: SHORT_MS } }).fetch(ask("a")));
  await server.closedDownTo(0);
  expect(answer && (await gather(answer.body)).error).toMatchObject({ code: "origin_timeout" });
});

test("a redirect and its retry share the total time", async () => {
  const moved = response("", { status: "302 Found", headers: { Location: "/b" } });
  const server = await origin({ "/a": [{ pause: 600 }, moved], "/b": [{ pause: 600 }, response("x")] });
  expect(await codeOf(site(server.url, { timeouts: { total: 1_000 } }).fetch(ask("a")))).toBe("origin_timeout");
  expect(server.requests).toHaveLength(2);
});

test("a request that waits for a connection has no first-byte timeout, but ends with the total time", async () => {
  const server = await origin({ "/a": [{ pause: 150 }, response("a")], "/b": [response("b")] });
  const under = site(server.url, { connections: 1, timeouts: { firstByte: 2_000 } });
  const [first, second] = await Promise.all([fetchWhole(under, "a"), fetchWhole(under, "b")]);
  expect([first.bytes.toString(), second.bytes.toString()]).toEqual(["a", "b"]);
  expect(server.connections).toBe(1);
});

test("fetch() rejects with the signal's reason, before the request and while it waits", async () => {
  const server = await origin({ "/a": ["HANG"] });
  const under = site(server.url);
  const reason = new Error("the fill is not wanted");
  expect(await codeOf(under.fetch(ask("a", { signal: AbortSignal.abort(reason) })))).toBe(reason);
  expect(server.requests).toHaveLength(0);
  const controller = new AbortController();
  const asked = codeOf(under.fetch(ask("a", { signal: controller.signal })));
  await server.received(1);
  controller.abort(reason);
  expect(await asked).toBe(reason);
  await server.closedDownTo(0);
});

test("an abort inside the body passes its reason to the sink and ends the connection", async () => {
  const server = await origin({ "/a": [head("200 OK", [["Content-Length", "10"]]), "abc", "HANG"] });
  const controller = new AbortController();
  const answer = await answerOf(site(server.url).fetch(ask("a", { signal: controller.signal })));
  const reason = new Error("enough");
  const error = await new Promise((resolve) => {
    answer?.body.start({
      data: () => {
        controller.abort(reason);
        return true;
      },
      end: () => resolve("end"),
      error: resolve,
    });
  });
  expect(error).toBe(reason);
  await server.closedDownTo(0);
});

test("destroy() frees the connection and the sink gets no more calls, started or not", async () => {
  const server = await origin({
    "/a": [head("200 OK", [["Content-Length", "10"]]), "abc", "HANG"],
    "/b": [response("b")],
  });
  const under = site(server.url, { connections: 1 });
  const unstarted = await answerOf(under.fetch(ask("a")));
  unstarted?.body.destroy();
  const started = await answerOf(under.fetch(ask("a")));
  const heard: string[] = [];
  await new Promise<void>((resolve) => {
    started?.body.start({
      data: (bytes) => {
        heard.push(bytes.toString());
        started.body.destroy();
        resolve();
        return true;
      },
      end: () => heard.push("end"),
      error: () => heard.push("error"),
    });
  });
  expect((await fetchWhole(under, "b")).bytes.toString()).toBe("b");
  expect(heard).toEqual(["abc"]);
});

test("after 100 aborted fetches the pool works again and no connection stays", async () => {
  const server = await origin({
    "/head": ["HANG"],
    "/body": [head("200 OK", [["Content-Length", "10"]]), "abc", "HANG"],
    "/b": [response("b")],
  });
  const under = site(server.url, { connections: 4 });
  // Four at a time, as the budget of an origin admits them.
  for (let round = 1; round <= 25; round += 1) {
    const controllers = Array.from({ length: 4 }, () => new AbortController());
    const asked = controllers.map(async (controller, index) => {
      const answer = await answerOf(under.fetch(ask(index % 2 === 0 ? "head" : "body", { signal: controller.signal })));
      return answer && (await gather(answer.body)).error;
    });
    await server.received(round * 4);
    for (const controller of controllers) controller.abort(new Error("left"));
    const ends = await Promise.allSettled(asked);
    expect(ends.filter((end) => end.status === "rejected" || end.value instanceof Error)).toHaveLength(4);
    await server.closedDownTo(0);
  }
  expect((await fetchWhole(under, "b")).bytes.toString()).toBe("b");
  expect([server.requests.length, server.connections]).toEqual([101, 101]);
});
