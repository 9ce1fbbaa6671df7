import { expect, test } from "vitest";
import { createSemaphore, type SemaphoreOptions } from "../../../../src/image/limits/semaphore.ts";

const OPTIONS: SemaphoreOptions = { capacity: 2, maxWaiting: 2, waitMs: 60_000 };
const NEVER = new AbortController().signal;

/** Runs all pending microtasks and returns the events so far. */
async function settled<Value>(promise: Promise<Value>): Promise<Value | "waits"> {
  return Promise.race([promise, new Promise<"waits">((resolve) => setImmediate(resolve, "waits"))]);
}

test("acquire() takes free slots, then admits waiting renders in order", async () => {
  const queue = createSemaphore(OPTIONS);
  const [first, second] = [await queue.acquire(1, NEVER), await queue.acquire(1, NEVER)];
  const order: number[] = [];
  const third = queue.acquire(1, NEVER).then((place) => {
    order.push(3);
    return place;
  });
  const fourth = queue.acquire(1, NEVER).then(() => order.push(4));
  expect([queue.running, queue.waiting, await settled(third)]).toEqual([2, 2, "waits"]);
  first();
  first();
  await third;
  expect([order, queue.running, queue.waiting]).toEqual([[3], 2, 1]);
  second();
  await fourth;
  expect(order).toEqual([3, 4]);
});

test("acquire() refuses with Retry-After if the queue is full or the wait was too long", async () => {
  const queue = createSemaphore({ ...OPTIONS, capacity: 1, maxWaiting: 1, waitMs: 1 });
  await queue.acquire(1, NEVER);
  const waiting = queue.acquire(1, NEVER);
  await expect(queue.acquire(1, NEVER)).rejects.toMatchObject({ code: "render_overloaded", retryAfterSeconds: 2 });
  await expect(waiting).rejects.toMatchObject({ code: "render_overloaded" });
  expect(queue.waiting).toBe(0);
});

test("acquire() leaves the queue at once on an abort and takes no slot", async () => {
  const queue = createSemaphore({ ...OPTIONS, capacity: 1 });
  const place = await queue.acquire(1, NEVER);
  const client = new AbortController();
  const waiting = queue.acquire(1, client.signal);
  const patient = queue.acquire(1, NEVER);
  client.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  expect(queue.waiting).toBe(1);
  place();
  await patient;
  await expect(queue.acquire(1, client.signal)).rejects.toThrow("gone");
  expect(queue.running).toBe(1);
});

test("acquire() admits together only weights that fit, and a single one whatever its size", async () => {
  const queue = createSemaphore({ ...OPTIONS, capacity: 100, maxWaiting: 9 });
  const releaseHuge = await queue.acquire(1000, NEVER);
  const small = queue.acquire(1, NEVER);
  const large = queue.acquire(100, NEVER);
  expect(await settled(small)).toBe("waits");
  releaseHuge();
  const releaseSmall = await small;
  expect(await settled(large)).toBe("waits");
  // No render overtakes another; otherwise a large one would wait for ever.
  const late = queue.acquire(1, NEVER);
  expect(await settled(late)).toBe("waits");
  releaseSmall();
  (await large)();
  await late;
});

test("acquire() admits the next ones when the first one is aborted", async () => {
  const queue = createSemaphore({ ...OPTIONS, capacity: 100 });
  await queue.acquire(50, NEVER);
  const client = new AbortController();
  const tooLarge = queue.acquire(90, client.signal);
  const fitting = queue.acquire(10, NEVER);
  client.abort(new Error("gone"));
  await expect(tooLarge).rejects.toThrow("gone");
  await fitting;
});
