// Tests of the cheap AbortController.

import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { CancellationSource, shareSignal } from "../../../src/async/cancellation.ts";

test("cancel() calls each listener once, with the reason set", () => {
  const source = new CancellationSource();
  const heard: unknown[] = [];
  const listen = () => heard.push(source.reason);
  const other = () => heard.push("other");
  source.addEventListener("abort", listen);
  source.addEventListener("abort", other);
  source.removeEventListener("abort", other);
  expect([source.aborted, source.reason]).toEqual([false, undefined]);
  source.cancel("first");
  source.cancel("second");
  source.addEventListener("abort", listen);
  expect([source.aborted, source.reason, heard]).toEqual([true, "first", ["first"]]);
});

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
