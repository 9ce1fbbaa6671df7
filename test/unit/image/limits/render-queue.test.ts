import { expect, test } from "vitest";
import { createRenderQueue, type RenderQueueOptions } from "../../../../src/image/limits/render-queue.ts";

const OPTIONS: RenderQueueOptions = { slots: 2, maxWaiting: 2, waitMs: 60_000, maxBytes: 100 };
const NEVER = new AbortController().signal;

/** Runs all pending microtasks and returns the events so far. */
async function settled<Value>(promise: Promise<Value>): Promise<Value | "waits"> {
  return Promise.race([promise, new Promise<"waits">((resolve) => setImmediate(resolve, "waits"))]);
}

test("enter() takes free slots, then admits waiting renders in order", async () => {
  const queue = createRenderQueue(OPTIONS);
  const [first, second] = [await queue.enter(NEVER), await queue.enter(NEVER)];
  const order: number[] = [];
  const third = queue.enter(NEVER).then((place) => {
    order.push(3);
    return place;
  });
  const fourth = queue.enter(NEVER).then(() => order.push(4));
  expect([queue.running, queue.waiting, await settled(third)]).toEqual([2, 2, "waits"]);
  first.release();
  first.release();
  await third;
  expect([order, queue.running, queue.waiting]).toEqual([[3], 2, 1]);
  second.release();
  await fourth;
  expect(order).toEqual([3, 4]);
});

test("enter() refuses with Retry-After if the queue is full or the wait was too long", async () => {
  const queue = createRenderQueue({ ...OPTIONS, slots: 1, maxWaiting: 1, waitMs: 1 });
  await queue.enter(NEVER);
  const waiting = queue.enter(NEVER);
  await expect(queue.enter(NEVER)).rejects.toMatchObject({ code: "render_overloaded", retryAfterSeconds: 2 });
  await expect(waiting).rejects.toMatchObject({ code: "render_overloaded" });
  expect(queue.waiting).toBe(0);
});

test("enter() leaves the queue at once on an abort and takes no slot", async () => {
  const queue = createRenderQueue({ ...OPTIONS, slots: 1 });
  const place = await queue.enter(NEVER);
  const client = new AbortController();
  const waiting = queue.enter(client.signal);
  const patient = queue.enter(NEVER);
  client.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  expect(queue.waiting).toBe(1);
  place.release();
  await patient;
  await expect(queue.enter(client.signal)).rejects.toThrow("gone");
  expect(queue.running).toBe(1);
});

test("reserve() admits together only renders that fit, and a single render whatever its size", async () => {
  const queue = createRenderQueue({ ...OPTIONS, slots: 4 });
  const places = await Promise.all([1, 2, 3, 4].map(() => queue.enter(NEVER)));
  const [huge, small, large, late] = places as [
    (typeof places)[0],
    (typeof places)[0],
    (typeof places)[0],
    (typeof places)[0],
  ];
  await huge.reserve(1000, NEVER);
  const smallOne = small.reserve(1, NEVER);
  const largeOne = large.reserve(100, NEVER);
  expect(await settled(smallOne)).toBe("waits");
  huge.release();
  await smallOne;
  expect(await settled(largeOne)).toBe("waits");
  // No render overtakes another; otherwise a large one would wait for ever.
  const lateOne = late.reserve(1, NEVER);
  expect(await settled(lateOne)).toBe("waits");
  small.release();
  await largeOne;
  large.release();
  await lateOne;
});

test("reserve() admits the next waiting renders when the first one is aborted", async () => {
  const queue = createRenderQueue({ ...OPTIONS, slots: 3 });
  const [one, two, three] = await Promise.all([queue.enter(NEVER), queue.enter(NEVER), queue.enter(NEVER)]);
  await one.reserve(50, NEVER);
  const client = new AbortController();
  const tooLarge = two.reserve(90, client.signal);
  const fitting = three.reserve(10, NEVER);
  client.abort(new Error("gone"));
  await expect(tooLarge).rejects.toThrow("gone");
  await fitting;
});
