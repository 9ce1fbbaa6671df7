// Tests of the locks that make changes of one key wait for each other.
import { expect, test } from "vitest";
import { createKeyLocks } from "../../../src/async/key-locks.ts";
import { createLatch } from "../../helpers/spools.ts";

test("hold() runs tasks of one key in turn, and a task of another key at once", async () => {
  const locks = createKeyLocks();
  const latch = createLatch();
  const ran: string[] = [];
  const hold = (keys: string[], name: string, wait?: Promise<void>) =>
    locks.hold(keys, async () => {
      await wait;
      ran.push(name);
    });
  const held = [hold(["a"], "first", latch.opened), hold(["a", "b"], "second"), hold(["b"], "third")];
  await hold(["c"], "other");
  expect(ran).toEqual(["other"]);
  latch.open();
  await Promise.all(held);
  expect(ran).toEqual(["other", "first", "second", "third"]);
  expect(["a", "b", "c"].map(locks.isHeld)).toEqual([false, false, false]);
});

test("hold() throws store_failed if the key is not free in time, and then runs nothing", async () => {
  const locks = createKeyLocks({ waitMs: 30 });
  const latch = createLatch();
  const ran: string[] = [];
  const first = locks.hold(["a"], () => latch.opened);
  const second = locks.hold(["a"], async () => void ran.push("second"));
  await expect(second).rejects.toMatchObject({ code: "store_failed" });
  expect(locks.isHeld("a")).toBe(true);
  latch.open();
  await first;
  await expect.poll(() => locks.isHeld("a")).toBe(false);
  expect(ran).toEqual([]);
});

test("a task that timed out does not let later tasks overtake earlier ones", async () => {
  const locks = createKeyLocks({ waitMs: 30 });
  const latch = createLatch();
  const ran: string[] = [];
  const first = locks.hold(["a"], async () => {
    await latch.opened;
    ran.push("first");
  });
  await expect(locks.hold(["a"], async () => undefined)).rejects.toMatchObject({ code: "store_failed" });
  const third = locks.hold(["a"], async () => void ran.push("third"));
  latch.open();
  await Promise.all([first, third]);
  expect(ran).toEqual(["first", "third"]);
});

test("hold() rejects with the task's error, and the next task runs", async () => {
  const locks = createKeyLocks();
  const failing = locks.hold(["a"], () => Promise.reject(new Error("of the run")));
  const next = locks.hold(["a"], async () => "next");
  await expect(failing).rejects.toThrow("of the run");
  expect(await next).toBe("next");
});
