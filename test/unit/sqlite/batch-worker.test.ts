import { expect, test } from "vitest";
import { createBatchWorker } from "../../../src/sqlite/batch-worker.ts";

function start() {
  const deaths: unknown[] = [];
  const ended: string[][] = [];
  const worker = createBatchWorker<Record<"work" | "die" | "throw", [request: number, answer: string]>>({
    thread: { file: "./dying-thread.mjs", from: import.meta.url, name: "dying" },
    data: {},
    failure: "Cannot work",
    ending: "the thread has ended",
    maxBatch: 2,
    onEnded: (operations) => void ended.push(operations.map(({ name }) => name)),
    onDeath: (cause) => void deaths.push(cause),
  });
  return { worker, deaths, ended };
}

test.each([["die"], ["throw"]] as const)("a thread that dies (%s) fails what it had not done", async (end) => {
  const { worker, deaths, ended } = start();
  await worker.ready;
  expect(await worker.submit("work", 1)).toBe("work");
  const results = await Promise.allSettled([
    worker.submit("work", 2),
    worker.submit(end, 3),
    worker.submit("work", 4),
    worker.submit("work", 5),
  ]);
  expect(results.map((result) => (result.status === "rejected" ? result.reason.code : result.value))).toEqual([
    "work",
    ...Array<string>(3).fill("store_failed"),
  ]);
  // The operations of the last batch may have ended, so their owner hears of them; those in the queue have not.
  expect(ended.filter(({ length }) => length > 0)).toEqual([["work"], ["work"], [end, "work"]]);
  expect(deaths).toHaveLength(1);
  await expect(worker.submit("work", 6)).rejects.toMatchObject({ code: "store_failed" });
  await worker.close();
});

test("close() finishes operations that were submitted before the thread was ready", async () => {
  const { worker, deaths } = start();
  const work = [1, 2, 3, 4, 5].map((request) => worker.submit("work", request));
  await worker.close();
  expect(await Promise.all(work)).toEqual(Array(5).fill("work"));
  expect(deaths).toEqual([]);
});
