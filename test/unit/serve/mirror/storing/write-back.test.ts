// Writes in the background: retries, giving up, and what a stop leaves for the next start.
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { toKey } from "../../../../../src/core/object.ts";
import type { Spool, WholeBody } from "../../../../../src/serve/body/spool/spool.ts";
import type { BucketDriver } from "../../../../../src/serve/bucket/contract/driver.ts";
import type { Withdrawal } from "../../../../../src/serve/mirror/policy.ts";
import {
  createWriteBack,
  type WriteBackOptions,
  type WriteBackTask,
} from "../../../../../src/serve/mirror/storing/write-back.ts";
import { countingMeter, storedLab } from "../../../../helpers/mirror-lab.ts";
import { eventually } from "../../../../helpers/program.ts";
import { createLatch, type TestPool, testPool, writeAll } from "../../../../helpers/spools.ts";
import { infoOf, randomBytes } from "../../../../helpers/whole-body.ts";

const KEY = toKey("a.jpg");
const AN_HOUR = 3_600_000;

interface Lab {
  readonly perSpoolBytes?: number;
  readonly options?: Partial<WriteBackOptions>;
  readonly over?: (driver: BucketDriver) => Partial<BucketDriver>;
}

/** A write-back over an empty bucket, and `store()` for a new body, by default under KEY. */
function writeBackLab({ perSpoolBytes = 262_144, options, over }: Lab = {}) {
  const pool = testPool({ perSpoolBytes });
  const { stored, driver } = storedLab(over === undefined ? {} : { over });
  const meter = countingMeter();
  const clock = { now: 1_000 };
  const waiting = createLatch();
  const log = { ...SILENT_LOG, warn: () => waiting.open() };
  const writeBack = createWriteBack({ now: () => clock.now, log, meter, retryMs: [1, 1], ...options });
  const store = async (
    epoch = 0,
    key = KEY,
    { at = 1_000, fetch }: Pick<WriteBackTask, "fetch"> & { readonly at?: number } = {},
  ) => {
    const { spool, body } = await finished(pool);
    const described = infoOf(key, body);
    const info = { ...described, provenance: { ...described.provenance, validated: { at, life: {} } } };
    const done = writeBack.store({ stored, info, body, spool, epoch, fetch });
    return { done, body, spool };
  };
  /** Resolves when the first attempt has failed and a retry will follow. */
  const isWaiting = waiting.opened;
  /** The answer to a request that begins now withdraws the image. */
  const withdraw = (fate: Withdrawal, key = KEY) => {
    const fetch = stored.pendingWrites.begin(key);
    stored.pendingWrites.withdraw(fetch, fate);
    stored.pendingWrites.end(fetch);
  };
  return { pool, stored, driver, meter, clock, writeBack, store, isWaiting, withdraw };
}

async function finished(pool: TestPool): Promise<{ spool: Spool; body: WholeBody }> {
  const spool = pool.open();
  await writeAll(spool, randomBytes(10_000));
  return { spool, body: await spool.finish() };
}

/** A store that refuses the first `count` puts; `Infinity`: all of them. */
const refusing = (count: number) => {
  let left = count;
  return (driver: BucketDriver): Partial<BucketDriver> => ({
    put: (...put) =>
      left-- > 0
        ? Promise.reject(new HuiyuanError("store_full", "Cannot store: the test says so"))
        : driver.put(...put),
  });
};

test.each([
  ["in memory", 262_144],
  ["on disk", 0],
])("store() of a body %s puts it into the bucket, and releases the spool", async (_name, perSpoolBytes) => {
  const { store, driver, meter, pool } = writeBackLab({ perSpoolBytes });
  const { done, body } = await store();
  await done;
  expect(await driver.lookup(KEY)).toMatchObject({ state: "object", info: { hashes: body.hashes } });
  expect(meter.events).toEqual(["stored 10000"]);
  await pool.close();
  expect([pool.usage, pool.files()]).toEqual([{ spools: 0, bytes: 0 }, []]);
});

test("bodies that arrive during a batch are put together at its end", async () => {
  let puts = 0;
  const gathering = writeBackLab({
    options: { batchMs: 400 },
    over: (driver) => ({
      put(...put) {
        puts += 1;
        return driver.put(...put);
      },
    }),
  });
  const first = await gathering.store();
  const second = await gathering.store(0, toKey("b.jpg"));
  expect([puts, gathering.writeBack.backlog().depth]).toEqual([0, 2]);
  await first.done;
  // Put in one turn, so that the bucket commits them together.
  expect(puts).toBe(2);
  await second.done;
});

test("a body that has waited alone for quietMs does not wait for batchMs", async () => {
  const { store, driver } = writeBackLab({ options: { batchMs: AN_HOUR, quietMs: 20 } });
  await (await store()).done;
  expect((await driver.lookup(KEY)).state).toBe("object");
});

test("bodies wait as long as others arrive, but not beyond batchMs", async () => {
  const { store, writeBack } = writeBackLab({ options: { batchMs: 1_000, quietMs: 600 } });
  const began = performance.now();
  const first = await store();
  let isOver = false;
  const over = first.done.then(() => {
    isOver = true;
    return performance.now() - began;
  });
  while (!isOver) {
    await delay(10);
    void store();
  }
  expect(await over).toBeGreaterThanOrEqual(990);
  await writeBack.drain(5_000);
});

test("a soft purge stores the pending image of its key first, and is refused while the store refuses that", async () => {
  const one = writeBackLab({ options: { batchMs: AN_HOUR } });
  const first = await one.store();
  const other = await one.store(0, toKey("other.jpg"));
  await one.stored.purge(KEY, { hard: false });
  expect(await one.driver.lookup(KEY)).toMatchObject({ state: "object", isStale: true });
  expect((await one.driver.lookup(toKey("other.jpg"))).state).toBe("absent");
  await one.writeBack.drain(1_000);
  await Promise.all([first.done, other.done]);

  const full = writeBackLab({ over: refusing(Number.POSITIVE_INFINITY), options: { retryMs: [AN_HOUR] } });
  await full.store();
  for (const _time of [1, 2])
    await expect(full.stored.purge(KEY, { hard: false })).rejects.toMatchObject({ code: "store_full" });
  await full.stored.purge(KEY, { hard: true });
  await full.stored.purge(KEY, { hard: false });
  await full.writeBack.drain(1_000);
});

test("a withdrawn body is given up at once, its file and note too", async () => {
  const lab = writeBackLab({ perSpoolBytes: 0, over: refusing(1), options: { retryMs: [AN_HOUR] } });
  const { done } = await lab.store();
  await lab.isWaiting;
  expect(lab.pool.files().length).toBe(2);
  lab.withdraw("gone", toKey("other.jpg"));
  expect(lab.stored.pendingWrites.size).toBe(1);
  lab.withdraw("gone");
  expect(lab.stored.pendingWrites.size).toBe(0);
  expect(await done).toBeUndefined();
  await lab.pool.close();
  expect([lab.pool.files(), (await lab.driver.lookup(KEY)).state]).toEqual([[], "absent"]);
});

test("the note of a withdrawn body goes while its put hangs", async () => {
  const begun = createLatch();
  const lab = writeBackLab({
    perSpoolBytes: 0,
    over: () => ({
      put() {
        begun.open();
        return new Promise(() => {});
      },
    }),
  });
  await lab.store();
  await begun.opened;
  expect(lab.pool.files().length).toBe(2);
  lab.withdraw("gone");
  await eventually(() => lab.pool.files().length === 1, "the note has gone");
});

test.each([
  ["gone", "absent"],
  ["superseded", "object"],
] as const)("what becomes %s while it is put is undone, also where that is refused at first", async (fate, state) => {
  let refusals = 1;
  const lab = writeBackLab({
    options: { retryMs: [1, 1] },
    over: (driver) => ({
      async put(...put) {
        const result = await driver.put(...put);
        lab.withdraw(fate);
        return result;
      },
      purge: (...purge) =>
        refusals-- > 0 ? Promise.reject(new HuiyuanError("store_full", "the test says so")) : driver.purge(...purge),
    }),
  });
  await (await lab.store()).done;
  expect(await lab.driver.lookup(KEY)).toMatchObject({ state, ...(state === "object" && { isStale: true }) });
});

test("a version that is withdrawn while it is put, and a later one waits behind it, is not stored", async () => {
  const [begun, latch] = [createLatch(), createLatch()];
  const lab = writeBackLab({
    over: (driver) => ({
      async put(...put) {
        begun.open();
        await latch.opened;
        return driver.put(...put);
      },
    }),
  });
  const earlier = await lab.store();
  await begun.opened;
  const later = await lab.store();
  lab.withdraw("gone");
  latch.open();
  await Promise.all([earlier.done, later.done]);
  expect((await lab.driver.lookup(KEY)).state).toBe("absent");
});

test("a body that is withdrawn during an attempt does not wait for a retry", async () => {
  const lab = writeBackLab({
    perSpoolBytes: 0,
    options: { retryMs: [AN_HOUR] },
    over: () => ({
      async put() {
        lab.withdraw("gone");
        throw new HuiyuanError("store_full", "the test says so");
      },
    }),
  });
  expect(await (await lab.store()).done).toBeUndefined();
  await lab.pool.close();
  expect(lab.pool.files()).toEqual([]);
});

test("an earlier version that waits is released when a later one is stored", async () => {
  const lab = writeBackLab({ over: refusing(1), options: { retryMs: [AN_HOUR] } });
  const earlier = await lab.store(0);
  await lab.isWaiting;
  const later = await lab.store(0);
  await Promise.all([earlier.done, later.done]);
  expect(await lab.driver.lookup(KEY)).toMatchObject({ info: { hashes: later.body.hashes } });
});

test("of two versions that wait the one that was requested later stays, whichever comes last", async () => {
  const lab = writeBackLab({ over: refusing(1), options: { retryMs: [AN_HOUR] } });
  const fetch = lab.stored.pendingWrites.begin(KEY);
  const later = await lab.store(0, KEY, { at: 9 });
  await lab.isWaiting;
  const earlier = await lab.store(0, KEY, { at: 8, fetch });
  await earlier.done;
  await lab.stored.pendingWrites.find(KEY)?.tryNow();
  await later.done;
  expect(await lab.driver.lookup(KEY)).toMatchObject({ info: { hashes: later.body.hashes } });
});

test("of versions that come while the store is busy only the last one is put", async () => {
  const latch = createLatch();
  let puts = 0;
  const lab = writeBackLab({
    over: (driver) => ({
      async put(...put) {
        puts += 1;
        await latch.opened;
        return driver.put(...put);
      },
    }),
  });
  const all = [];
  for (let at = 1; at <= 50; at += 1) {
    all.push(await lab.store(0, KEY, { at }));
    await delay(1);
  }
  latch.open();
  await Promise.all(all.map(({ done }) => done));
  expect(await lab.driver.lookup(KEY)).toMatchObject({ info: { hashes: all.at(-1)?.body.hashes } });
  // The first over nothing, then the last over the first.
  expect(puts).toBeLessThanOrEqual(3);
});

test("store() resolves with the reason why a body was given up", async () => {
  const lab = writeBackLab({ over: refusing(Number.POSITIVE_INFINITY), options: { retryMs: [] } });
  expect(await (await lab.store()).done).toMatchObject({ code: "store_full" });
  const late = writeBackLab({ options: { maxQueued: 0 } });
  expect(await (await late.store()).done).toMatchObject({ code: "overloaded" });
});

test("a body on disk does not wait for a batch", async () => {
  const { store, driver } = writeBackLab({ perSpoolBytes: 0, options: { batchMs: AN_HOUR } });
  await (await store()).done;
  expect((await driver.lookup(KEY)).state).toBe("object");
});

test("drain() does not wait for a batch", async () => {
  const { store, driver, writeBack } = writeBackLab({ options: { batchMs: AN_HOUR } });
  await store();
  await writeBack.drain(5_000);
  expect((await driver.lookup(KEY)).state).toBe("object");
  await (await store()).done;
});

test("store() retries until the bucket stores the body", async () => {
  const { store, driver, meter } = writeBackLab({ over: refusing(2) });
  await (await store()).done;
  expect([(await driver.lookup(KEY)).state, meter.events]).toEqual(["object", ["stored 10000"]]);
});

test("store() gives up after the last retry, and returns the reason", async () => {
  const { store, driver, meter, pool } = writeBackLab({ perSpoolBytes: 0, over: refusing(3) });
  await (await store()).done;
  expect([(await driver.lookup(KEY)).state, meter.events]).toEqual(["absent", ["not stored store_full"]]);
  await pool.close();
  expect([pool.usage, pool.files()]).toEqual([{ spools: 0, bytes: 0 }, []]);
});

test("store() of a key that has changed since stores nothing, and is not a failure", async () => {
  const { store, stored, driver, meter } = writeBackLab();
  await stored.purge(KEY, { hard: true });
  await (await store(0)).done;
  expect([(await driver.lookup(KEY)).state, meter.events]).toEqual(["absent", []]);
  await (await store(1)).done;
  const first = await driver.lookup(KEY);
  await (await store(1)).done;
  expect([await driver.lookup(KEY), meter.events]).toEqual([first, ["stored 10000"]]);
});

test("store() keeps a note beside a body on disk while it waits, and none for one in memory", async () => {
  for (const [perSpoolBytes, hasNote] of [
    [0, true],
    [262_144, false],
  ] as const) {
    const putting = createLatch();
    const begun = createLatch();
    const { store, pool } = writeBackLab({
      perSpoolBytes,
      over: (driver) => ({
        async put(...put) {
          begun.open();
          await putting.opened;
          return driver.put(...put);
        },
      }),
    });
    const { done } = await store();
    await begun.opened;
    expect(pool.files().some((name) => name.endsWith(".part.json"))).toBe(hasNote);
    putting.open();
    await done;
    await pool.close();
    expect(pool.files()).toEqual([]);
  }
});

test("backlog() counts the unstored bodies, and how long the oldest has waited", async () => {
  const putting = createLatch();
  const { store, clock, writeBack } = writeBackLab({
    over: (driver) => ({
      async put(...put) {
        await putting.opened;
        return driver.put(...put);
      },
    }),
  });
  expect(writeBack.backlog()).toEqual({ depth: 0, oldestMs: 0 });
  const first = await store();
  clock.now += 300;
  const second = await store();
  clock.now += 50;
  expect(writeBack.backlog()).toEqual({ depth: 2, oldestMs: 350 });
  putting.open();
  await Promise.all([first.done, second.done]);
  expect(writeBack.backlog()).toEqual({ depth: 0, oldestMs: 0 });
});

test("a body beyond the bound is given up at once instead of waiting for a retry", async () => {
  const { store, meter, writeBack, isWaiting } = writeBackLab({
    options: { maxWaiting: 1, retryMs: [AN_HOUR] },
    over: refusing(Number.POSITIVE_INFINITY),
  });
  await store();
  await isWaiting;
  await (await store()).done;
  expect([meter.events, writeBack.backlog().depth]).toEqual([["not stored store_full"], 1]);
});

test.each<[string, number, Partial<WriteBackOptions>]>([
  ["enough bytes in memory wait", 262_144, { maxWaitingBytes: 20_000 }],
  ["enough bytes in files wait", 0, { maxWaitingBytes: 20_000 }],
  ["files that wait take half of the room", 0, { room: () => 40_000 }],
])("if %s, a body is given up at once, and the others keep waiting", async (_name, perSpoolBytes, options) => {
  const { store, meter, writeBack, driver, pool } = writeBackLab({
    perSpoolBytes,
    options: { retryMs: [AN_HOUR], ...options },
    over: refusing(3),
  });
  const all = [await store(), await store(0, toKey("b.jpg")), await store(0, toKey("c.jpg"))];
  // The third body of 10000 bytes.
  await Promise.race(all.map(({ done }) => done));
  expect([meter.events, writeBack.backlog().depth]).toEqual([["not stored store_full"], 2]);
  await writeBack.drain(5_000);
  expect((await driver.usage()).objects).toBe(2);
  await pool.close();
  expect([pool.usage, pool.files()]).toEqual([{ spools: 0, bytes: 0 }, []]);
});

test.each([
  ["in memory", 262_144],
  ["on disk", 0],
])("of several bodies %s that wait for a key, only the last one keeps waiting", async (_name, perSpoolBytes) => {
  let isFull = true;
  const refused: string[] = [];
  const { store, meter, writeBack, driver, pool } = writeBackLab({
    perSpoolBytes,
    options: { retryMs: [AN_HOUR] },
    over: (driver) => ({
      async put(...put) {
        if (!isFull) return driver.put(...put);
        refused.push(put[0].hashes.sha256);
        throw new HuiyuanError("store_full", "the test says so");
      },
    }),
  });
  const other = await store(0, toKey("b.jpg"));
  const earlier = [await store(), await store()];
  const last = await store();
  await Promise.all(earlier.map(({ done }) => done));
  expect([meter.events, writeBack.backlog().depth]).toEqual([[], 2]);
  await eventually(async () => refused.includes(last.body.hashes.sha256), "the last body was refused");
  // It looks once more for its file before it waits.
  await delay(100);
  isFull = false;
  await writeBack.drain(60_000);
  expect(await driver.lookup(KEY)).toMatchObject({ info: { hashes: last.body.hashes } });
  expect(await driver.lookup(toKey("b.jpg"))).toMatchObject({ info: { hashes: other.body.hashes } });
  await pool.close();
  expect([pool.usage, pool.files()]).toEqual([{ spools: 0, bytes: 0 }, []]);
});

test("a body of an earlier epoch does not replace one that waits", async () => {
  const { store, writeBack } = writeBackLab({
    options: { retryMs: [AN_HOUR] },
    over: refusing(Number.POSITIVE_INFINITY),
  });
  await store(1);
  await (await store(0)).done;
  expect(writeBack.backlog().depth).toBe(1);
  await writeBack.drain(5_000);
});

test("bodies in memory wait whatever room the disk has", async () => {
  const { store, meter, writeBack, isWaiting } = writeBackLab({
    options: { retryMs: [AN_HOUR], room: () => 0 },
    over: refusing(1),
  });
  await store();
  await isWaiting;
  expect([meter.events, writeBack.backlog().depth]).toEqual([[], 1]);
  await writeBack.drain(5_000);
});

test("a body that waits is given up at the next attempt if the room has shrunk", async () => {
  const rooms = [40_000];
  const { store, meter, pool } = writeBackLab({
    perSpoolBytes: 0,
    options: { retryMs: [1, AN_HOUR], room: () => rooms.shift() ?? 0 },
    over: refusing(Number.POSITIVE_INFINITY),
  });
  await (await store()).done;
  expect([meter.events, rooms]).toEqual([["not stored store_full"], []]);
  await pool.close();
  expect(pool.files()).toEqual([]);
});

test("drain() retries waiting bodies at once, and resolves when all are stored", async () => {
  const { store, driver, writeBack, meter, isWaiting } = writeBackLab({
    options: { retryMs: [AN_HOUR] },
    over: refusing(1),
  });
  const { done } = await store();
  await isWaiting;
  await writeBack.drain(5_000);
  await done;
  expect([(await driver.lookup(KEY)).state, meter.events, writeBack.backlog().depth]).toEqual([
    "object",
    ["stored 10000"],
    0,
  ]);
});

test("drain() also waits for a body that is handed over in the same turn", async () => {
  const { pool, stored, driver, writeBack } = writeBackLab({
    over: (driver) => ({
      async put(...put) {
        // Like a store that writes to a disk, not within the turn.
        await new Promise((resolve) => setImmediate(resolve));
        return driver.put(...put);
      },
    }),
  });
  const { spool, body } = await finished(pool);
  const drained = writeBack.drain(5_000);
  void writeBack.store({ stored, info: infoOf(KEY, body), body, spool, epoch: 0 });
  await drained;
  expect((await driver.lookup(KEY)).state).toBe("object");
});

test("drain() leaves a body on disk that cannot be stored, with its note, for the next start", async () => {
  const { store, writeBack, meter, pool, isWaiting } = writeBackLab({
    perSpoolBytes: 0,
    options: { retryMs: [AN_HOUR] },
    over: refusing(Number.POSITIVE_INFINITY),
  });
  const { done, body } = await store();
  await isWaiting;
  await writeBack.drain(5_000);
  await done;
  await pool.close();
  if (body.content.kind !== "file") throw new Error("the body is not on disk");
  expect([existsSync(body.content.path), existsSync(`${body.content.path}.json`), meter.events]).toEqual([
    true,
    true,
    [],
  ]);
});

test("drain() counts a body in memory that cannot be stored as not stored", async () => {
  const { store, writeBack, meter, pool, isWaiting } = writeBackLab({
    options: { retryMs: [AN_HOUR] },
    over: refusing(Number.POSITIVE_INFINITY),
  });
  const { done } = await store();
  await isWaiting;
  await writeBack.drain(5_000);
  await done;
  expect([meter.events, pool.usage.spools]).toEqual([["not stored store_full"], 0]);
});

test("store() gives up a body beyond maxQueued at once", async () => {
  const { store, writeBack, meter, pool } = writeBackLab({
    options: { maxQueued: 1 },
    over: () => ({ put: () => new Promise(() => {}) }),
  });
  await store();
  await (await store()).done;
  expect([writeBack.backlog().depth, meter.events]).toEqual([1, ["not stored overloaded"]]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(pool.usage.spools).toBe(1);
});

test("drain() stops waiting after its deadline", async () => {
  const { store, writeBack } = writeBackLab({ over: () => ({ put: () => new Promise(() => {}) }) });
  await store();
  await writeBack.drain(1);
  expect(writeBack.backlog().depth).toBe(1);
});

test("store() of many bodies that wait causes no warning of Node", async () => {
  const warned: string[] = [];
  const note = (warning: Error) => warned.push(warning.name);
  process.on("warning", note);
  onTestFinished(() => void process.off("warning", note));
  const { store, writeBack } = writeBackLab({
    options: { retryMs: [AN_HOUR] },
    over: refusing(Number.POSITIVE_INFINITY),
  });
  for (let count = 0; count < 20; count += 1) await store();
  await writeBack.drain(5_000);
  expect(warned).toEqual([]);
});
