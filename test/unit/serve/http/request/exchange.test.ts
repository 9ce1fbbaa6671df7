import { expect, test } from "vitest";
import { abortable } from "../../../../../src/async/cancellation.ts";
import type { HuiyuanError } from "../../../../../src/core/errors.ts";
import type { DownloadResponse } from "../../../../../src/serve/http/request/download-response.ts";
import {
  beginExchange,
  clientOf,
  clientSignal,
  createRequestIds,
  type DownloadRequest,
} from "../../../../../src/serve/http/request/exchange.ts";

/** The exchange of a client, and the connection's end. */
function connection(isGone = false) {
  let leave = () => {};
  const response = {
    onceGone(listener: () => void) {
      leave = listener;
      if (isGone) listener();
    },
  } as DownloadResponse;
  const exchange = beginExchange({} as DownloadRequest, response, "id");
  return { exchange, client: clientOf(exchange), leave: () => leave() };
}

test("clientOf() calls each listener once when it leaves, and removed listeners never", () => {
  const { client, leave } = connection();
  const told: string[] = [];
  const back = () => told.push("taken back");
  client.addEventListener("abort", () => told.push("one"));
  client.addEventListener("abort", back);
  client.addEventListener("abort", () => told.push("two"));
  client.removeEventListener("abort", back);
  expect([client.aborted, client.reason]).toEqual([false, undefined]);
  leave();
  expect(told).toEqual(["one", "two"]);
  expect([client.aborted, (client.reason as HuiyuanError).code]).toEqual([true, "client_gone"]);
});

test("clientSignal() is one signal with the same reason, whether it is made before or after the client leaves", () => {
  const { exchange, client, leave } = connection();
  const signal = clientSignal(exchange);
  expect([signal.aborted, clientSignal(exchange)]).toEqual([false, signal]);
  leave();
  expect([signal.aborted, signal.reason]).toEqual([true, client.reason]);
  const late = connection();
  late.leave();
  const lateSignal = clientSignal(late.exchange);
  expect([lateSignal.aborted, lateSignal.reason]).toEqual([true, late.client.reason]);
  expect(connection(true).client.aborted).toBe(true);
});

test("abortable() accepts a client in place of a signal", async () => {
  const { client, leave } = connection();
  const never = abortable(new Promise(() => {}), client);
  leave();
  await expect(never).rejects.toMatchObject({ code: "client_gone" });
  await expect(abortable(new Promise(() => {}), client)).rejects.toMatchObject({ code: "client_gone" });
});

test("createRequestIds() makes ids that never repeat, within one source and between two", () => {
  const [one, other] = [createRequestIds(), createRequestIds()];
  const ids = Array.from({ length: 1_000 }, () => [one(), other()]).flat();
  expect(new Set(ids).size).toBe(2_000);
});

test("createRequestIds() makes ids that need no escaping in a header, a JSON text or a log line", () => {
  const next = createRequestIds();
  for (let count = 0; count < 100; count += 1) expect(next()).toMatch(/^[0-9a-z]+-[0-9a-z]+$/);
});
