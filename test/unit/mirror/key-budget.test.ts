import { expect, test } from "vitest";
import { SILENT_LOG } from "../../../src/core/log.ts";
import { toKey } from "../../../src/core/object.ts";
import { createKeyBudget } from "../../../src/mirror/key-budget.ts";
import { storedLab } from "../../helpers/mirror-lab.ts";

async function budget(maxKeys: number, objects: number) {
  const clock = { now: 0 };
  const { stored } = storedLab({ now: () => clock.now });
  const bucket = { ...stored.bucket, usage: async () => ({ objects, bytes: 0 }) };
  const mayStore = createKeyBudget({ bucket, bucketId: "1/b", maxKeys, log: SILENT_LOG, ticks: () => clock.now });
  const take = (key: string) => mayStore(toKey(key));
  return { take, clock };
}

/** The first take() counts the bucket in the background. */
const counted = () => new Promise((resolve) => setImmediate(resolve));

test("take() accepts keys with a query up to the bound, and every other key", async () => {
  const { take } = await budget(2, 0);
  expect([take("a?1"), take("b"), take("a?2"), take("a?3"), take("c")]).toEqual([true, true, true, false, true]);
});

test("take() counts the objects that the bucket had before", async () => {
  const { take } = await budget(5, 4);
  expect(take("a?1")).toBe(true);
  await counted();
  expect(take("a?2")).toBe(false);
});

test("take() counts the bucket again after an hour, so removed objects make room", async () => {
  const { take, clock } = await budget(1, 0);
  expect([take("a?1"), take("a?2")]).toEqual([true, false]);
  await counted();
  clock.now = 3_600_000;
  take("a?3");
  await counted();
  expect(take("a?4")).toBe(true);
});

test("take() has no bound at 0", async () => {
  const { take } = await budget(0, 1_000_000_000);
  expect(take("a?1")).toBe(true);
});
