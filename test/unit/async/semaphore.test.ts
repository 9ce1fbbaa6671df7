import { expect, test } from "vitest";
import { createSemaphore } from "../../../src/async/semaphore.ts";
import { overloaded } from "../../../src/serve/image/limits/render-scheduler.ts";
import { createLatch } from "../../helpers/spools.ts";

const LINE = { maxWaiting: 2, waitMs: 60_000, overloaded };
const NEVER = new AbortController().signal;

/** Runs all pending microtasks and returns the events so far. */
async function settled<Value>(promise: Promise<Value>): Promise<Value | "waits"> {
  return Promise.race([promise, new Promise<"waits">((resolve) => setImmediate(resolve, "waits"))]);
}

test("acquire() takes free slots, then admits waiting renders in order", async () => {
  const queue = createSemaphore(2, LINE);
  const [first, second] = [await queue.acquire(NEVER), await queue.acquire(NEVER)];
  const order: number[] = [];
  const third = queue.acquire(NEVER).then((place) => {
    order.push(3);
    return place;
  });
  const fourth = queue.acquire(NEVER).then(() => order.push(4));
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
  const queue = createSemaphore(1, { ...LINE, maxWaiting: 1, waitMs: 1 });
  await queue.acquire(NEVER);
  const waiting = queue.acquire(NEVER);
  await expect(queue.acquire(NEVER)).rejects.toMatchObject({ code: "render_overloaded", retryAfterSeconds: 2 });
  await expect(waiting).rejects.toMatchObject({ code: "render_overloaded" });
  expect(queue.waiting).toBe(0);
});

test("acquire() leaves the queue at once on an abort and takes no slot", async () => {
  const queue = createSemaphore(1, LINE);
  const place = await queue.acquire(NEVER);
  const client = new AbortController();
  const waiting = queue.acquire(client.signal);
  const patient = queue.acquire(NEVER);
  client.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  expect(queue.waiting).toBe(1);
  place();
  await patient;
  await expect(queue.acquire(client.signal)).rejects.toThrow("gone");
  expect(queue.running).toBe(1);
});

test("acquire() admits together only weights that fit, and a single one whatever its size", async () => {
  const queue = createSemaphore(100, { ...LINE, maxWaiting: 9 });
  const releaseHuge = await queue.acquire(NEVER, 1000);
  const small = queue.acquire(NEVER);
  const large = queue.acquire(NEVER, 100);
  expect(await settled(small)).toBe("waits");
  releaseHuge();
  const releaseSmall = await small;
  expect(await settled(large)).toBe("waits");
  // No render overtakes another; otherwise a large one would wait for ever.
  const late = queue.acquire(NEVER);
  expect(await settled(late)).toBe("waits");
  releaseSmall();
  (await large)();
  await late;
});

test("acquire() admits the next ones when the first one is aborted", async () => {
  const queue = createSemaphore(100, LINE);
  await queue.acquire(NEVER, 50);
  const client = new AbortController();
  const tooLarge = queue.acquire(client.signal, 90);
  const fitting = queue.acquire(NEVER, 10);
  client.abort(new Error("gone"));
  await expect(tooLarge).rejects.toThrow("gone");
  await fitting;
});

test("tryAcquire() is undefined when all places are taken, and while others wait", async () => {
  const places = createSemaphore(2);
  const [first] = [places.tryAcquire(), places.tryAcquire()];
  expect([places.tryAcquire(), places.running]).toEqual([undefined, 2]);
  const waiting = places.acquire(NEVER);
  first?.();
  await waiting;
  expect(places.tryAcquire()).toBeUndefined();
});

test("resize() to fewer places revokes none, and to more admits those that wait", async () => {
  const places = createSemaphore(3);
  const [first, second, third] = [places.tryAcquire(), places.tryAcquire(), places.tryAcquire()];
  places.resize(1);
  expect(places.running).toBe(3);
  first?.();
  second?.();
  expect(places.tryAcquire()).toBeUndefined();
  const waiting = places.acquire(NEVER);
  places.resize(2);
  await waiting;
  third?.();
  expect(places.running).toBe(1);
});

test("empty() resolves when the last place is freed, and at once if none is taken", async () => {
  const places = createSemaphore(2);
  await places.empty();
  const [first, second] = [places.tryAcquire(), places.tryAcquire()];
  const emptied = places.empty();
  first?.();
  expect(await settled(emptied)).toBe("waits");
  second?.();
  await emptied;
});

test("a semaphore runs two tasks at once, the next in turn, and refuses the one beyond its line", async () => {
  const inTurn = createSemaphore(2, { maxWaiting: 1, overloaded: () => new Error("full") });
  const latch = createLatch();
  const began: string[] = [];
  const task = async (name: string) => {
    const release = await inTurn.acquire(undefined);
    began.push(name);
    await latch.opened;
    release();
    return name;
  };
  const results = ["first", "second", "third", "fourth"].map(task);
  const outcomes = Promise.allSettled(results);
  await new Promise((resolve) => setImmediate(resolve));
  expect(began).toEqual(["first", "second"]);
  latch.open();
  expect(
    (await outcomes).map((result) => (result.status === "fulfilled" ? result.value : result.reason.message)),
  ).toEqual(["first", "second", "third", "full"]);
  expect(await task("fifth")).toBe("fifth");
});
