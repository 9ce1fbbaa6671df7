// What waits for the store, and when it helps out.
import { expect, test } from "vitest";
import { SILENT_LOG } from "../../../src/log.ts";
import type { Fill } from "../../../src/mirror/fill.ts";
import type { Standing } from "../../../src/mirror/freshness.ts";
import { createWaiting, type WaitingImage } from "../../../src/mirror/waiting.ts";
import type { ObjectInfo } from "../../../src/object.ts";

const image = (epoch: number, isWanted = true): WaitingImage => ({
  fill: { epoch } as Fill,
  info: { key: "a.jpg" } as ObjectInfo,
  isWanted,
});

/** What waits, of which all stands as told, and what its store is asked to do. */
function lab(standing: Standing = "ask-first") {
  const told: unknown[] = [];
  const stored = {
    bucketId: "1/b",
    remove: async (info: ObjectInfo, epoch: number) => told.push(["remove", info.key, epoch]) > 0,
  };
  const writeBack = { tryAgain: (bucketId: string, key: string) => void told.push(["again", bucketId, key]) };
  const waiting = createWaiting({ stored, writeBack, standingOf: () => standing, log: SILENT_LOG });
  /** An image that waits until the returned function is called. */
  const add = (image: WaitingImage) => {
    let settle: () => void = () => undefined;
    const settled = new Promise<void>((resolve) => {
      settle = resolve;
    });
    waiting.add("a", image, settled);
    return settle;
  };
  return { waiting, add, told };
}

test.each<[string, WaitingImage, number, boolean]>([
  ["is there for those who found the key as it was when it was asked for", image(1), 1, true],
  ["is there for those who found the key before its last change", image(2), 1, true],
  ["is not there where the key has changed since", image(1), 2, false],
  ["is not there where it has been taken back", image(1, false), 1, false],
])("what waits %s", (_name, waits, epoch, isThere) => {
  const { waiting, add } = lab();
  add(waits);
  expect(waiting.newest({ id: "a", epoch })).toBe(isThere ? waits : undefined);
  expect(waiting.newest({ id: "b", epoch })).toBeUndefined();
});

test.each<[Standing, boolean, boolean]>([
  ["fresh", true, true],
  ["stale", false, true],
  ["ask-first", false, true],
  ["must-ask", false, false],
])("what is %s is served unasked: %s, and helps out: %s", (standing, isFresh, helps) => {
  const { waiting } = lab(standing);
  expect([waiting.isFresh(image(1)), waiting.mayHelp(image(1))]).toEqual([isFresh, helps]);
});

test("what is taken back is let go of at once, and removed where it is stored already", () => {
  const { waiting, add, told } = lab();
  const waits = image(3);
  add(waits);
  waiting.takeBack(waits);
  expect([waits.isWanted, waiting.newest({ id: "a", epoch: 3 })]).toEqual([false, undefined]);
  expect(told).toEqual([
    ["again", "1/b", "a.jpg"],
    ["remove", "a.jpg", 3],
  ]);
});

test("once it is stored it waits no more", async () => {
  const { waiting, add } = lab();
  const settle = add(image(1));
  expect(waiting.size).toBe(1);
  settle();
  await Promise.resolve();
  expect([waiting.size, waiting.newest({ id: "a", epoch: 1 })]).toEqual([0, undefined]);
});

test("the end of an earlier one does not end the wait of a later one", async () => {
  const { waiting, add } = lab();
  const settle = add(image(1));
  const later = image(2);
  add(later);
  settle();
  await Promise.resolve();
  expect(waiting.newest({ id: "a", epoch: 1 })).toBe(later);
});
