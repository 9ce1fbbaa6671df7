// What waits for the store, and when it helps out.
import { expect, test } from "vitest";
import type { Fill } from "../../../src/mirror/fill.ts";
import type { Standing } from "../../../src/mirror/freshness.ts";
import { createWaiting, type WaitingImage } from "../../../src/mirror/waiting.ts";
import type { ObjectInfo } from "../../../src/object.ts";

const image = (epoch: number, isWanted = true): WaitingImage => ({
  fill: { epoch } as Fill,
  info: { key: "a.jpg" } as ObjectInfo,
  isWanted,
});

/** What is waiting, of which all stands as told. */
const waitingThat = (standing: Standing) => createWaiting({ standingOf: () => standing });

/** An image that waits until the test says so. */
function added(image: WaitingImage, waiting = waitingThat("ask-first")) {
  let settle: () => void = () => undefined;
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });
  waiting.add("a", image, settled);
  return { waiting, settle };
}

test.each<[string, WaitingImage, Standing, number, boolean]>([
  ["helps out as old as it is", image(1), "ask-first", 1, true],
  ["helps out those who found the key before its last change", image(2), "fresh", 1, true],
  ["is not what was brought before the key changed", image(1), "fresh", 2, false],
  ["is not what has been taken back", image(1, false), "fresh", 1, false],
  ["is not what is too old even for that", image(1), "must-ask", 1, false],
])("what waits %s", (_name, waits, standing, epoch, helps) => {
  const { waiting } = added(waits, waitingThat(standing));
  expect(waiting.helperFor({ id: "a", epoch })).toBe(helps ? waits.fill : undefined);
  expect(waiting.helperFor({ id: "b", epoch })).toBeUndefined();
});

test("once it is stored it waits no more", async () => {
  const { waiting, settle } = added(image(1));
  expect(waiting.size).toBe(1);
  settle();
  await Promise.resolve();
  expect([waiting.size, waiting.get("a"), waiting.helperFor({ id: "a", epoch: 1 })]).toEqual([0, undefined, undefined]);
});

test("the end of an earlier one does not end the wait of a later one", async () => {
  const { waiting, settle } = added(image(1));
  const later = image(2);
  added(later, waiting);
  settle();
  await Promise.resolve();
  expect(waiting.get("a")).toBe(later);
});
