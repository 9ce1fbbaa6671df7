import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { shareSignal } from "../../../src/async/shared-signals.ts";

test("many listeners add one listener to the signal", () => {
  const { signal } = new AbortController();
  const shared = shareSignal(signal);
  for (let count = 0; count < 100; count += 1) shared.listeners.add(() => {});
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
});

test("an abort calls each remaining listener once, with the signal's reason", () => {
  const controller = new AbortController();
  const shared = shareSignal(controller.signal);
  const calls: string[] = [];
  const stop = shared.listeners.add(() => calls.push("left"));
  // This listener removes itself while all are notified.
  const stopOnce = shared.listeners.add(() => {
    calls.push("once");
    stopOnce();
  });
  shared.listeners.add(() => calls.push(`stays: ${shared.signal.reason}`));
  stop();
  controller.abort("enough");
  expect(calls).toEqual(["once", "stays: enough"]);
});
