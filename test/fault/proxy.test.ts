// Tests the fault proxy itself: each fault works as named, and leaves nothing open.
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { eventually, within } from "../helpers/program.ts";
import { head, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { createDice, type FaultProxy, type ProxyFault, startFaultProxy } from "./proxy.ts";

const BODY = Buffer.from(Array.from({ length: 3_000 }, (_, index) => index % 251));
const ANSWER = Buffer.concat([head("200 OK", [["Content-Length", String(BODY.length)]]), BODY]);

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function behind(fault: ProxyFault): Promise<{ readonly proxy: FaultProxy; readonly origin: ScriptedOrigin }> {
  const origin = await startScriptedOrigin({ "*": [ANSWER, "FIN"] });
  const proxy = await startFaultProxy(origin.port, fault);
  closers.push(
    () => proxy.close(),
    () => origin.close(),
  );
  return { proxy, origin };
}

/** Milliseconds without a byte that count as silence. */
const SILENT_MS = 100;

/** Reads all bytes until the connection ends, or until silence after the first `silentAfter` of them. */
async function listen(port: number, silentAfter = Number.POSITIVE_INFINITY) {
  const socket = connect(port, "127.0.0.1");
  const parts: Buffer[] = [];
  let error: string | undefined;
  let left = silentAfter;
  socket.on("data", (bytes) => {
    parts.push(bytes);
    left -= bytes.length;
    if (left <= 0) socket.setTimeout(SILENT_MS);
  });
  socket.on("error", (cause) => {
    error = "code" in cause ? String(cause.code) : cause.message;
  });
  socket.write("GET / HTTP/1.1\r\n\r\n");
  const how = new Promise<string>((resolve) => {
    socket.on("end", () => resolve("FIN"));
    socket.on("close", () => resolve(error ?? "closed"));
    socket.on("timeout", () => resolve("silence"));
    if (left <= 0) socket.setTimeout(SILENT_MS);
  });
  const ended = await within(how, 20_000, () => "the connection did not end");
  socket.destroy();
  return { bytes: Buffer.concat(parts), pieces: parts.length, ended };
}

test.each<[string, ProxyFault]>([
  ["nothing", {}],
  ["latency and jitter", { latencyMs: 2, jitterMs: 5, sliceBytes: 500 }],
  ["bandwidth", { bytesPerSecond: 100_000, sliceBytes: 1_000 }],
  ["slices", { sliceBytes: 7 }],
  ["a slow close", { end: 20 }],
])("startFaultProxy() with %s loses and adds no byte", async (_name, fault) => {
  const { proxy } = await behind(fault);
  const heard = await listen(proxy.port);
  expect([heard.bytes.equals(ANSWER), heard.ended]).toEqual([true, "FIN"]);
});

test.each([0, 1, 17, 2_000])("startFaultProxy() cuts or goes silent after exactly %i bytes", async (bytes) => {
  const cut = await behind({ stop: { after: bytes, by: "cut" } });
  const heard = await listen(cut.proxy.port);
  expect([heard.bytes.equals(ANSWER.subarray(0, bytes)), heard.ended]).toEqual([true, "FIN"]);
  const hole = await behind({ stop: { after: bytes, by: "blackhole" } });
  const silent = await listen(hole.proxy.port, bytes);
  expect([silent.bytes.equals(ANSWER.subarray(0, bytes)), silent.ended]).toEqual([true, "silence"]);
});

test("startFaultProxy() resets, and withholds a FIN if it is half-open", async () => {
  const reset = await behind({ stop: { after: 100, by: "reset" } });
  expect((await listen(reset.proxy.port)).ended).toBe("ECONNRESET");
  const halfOpen = await behind({ end: "half-open" });
  const heard = await listen(halfOpen.proxy.port, ANSWER.length);
  expect([heard.bytes.length, heard.ended]).toEqual([ANSWER.length, "silence"]);
});

test("startFaultProxy() closes the other side when a client disconnects, and close() ends open connections", async () => {
  const { proxy, origin } = await behind({ stop: { after: 0, by: "blackhole" } });
  const leaving = connect(proxy.port, "127.0.0.1");
  await once(leaving, "connect");
  await eventually(() => origin.openConnections === 1, "the proxy has dialled");
  leaving.destroy();
  await origin.closedDownTo(0);
  await eventually(() => proxy.openConnections === 0, "both sides are closed");
  const staying = connect(proxy.port, "127.0.0.1");
  staying.on("error", () => {});
  await eventually(() => proxy.openConnections === 2, "the proxy has dialled again");
  const closed = once(staying, "close");
  await proxy.close();
  await closed;
  expect([proxy.openConnections, proxy.connections]).toEqual([0, 2]);
});

test("createDice() returns the same numbers for the same seed", () => {
  const throwTen = (seed: number) => Array.from({ length: 10 }, createDice(seed));
  expect(throwTen(7)).toEqual(throwTen(7));
  expect(throwTen(7)).not.toEqual(throwTen(8));
  expect(throwTen(7).every((number) => number >= 0 && number < 1)).toBe(true);
});
