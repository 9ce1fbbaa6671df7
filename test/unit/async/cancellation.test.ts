// Tests of the cheap AbortController.
import { expect, test } from "vitest";
import { CancellationSource } from "../../../src/async/cancellation.ts";

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
