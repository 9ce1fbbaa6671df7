import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { verifyCallback } from "../../../../../src/serve/sign/callback.ts";
import { createReceiver, type Delivery, MAX_ANSWER_BYTES } from "../../../../../src/serve/upload/callback/delivery.ts";
import { ONE_ANSWER_OF_A_KIND, ONE_HOST_OF_A_KIND } from "../../../../helpers/inside-hosts.ts";
import { within } from "../../../../helpers/program.ts";
import {
  chunk,
  head,
  response,
  type Script,
  type ScriptedOrigin,
  startScriptedOrigin,
} from "../../../../helpers/scripted-origin.ts";
import { freePort } from "../../../../helpers/services.ts";
import { UPLOADED } from "../../../../helpers/uploaded.ts";

const NOW = 1_450_000_000;
const NOTICE = { ...UPLOADED, timestamp: NOW, attempt: 1 };

interface Place {
  readonly url: string;
  readonly timeoutMs?: number;
  readonly allowPrivate?: boolean;
  readonly resolve?: (hostname: string) => Promise<readonly string[]>;
}

/** Makes one attempt with the deadline of the target. */
async function deliver({ url, timeoutMs = 3_000, allowPrivate = true, resolve = localhost }: Place): Promise<Delivery> {
  const target = { url, secret: "s3cret", timeoutMs, allowPrivate };
  const receiver = createReceiver({ target, connections: 4, userAgent: "Huiyuan/test", resolve });
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const delivering = receiver.deliver({ notice: NOTICE, requestId: UPLOADED.requestId, signal });
    const { delivery } = await within(delivering, timeoutMs + 1_000, () => "deliver() did not keep its deadline");
    return delivery.ok ? delivery : { ok: false, failure: delivery.failure };
  } finally {
    await receiver.close();
  }
}

const localhost = async () => ["127.0.0.1"];

async function withReceiver<Result>(
  script: Script,
  work: (receiver: ScriptedOrigin) => Promise<Result>,
): Promise<Result> {
  const receiver = await startScriptedOrigin({ "*": script });
  try {
    return await work(receiver);
  } finally {
    await receiver.close();
  }
}

test("deliver() posts the signed form with its own headers only", async () => {
  await withReceiver([response('{"ok":true}')], async (receiver) => {
    expect(await deliver({ url: `${receiver.url}/up?to=images` })).toEqual({ ok: true, json: '{"ok":true}' });
    const [request] = receiver.requests;
    expect(request).toMatchObject({ method: "POST", target: "/up?to=images" });
    expect(request?.headers).toEqual({
      host: `127.0.0.1:${receiver.port}`,
      connection: "close",
      "content-type": "application/x-www-form-urlencoded",
      accept: "application/json",
      "accept-encoding": "identity",
      "user-agent": "Huiyuan/test",
      "x-request-id": UPLOADED.requestId,
      "content-length": String(request?.body.byteLength),
    });
    const { requestId: _, ...facts } = UPLOADED;
    expect(verifyCallback(request?.body ?? "", { secret: "s3cret", now: NOW })).toEqual({
      ok: true,
      notice: { ...facts, timestamp: NOW, attempt: 1 },
    });
  });
});

const json = (body: string | Uint8Array, status = "200 OK") => [response(body, { status })];
const failed = (reason: string, status?: number) => ({
  ok: false,
  failure: { reason, ...(status === undefined ? {} : { status }) },
});
const good = (text: string) => ({ ok: true, json: text });
const longText = JSON.stringify("x".repeat(MAX_ANSWER_BYTES - 2));

test.each<[string, Script, object]>([
  ["any JSON value", json("4711"), good("4711")],
  ["numbers that JavaScript cannot hold", json('{"id":9007199254740993}'), good('{"id":9007199254740993}')],
  ["JSON with spaces around", json('\r\n {"a": 1}\n'), good('{"a": 1}')],
  ["JSON in UTF-8", json('"一"', "201 Created"), good('"一"')],
  ["an empty body", json(""), good("null")],
  ["204", [head("204 No Content")], good("null")],
  [
    "chunks",
    [head("200 OK", [["Transfer-Encoding", "chunked"]]), chunk('{"a"'), chunk(":1}"), chunk("")],
    good('{"a":1}'),
  ],
  ["a body that ends with the connection", [head("200 OK"), '{"a":1}', "FIN"], good('{"a":1}')],
  ["64 KB", json(longText), good(longText)],
  ["one byte more", json(`${longText} `), failed("bad_answer", 200)],
  ["a body without end", [head("200 OK"), "x".repeat(100_000), "HANG"], failed("bad_answer", 200)],
  ["HTML", json("<p>ok</p>"), failed("bad_answer", 200)],
  ["half of a JSON text", json('{"a":'), failed("bad_answer", 200)],
  ["bytes that are no UTF-8", json(Buffer.from([0x22, 0xff, 0x22])), failed("bad_answer", 200)],
  ["nesting without end", json("[".repeat(60_000)), failed("bad_answer", 200)],
  ["300", json("1", "300 Multiple Choices"), failed("status", 300)],
  ["404", json("1", "404 Not Found"), failed("status", 404)],
  ["502 with a body that never ends", [head("502 Bad Gateway"), "<html>", "HANG"], failed("status", 502)],
  ["304", [head("304 Not Modified")], failed("status", 304)],
  ["bytes that are not HTTP", ["SSH-2.0-OpenSSH\r\n\r\n", "FIN"], failed("bad_answer")],
  ["an oversized head", [`HTTP/1.1 200 OK\r\nX: ${"x".repeat(100_000)}\r\n\r\n`], failed("bad_answer")],
  ["a reset instead of an answer", ["RST"], failed("connect")],
  ["an end instead of an answer", ["FIN"], failed("connect")],
  ["a body cut short", [head("200 OK", [["Content-Length", "9"]]), '{"a":1}', "FIN"], failed("connect")],
])("deliver() classifies a response: %s", async (_what, script, delivery) => {
  await withReceiver(script, async (receiver) => {
    expect(await deliver({ url: receiver.url })).toEqual(delivery);
    // One request, and the connection is closed.
    expect(receiver.requests.length).toBe(1);
    await receiver.closedDownTo(0);
  });
});

test("deliver() follows no redirect", async () => {
  await withReceiver(json("{}"), async (canary) => {
    const answer = response("", { status: "307 Temporary Redirect", headers: { Location: canary.url } });
    await withReceiver([answer], async (receiver) => {
      expect(await deliver({ url: receiver.url })).toEqual(failed("status", 307));
    });
    expect(canary.connections).toBe(0);
  });
});

test.each<[string, Script]>([
  ["never answers", ["HANG"]],
  [
    "trickles its head",
    ["HTTP/1.1 200 OK\r\n", ...Array.from({ length: 400 }, (_, index) => [`X${index}`, { pause: 100 }]).flat()],
  ],
  ["trickles its body", [head("200 OK"), ...Array.from({ length: 400 }, () => [" ", { pause: 100 }]).flat()]],
])("deliver() ends in time when the receiver %s", async (_what, script) => {
  await withReceiver(script, async (receiver) => {
    const began = performance.now();
    expect(await deliver({ url: receiver.url, timeoutMs: 400 })).toEqual(failed("timeout"));
    // It would take 40 seconds if each byte restarted the timeout.
    expect(performance.now() - began).toBeLessThan(20_000);
    await receiver.closedDownTo(0);
  });
});

test("deliver() reports a refused connection", async () => {
  const port = await freePort();
  expect(await deliver({ url: `http://app.example.com:${port}/` })).toEqual(failed("connect"));
});

test("deliver() reports failures of name servers as dns", async () => {
  const url = "http://app.example.com/";
  const unknown = async () => Promise.reject(new HuiyuanError("origin_name_unknown", "no such name"));
  expect(await deliver({ url, resolve: unknown })).toEqual(failed("dns"));
  const silent = () => new Promise<readonly string[]>(() => undefined);
  expect(await deliver({ url, resolve: silent, timeoutMs: 500 })).toEqual(failed("dns"));
});

test("deliver() sends nothing to a receiver with an invalid certificate", async () => {
  const [key, cert] = ["key", "cert"].map((name) =>
    readFileSync(new URL(`../../../../fixtures/tls/${name}.pem`, import.meta.url), "utf8"),
  );
  const receiver = await startScriptedOrigin({ "*": json("1") }, { tls: { key: key ?? "", cert: cert ?? "" } });
  expect(await deliver({ url: receiver.url })).toEqual(failed("tls"));
  expect(receiver.requests).toEqual([]);
  await receiver.close();
});

test.each(ONE_HOST_OF_A_KIND)("deliver() does not dial %s without allowPrivate", async (host) => {
  await withReceiver(json("1"), async (canary) => {
    const url = `http://${host}:${canary.port}/`;
    expect(await deliver({ url, allowPrivate: false })).toEqual(failed("blocked"));
    expect(canary.connections).toBe(0);
  });
});

test.each(ONE_ANSWER_OF_A_KIND)(
  "deliver() does not dial a name at %s, %s without allowPrivate",
  async (...addresses) => {
    await withReceiver(json("1"), async (canary) => {
      const url = `http://app.example.com:${canary.port}/`;
      expect(await deliver({ url, allowPrivate: false, resolve: async () => addresses })).toEqual(failed("blocked"));
      expect(canary.connections).toBe(0);
    });
  },
);

test("allowPrivate opens neither link-local addresses nor forbidden ports", async () => {
  expect(await deliver({ url: "http://169.254.169.254/latest/meta-data" })).toEqual(failed("blocked"));
  expect(await deliver({ url: "http://127.0.0.1:6379/" })).toEqual(failed("blocked"));
});

test.each<[string, [string, string][]]>([
  ["a length", [["Content-Length", "66000"]]],
  [
    "a length, over a last connection",
    [
      ["Content-Length", "66000"],
      ["Connection", "close"],
    ],
  ],
  ["no length", []],
])("deliver() classifies 24 concurrent responses with %s that are too long", async (_name, headers) => {
  const body = Buffer.alloc(66_000, " ");
  const script = [head("200 OK", headers), body.subarray(0, 60_000), body.subarray(60_000), "FIN"] as const;
  await withReceiver(script, async ({ url }) => {
    const all = await Promise.all(Array.from({ length: 24 }, () => deliver({ url })));
    for (const each of all) expect(each).toEqual({ ok: false, failure: { reason: "bad_answer", status: 200 } });
  });
});
