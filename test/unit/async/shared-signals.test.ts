import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { createSharedSignals } from "../../../src/async/shared-signals.ts";

const listenersOn = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

test("many listeners add one listener to the signal, removed with the last of them", () => {
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

test("an abort calls each remaining listener once, with the signal's reason", () => {
  const share = createSharedSignals();
  const controller = new AbortController();
  const { signal } = controller;
  const calls: string[] = [];
  const stopFirst = () => calls.push("left");
  const [first, second] = [share(signal), share(signal)];
  const stop = first.listen(stopFirst);
  // This listener removes itself while all are notified.
  const stopOnce = second.listen(() => {
    calls.push("once");
    stopOnce();
  });
  share(signal).listen(() => calls.push("stays"));
  stop();
  controller.abort(new Error("enough"));
  expect(calls).toEqual(["once", "stays"]);
  expect(share(signal).signal).toBe(signal);
});

test("an abort does not call listeners of another signal", () => {
  const share = createSharedSignals();
  const [one, other] = [new AbortController(), new AbortController()];
  const calls: string[] = [];
  share(one.signal).listen(() => calls.push("one"));
  share(other.signal).listen(() => calls.push("other"));
  one.abort();
  expect(calls).toEqual(["one"]);
});
