import { expect, test } from "vitest";
import { abortable } from "../../../../src/async/cancellation.ts";
import { Client } from "../../../../src/http/request/exchange.ts";
import type { DownloadResponse } from "../../../../src/http/response/response.ts";

/** The part of a response that Client uses. */
function connection(isGone = false) {
  let leave = () => {};
  const response = {
    destroyed: isGone,
    onceGone(listener: () => void) {
      leave = listener;
    },
  } as DownloadResponse;
  return { client: new Client(response), leave: () => leave() };
}

test("Client calls each listener once when it leaves, and removed listeners never", () => {
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
  expect([client.aborted, client.reason?.code]).toEqual([true, "client_gone"]);
});

test("Client has one signal with the same reason, whether it is made before or after the client leaves", () => {
  const { client, leave } = connection();
  const { signal } = client;
  expect([signal.aborted, client.signal]).toEqual([false, signal]);
  leave();
  expect([signal.aborted, signal.reason]).toEqual([true, client.reason]);
  const late = connection();
  late.leave();
  expect([late.client.signal.aborted, late.client.signal.reason]).toEqual([true, late.client.reason]);
  expect(connection(true).client.aborted).toBe(true);
});

test("abortable() accepts a Client in place of a signal", async () => {
  const { client, leave } = connection();
  const never = abortable(new Promise(() => {}), client);
  leave();
  await expect(never).rejects.toMatchObject({ code: "client_gone" });
  await expect(abortable(new Promise(() => {}), client)).rejects.toMatchObject({ code: "client_gone" });
});
