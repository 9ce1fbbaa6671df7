// Tests how the S3 store and callbacks see a response whose connection ends while its body is not read.
import { getEventListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { createSystemResolve } from "../../../../../src/serve/origin/dial/lookup.ts";
import { type Caller, type CallReply, createCaller } from "../../../../../src/serve/origin/exchange/caller.ts";
import {
  chunk,
  head,
  response,
  type Script,
  type ScriptedOrigin,
  type ScriptTable,
  startScriptedOrigin,
} from "../../../../helpers/scripted-origin.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function callerOf(script: Script): Promise<Caller> {
  return (await open({ "*": script }, 64)).caller;
}

async function open(scripts: ScriptTable, connections: number): Promise<{ caller: Caller; origin: ScriptedOrigin }> {
  const origin = await startScriptedOrigin(scripts);
  const caller = createCaller({
    url: origin.url,
    allowPrivate: true,
    connectTimeoutMs: 2000,
    connections,
    resolve: createSystemResolve(),
  });
  closers.push(
    () => caller.close(),
    () => origin.close(),
  );
  return { caller, origin };
}

/** A body is paused with nothing left to read if its last bytes fill undici's 64 KiB. */
const BODY = Buffer.alloc(66_000, "0123456789");
const MANY = 24;

async function readLate(caller: Caller): Promise<"whole" | "cut" | "wrong"> {
  const { body } = await caller.call({
    method: "GET",
    target: "/a",
    headers: {},
    body: undefined,
    signal: AbortSignal.timeout(10_000),
  });
  await delay(80); // Long enough for the end to have arrived.
  const parts: Buffer[] = [];
  try {
    for await (const part of body) parts.push(part);
  } catch {
    return "cut";
  }
  return Buffer.concat(parts).equals(BODY) ? "whole" : "wrong";
}

const [first, last] = [BODY.subarray(0, 60_000), BODY.subarray(60_000)];
const length = (bytes: number): [string, string] => ["Content-Length", String(bytes)];
const CLOSE: [string, string] = ["Connection", "close"];
const CHUNKED: [string, string] = ["Transfer-Encoding", "chunked"];

test.each<[string, "whole" | "cut" | "either", Script]>([
  ["of a length", "whole", [head("200 OK", [length(66_000)]), first, { pause: 20 }, last, "FIN"]],
  [
    "of a length, over a last connection",
    "whole",
    [head("200 OK", [length(66_000), CLOSE]), first, { pause: 20 }, last, "FIN"],
  ],
  ["until the connection ends", "whole", [head("200 OK"), first, { pause: 20 }, last, "FIN"]],
  ["in chunks", "whole", [head("200 OK", [CHUNKED]), chunk(first), { pause: 20 }, chunk(last), "0\r\n\r\n", "FIN"]],
  [
    "in chunks, over a last connection",
    "whole",
    [head("200 OK", [CHUNKED, CLOSE]), chunk(first), { pause: 20 }, chunk(last), "0\r\n\r\n", "FIN"],
  ],
  ["truncated within its length", "cut", [head("200 OK", [length(70_000)]), first, { pause: 20 }, last, "FIN"]],
  [
    "truncated within its length, over a last connection",
    "cut",
    [head("200 OK", [length(70_000), CLOSE]), first, { pause: 20 }, last, "FIN"],
  ],
  [
    "truncated within its chunks, over a last connection",
    "cut",
    [head("200 OK", [CHUNKED, CLOSE]), chunk(first), { pause: 20 }, chunk(last), "FIN"],
  ],
  [
    "of a length, reset after it",
    "either",
    [head("200 OK", [length(66_000)]), first, { pause: 20 }, last, { pause: 20 }, "RST"],
  ],
  [
    "of a length, reset after it, over a last connection",
    "either",
    [head("200 OK", [length(66_000), CLOSE]), first, { pause: 20 }, last, { pause: 20 }, "RST"],
  ],
  [
    "until the connection ends, which is reset",
    "cut",
    [head("200 OK"), first, { pause: 20 }, last, { pause: 20 }, "RST"],
  ],
  [
    "truncated within its length by a reset",
    "cut",
    [head("200 OK", [length(70_000), CLOSE]), first, { pause: 20 }, last, { pause: 20 }, "RST"],
  ],
])("call() returns a body %s that is read late as %s", async (_name, wanted, script) => {
  const caller = await callerOf(script);
  const found = new Set(await Promise.all(Array.from({ length: MANY }, () => readLate(caller))));
  if (wanted === "either") expect(found.has("wrong")).toBe(false);
  else expect([...found]).toEqual([wanted]);
});

test("call() rejects when its signal fires before a connection is free, and is never sent", async () => {
  const slow: Script = [head("200 OK", [length(2)]), "o", { pause: 400 }, "k"];
  const { caller, origin } = await open({ "/slow": slow, "*": [response("there")] }, 1);
  const ask = (method: "GET" | "PUT", target: string, signal: AbortSignal) =>
    caller.call({ method, target, headers: {}, body: method === "PUT" ? Buffer.from("late") : undefined, signal });
  const patient = AbortSignal.timeout(10_000);
  const read = async ({ body }: CallReply) => {
    const parts: Buffer[] = [];
    for await (const part of body) parts.push(part);
    return Buffer.concat(parts).toString();
  };
  let isFirstOver = false;
  const first = ask("GET", "/slow", patient)
    .then(read)
    .finally(() => {
      isFirstOver = true;
    });
  await expect(ask("PUT", "/given-up", AbortSignal.timeout(50))).rejects.toMatchObject({ name: "TimeoutError" });
  await expect(ask("PUT", "/too-late", AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  expect(isFirstOver).toBe(false);
  expect(await Promise.all([first, ask("GET", "/next", patient).then(read)])).toEqual(["ok", "there"]);
  expect(origin.requests.map(({ target }) => target)).toEqual(["/slow", "/next"]);
  expect(origin.connections).toBe(1);
});

test("call() leaves no listener on its signal, neither once the response is read nor if the call was never sent", async () => {
  const slow: Script = [head("200 OK", [length(2)]), "o", { pause: 100 }, "k"];
  const { caller } = await open({ "*": slow }, 1);
  const signals = [new AbortController(), new AbortController(), new AbortController()] as const;
  const ask = async ({ signal }: AbortController) => {
    const { body } = await caller.call({ method: "GET", target: "/a", headers: {}, body: undefined, signal });
    for await (const _piece of body);
  };
  const asked = signals.map(ask);
  signals[2].abort(new Error("gone"));
  expect(await Promise.allSettled(asked)).toMatchObject([
    { status: "fulfilled" },
    { status: "fulfilled" },
    { status: "rejected" },
  ]);
  expect(signals.map(({ signal }) => getEventListeners(signal, "abort").length)).toEqual([0, 0, 0]);
});

test("discard() and an abort free the connection of a body whose connection has ended", async () => {
  const caller = await callerOf([head("200 OK", [length(66_000), CLOSE]), first, { pause: 20 }, last, "FIN"]);
  const gone = new AbortController();
  const replies = await Promise.all(
    Array.from({ length: MANY }, () =>
      caller.call({ method: "GET", target: "/a", headers: {}, body: undefined, signal: gone.signal }),
    ),
  );
  await delay(80);
  for (const reply of replies.slice(0, MANY / 2)) reply.discard();
  gone.abort();
  await caller.close();
});
