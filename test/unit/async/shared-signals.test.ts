import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { createSharedSignals } from "../../../src/async/shared-signals.ts";

const listenersOn = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

test("many listeners are one on the signal, which goes with the last of them", () => {
  const share = createSharedSignals();
  const { signal } = new AbortController();
  const listeners = Array.from({ length: 100 }, () => () => {});
  const [first, ...others] = listeners.map((listener) => share(signal).listen(listener));
  expect(listenersOn(signal)).toBe(1);
  for (const stop of others) stop();
  expect(listenersOn(signal)).toBe(1);
  first?.();
  expect(listenersOn(signal)).toBe(0);
});

test("an abort is told to each who still listens, once, with the signal's reason", () => {
  const share = createSharedSignals();
  const controller = new AbortController();
  const { signal } = controller;
  const told: string[] = [];
  const leaving = () => told.push("left");
  const [first, second] = [share(signal), share(signal)];
  const stop = first.listen(leaving);
  // A listener that takes itself back while all are told.
  const stopOnce = second.listen(() => {
    told.push("once");
    stopOnce();
  });
  share(signal).listen(() => told.push("stays"));
  stop();
  controller.abort(new Error("enough"));
  expect(told).toEqual(["once", "stays"]);
  expect(share(signal).signal).toBe(signal);
});

test("another signal is told of nothing", () => {
  const share = createSharedSignals();
  const [one, other] = [new AbortController(), new AbortController()];
  const told: string[] = [];
  share(one.signal).listen(() => told.push("one"));
  share(other.signal).listen(() => told.push("other"));
  one.abort();
  expect(told).toEqual(["one"]);
});
