// Which fetches may begin, wait or are refused: fill slots, the queued semaphore, and both in order.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HuiyuanError } from "../../../../src/core/errors.ts";
import { createAdmission } from "../../../../src/mirror/fill/admission.ts";
import { createFillLimit, createQueuedSemaphore } from "../../../../src/mirror/fill/semaphore.ts";
import { NEVER } from "../../../helpers/spools.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets everything continue that waits for promises alone. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("createFillLimit()", () => {
  test("take() is false when all slots are taken, and true again after free()", () => {
    const slots = createFillLimit(2);
    expect([slots.take(), slots.take(), slots.take(), slots.taken]).toEqual([true, true, false, 2]);
    slots.free();
    expect([slots.take(), slots.take()]).toEqual([true, false]);
  });

  test("resize() to fewer slots revokes none, and take() is false until enough are free", () => {
    const slots = createFillLimit(3);
    for (let count = 0; count < 3; count += 1) slots.take();
    slots.resize(1);
    expect(slots.taken).toBe(3);
    slots.free();
    slots.free();
    expect(slots.take()).toBe(false);
    slots.free();
    expect(slots.take()).toBe(true);
    slots.resize(2);
    expect(slots.take()).toBe(true);
  });

  test("empty() resolves when the last slot is freed, and at once if none is taken", async () => {
    const slots = createFillLimit(2);
    await slots.empty();
    slots.take();
    slots.take();
    let isEmpty = false;
    const emptied = slots.empty().then(() => {
      isEmpty = true;
    });
    slots.free();
    await turn();
    expect(isEmpty).toBe(false);
    slots.free();
    await emptied;
  });
});

describe("createQueuedSemaphore()", () => {
  const options = { places: 1, maxWaiting: 2, waitMs: 1_000 };

  test("enter() takes a free place at once, and leave() passes it to the longest waiter", async () => {
    const bulkhead = createQueuedSemaphore(options);
    expect(bulkhead.enter()).toBeUndefined();
    const order: string[] = [];
    const first = bulkhead.enter()?.then(() => order.push("first"));
    const second = bulkhead.enter()?.then(() => order.push("second"));
    expect(bulkhead.waiting).toBe(2);
    bulkhead.leave();
    await first;
    expect([order, bulkhead.waiting]).toEqual([["first"], 1]);
    bulkhead.leave();
    await second;
    expect([order, bulkhead.waiting, vi.getTimerCount()]).toEqual([["first", "second"], 0, 0]);
    bulkhead.leave();
    expect(bulkhead.enter()).toBeUndefined();
  });

  test("enter() rejects with overloaded and Retry-After when its wait ends; the next waiter gets the place", async () => {
    const bulkhead = createQueuedSemaphore(options);
    expect(bulkhead.enter()).toBeUndefined();
    const late = bulkhead.enter();
    vi.advanceTimersByTime(500);
    const next = bulkhead.enter();
    vi.advanceTimersByTime(500);
    await expect(late).rejects.toMatchObject({ code: "overloaded", retryAfterSeconds: 2 });
    bulkhead.leave();
    await next;
    expect([bulkhead.waiting, vi.getTimerCount()]).toEqual([0, 0]);
  });

  test("enter() rejects with overloaded at once when the queue is full", async () => {
    const bulkhead = createQueuedSemaphore(options);
    expect(bulkhead.enter()).toBeUndefined();
    const waiting = [bulkhead.enter(), bulkhead.enter()];
    await expect(bulkhead.enter()).rejects.toMatchObject({ code: "overloaded" });
    expect(bulkhead.waiting).toBe(2);
    for (const each of waiting) {
      bulkhead.leave();
      await each;
    }
  });
});

describe("createAdmission()", () => {
  const options = { places: 1, maxWaiting: 10, waitMs: 1_000 };

  test("a fetch that waits for a place takes no slot", async () => {
    const bulkhead = createQueuedSemaphore(options);
    const slots = createFillLimit(10);
    const admission = createAdmission({ queue: bulkhead, slots, signal: NEVER });
    const leave = await admission();
    const waiting = admission();
    await turn();
    expect([slots.taken, bulkhead.waiting]).toEqual([1, 1]);
    leave();
    (await waiting)();
    expect([slots.taken, bulkhead.waiting, bulkhead.enter()]).toEqual([0, 0, undefined]);
  });

  test("without a free slot it throws overloaded, and the place is free again", async () => {
    const bulkhead = createQueuedSemaphore(options);
    const slots = createFillLimit(1);
    slots.take();
    const admission = createAdmission({ queue: bulkhead, slots, signal: NEVER });
    await expect(admission()).rejects.toMatchObject({ code: "overloaded", retryAfterSeconds: 1 });
    expect(bulkhead.enter()).toBeUndefined();
  });

  test("admits no fetch while the program stops, nor one that was waiting then", async () => {
    const stopping = new AbortController();
    const bulkhead = createQueuedSemaphore(options);
    const slots = createFillLimit(10);
    const admission = createAdmission({ queue: bulkhead, slots, signal: stopping.signal });
    const leave = await admission();
    const waiting = [admission(), admission()];
    stopping.abort(new HuiyuanError("draining", "Cannot go on fetching: the server is stopping"));
    await expect(admission()).rejects.toMatchObject({ code: "draining" });
    leave();
    for (const each of waiting) await expect(each).rejects.toMatchObject({ code: "draining" });
    expect([slots.taken, bulkhead.waiting, bulkhead.enter()]).toEqual([0, 0, undefined]);
  });
});
