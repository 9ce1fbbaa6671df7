import { expect, test } from "vitest";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { toKey } from "../../../../src/core/object.ts";
import type { BucketDriver } from "../../../../src/serve/bucket/contract/driver.ts";
import { createKeyBudget } from "../../../../src/serve/mirror/key-budget.ts";

function budget(maxKeys: number, queryKeys: number, recent?: BucketDriver["recent"]) {
  const clock = { now: 0 };
  const store = { queryKeys };
  const bucket = { recent, queryKeys: async () => store.queryKeys };
  const { take, share } = createKeyBudget({
    ...{ bucket, bucketId: "1/b", maxKeys, log: SILENT_LOG },
    ticks: () => clock.now,
  });
  return { take: (key: string) => take(toKey(key)), share, clock, store };
}

/** A store on this machine. */
const LOCAL = { entry: () => undefined, read: () => undefined };

/** A count of the bucket runs in the background. */
const counted = () => new Promise((resolve) => setImmediate(resolve));

test("take() accepts keys with a query up to the bound, and every other key", () => {
  const { take } = budget(2, 0);
  expect([take("a?1"), take("b"), take("a?2"), take("a?3"), take("c")]).toEqual([true, true, true, false, true]);
});

test("take() counts the keys that a listed bucket had before", async () => {
  const { take } = budget(5, 4);
  expect(take("a?1")).toBe(true);
  await counted();
  expect(take("a?2")).toBe(false);
});

test("take() knows the keys of a store on this machine before the first one", async () => {
  const { take, share } = budget(4, 4, LOCAL);
  await counted();
  expect([take("a?1"), share()]).toEqual([false, 1]);
});

test.each([
  [3_600_000, undefined],
  [10_000, LOCAL],
])("take() counts the bucket again after %i ms, so removed objects make room", async (ms, recent) => {
  const { take, share, clock, store } = budget(2, 2, recent);
  take("a?1");
  await counted();
  store.queryKeys = 1;
  clock.now = ms - 1;
  expect(take("a?2")).toBe(false);
  await counted();
  expect(take("a?3")).toBe(false);
  clock.now = ms;
  take("a?4");
  await counted();
  expect(take("a?5")).toBe(true);
  expect(share()).toBe(1);
});

test("take() has no bound at 0, and share() is 0 then", async () => {
  const { take, share } = budget(0, 1_000_000_000, LOCAL);
  await counted();
  expect([take("a?1"), share()]).toEqual([true, 0]);
});
