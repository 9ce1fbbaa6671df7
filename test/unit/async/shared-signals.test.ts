import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { shareSignal } from "../../../src/async/shared-signals.ts";

test("many listeners add one listener to the signal, and none stays after them", () => {
  const { signal } = new AbortController();
  const shared = shareSignal(signal);
  const added = Array.from({ length: 100 }, () => shared.listeners.add(() => {}));
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  for (const remove of added) remove();
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
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
