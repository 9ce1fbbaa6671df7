import { expect, test } from "vitest";
import { createSemaphore } from "../../../src/async/semaphore.ts";
import { createLatch } from "../../helpers/spools.ts";

test("a semaphore runs two tasks at once, the next in turn, and refuses the one beyond its line", async () => {
  const inTurn = createSemaphore({ places: 2, maxWaiting: 1, full: () => new Error("full") });
  const latch = createLatch();
  const began: string[] = [];
  const task = (name: string) =>
    inTurn(async () => {
      began.push(name);
      await latch.opened;
      if (name === "first") throw new Error("of the task");
      return name;
    });
  const results = ["first", "second", "third", "fourth"].map(task);
  const settled = Promise.allSettled(results);
  expect(began).toEqual(["first", "second"]);
  latch.open();
  expect(
    (await settled).map((result) => (result.status === "fulfilled" ? result.value : result.reason.message)),
  ).toEqual(["of the task", "second", "third", "full"]);
  expect(await task("fifth")).toBe("fifth");
});
