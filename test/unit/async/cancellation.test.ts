// Whoever leaves is heard of, once.
import { expect, test } from "vitest";
import { CancellationSource } from "../../../src/async/cancellation.ts";

test("leave() tells those who listen, once, and why", () => {
  const departure = new CancellationSource();
  const heard: unknown[] = [];
  const listen = () => heard.push(departure.reason);
  const other = () => heard.push("other");
  departure.addEventListener("abort", listen);
  departure.addEventListener("abort", other);
  departure.removeEventListener("abort", other);
  expect([departure.aborted, departure.reason]).toEqual([false, undefined]);
  departure.cancel("first");
  departure.cancel("second");
  departure.addEventListener("abort", listen);
  expect([departure.aborted, departure.reason, heard]).toEqual([true, "first", ["first"]]);
});
