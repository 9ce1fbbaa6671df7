import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { createSharedSignals } from "../../../src/origin/shared-signals.ts";

const listenersOn = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

test("many listeners are one on the signal, which goes with the last of them", () => {
  const share = createSharedSignals();
  const { signal } = new AbortController();
  const listeners = Array.from({ length: 100 }, () => () => {});
  for (const listener of listeners) share(signal).addEventListener("abort", listener);
  expect(listenersOn(signal)).toBe(1);
  for (const listener of listeners.slice(1)) share(signal).removeEventListener("abort", listener);
  expect(listenersOn(signal)).toBe(1);
  share(signal).removeEventListener("abort", listeners[0]!);
  expect(listenersOn(signal)).toBe(0);
});

test("an abort is told to each who still listens, once, with the signal's reason", () => {
  const share = createSharedSignals();
  const controller = new AbortController();
  const { signal } = controller;
  const told: string[] = [];
  const leaving = () => told.push("left");
  const [first, second] = [share(signal), share(signal)];
  first.addEventListener("abort", leaving);
  // A listener that takes itself back while all are told.
  const once = () => {
    told.push("once");
    second.removeEventListener("abort", once);
  };
  share(signal).addEventListener("abort", once);
  share(signal).addEventListener("abort", () => told.push("stays"));
  share(signal).removeEventListener("abort", leaving);
  controller.abort(new Error("enough"));
  expect(told).toEqual(["once", "stays"]);
  expect([share(signal).aborted, share(signal).reason]).toEqual([true, new Error("enough")]);
});

test("another signal is told of nothing", () => {
  const share = createSharedSignals();
  const [one, other] = [new AbortController(), new AbortController()];
  const told: string[] = [];
  share(one.signal).addEventListener("abort", () => told.push("one"));
  share(other.signal).addEventListener("abort", () => told.push("other"));
  one.abort();
  expect(told).toEqual(["one"]);
});
