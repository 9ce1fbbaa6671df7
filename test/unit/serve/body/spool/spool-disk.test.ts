// Tests when a spool goes to disk, how the disk paces the origin, and how the body ends if the disk fails.
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import type { Spool } from "../../../../../src/serve/body/spool/spool.ts";
import { type Disk, REAL_DISK } from "../../../../../src/serve/body/spool/spool-file.ts";
import { eventually } from "../../../../helpers/program.ts";
import {
  createLatch,
  diskError,
  NEVER,
  readToEnd,
  type TestPool,
  testPool,
  writeAll,
} from "../../../../helpers/spools.ts";
import { randomBytes, wholeBody } from "../../../../helpers/whole-body.ts";

const KIB = 1_024;
const MIB = 1_048_576;

/** Fails soon instead of hanging. */
function soon(promise: Promise<void>): Promise<void> {
  return Promise.race([promise, after(5_000).then(() => Promise.reject(new Error("it waits for ever")))]);
}

/** A disk that accepts `room` bytes and then fails, which resolves `failed`. */
function failingDisk(room: number, code = "ENOSPC"): Partial<Disk> & { readonly failed: Promise<void> } {
  let left = room;
  const latch = createLatch();
  return {
    failed: latch.opened,
    async write(descriptor, pieces, position) {
      if (left === 0) {
        // Resolves after the callbacks of the failure ran.
        setImmediate(latch.open);
        throw diskError(code);
      }
      const all = Buffer.concat(pieces);
      const part = all.subarray(0, left);
      left -= part.byteLength;
      return REAL_DISK.write(descriptor, [part], position);
    },
  };
}

/** Whether a body fits into a file of its own. */
async function isKept(pool: TestPool): Promise<boolean> {
  const spool = pool.open();
  await writeAll(spool, randomBytes(64 * KIB));
  try {
    return (await spool.finish()).content.kind === "file";
  } catch {
    return false; // store_full
  } finally {
    spool.release();
  }
}

test.each([
  [99, "buffer"],
  [100, "buffer"],
  [101, "file"],
])("a body of %d bytes ends as a %s if a spool may keep 100 in memory", async (size, kind) => {
  const pool = testPool({ perSpoolBytes: 100 });
  const spool = pool.open();
  const bytes = randomBytes(size);
  await writeAll(spool, bytes, 10);
  const { content } = await spool.finish();
  expect(content.kind).toBe(kind);
  expect(pool.files()).toHaveLength(kind === "file" ? 1 : 0);
  if (content.kind === "file") {
    expect(readFileSync(content.path).equals(bytes)).toBe(true);
    expect(statSync(content.path).mode & 0o777).toBe(0o600);
    expect(content.path.endsWith(".part")).toBe(true);
  }
  spool.release();
});

test("spools go to disk when the pool's memory is used up, and stay in memory before", async () => {
  const pool = testPool({ memoryBytes: 250_000 });
  const spools = [pool.open(), pool.open(), pool.open()];
  for (const spool of spools) spool.write(randomBytes(100_000));
  const kinds: string[] = [];
  for (const spool of spools) kinds.push((await spool.finish()).content.kind);
  expect(kinds).toEqual(["buffer", "buffer", "file"]);
  expect(pool.usage).toEqual({ spools: 3, bytes: 200_000 });
  for (const spool of spools) spool.release();
  expect(pool.usage).toEqual({ spools: 0, bytes: 0 });
});

test("resize() applies from the next write", async () => {
  const pool = testPool({ memoryBytes: 250_000 });
  const spool = pool.open();
  spool.write(randomBytes(100_000));
  pool.resize(50_000);
  spool.write(randomBytes(1));
  expect((await spool.finish()).content.kind).toBe("file");
  spool.release();
});

test("a spool on disk keeps its latest 256 KiB in memory, and no byte while the pool's memory is used up", async () => {
  const pool = testPool({ perSpoolBytes: 0 });
  const spool = pool.open();
  const bytes = randomBytes(MIB);
  await writeAll(spool, bytes, 16 * KIB);
  spool.write(Buffer.from("!"));
  await spool.drained();
  expect(pool.usage.bytes).toBeLessThanOrEqual(256 * KIB);
  expect(spool.peek(MIB - 240 * KIB)?.byteLength).toBe(16 * KIB);
  expect(spool.peek(0)).toBeUndefined();
  pool.resize(0);
  spool.write(Buffer.from("!"));
  await spool.drained();
  expect(pool.usage.bytes).toBe(0);
  await spool.finish();
  expect((await readToEnd(spool)).equals(Buffer.concat([bytes, Buffer.from("!!")]))).toBe(true);
  spool.release();
});

test("write() is false once the disk lags by over 1 MiB, until drained() resolves", async () => {
  const latch = createLatch();
  const pool = testPool({
    perSpoolBytes: 0,
    disk: {
      async write(...step) {
        await latch.opened;
        return REAL_DISK.write(...step);
      },
    },
  });
  const spool = pool.open();
  const bytes = randomBytes(MIB + 1);
  expect(spool.write(bytes.subarray(0, MIB))).toBe(true);
  expect(spool.write(bytes.subarray(MIB))).toBe(false);
  let isDrained = false;
  const drained = spool.drained().then(() => {
    isDrained = true;
  });
  expect(spool.peek(0)?.byteLength).toBe(256 * KIB);
  await new Promise(setImmediate);
  expect(isDrained).toBe(false);
  latch.open();
  await drained;
  expect(spool.write(Buffer.from("!"))).toBe(true);
  expect((await spool.finish()).size).toBe(MIB + 2);
  spool.release();
});

test("write() is false once the disk lags by over 64 KiB while the pool's memory is used up", async () => {
  const pool = testPool({ memoryBytes: 0 });
  const spool = pool.open();
  expect(spool.write(randomBytes(64 * KIB))).toBe(true);
  expect(spool.write(randomBytes(1))).toBe(false);
  await spool.drained();
  expect(pool.usage.bytes).toBe(0);
  spool.release();
});

test.each<[string, (spool: Spool) => void]>([
  ["fails", (spool) => spool.fail(new HuiyuanError("origin_reset", "Cannot use the body: it broke off"))],
  ["is released", (spool) => spool.release()],
])("drained() resolves when the body %s while the disk hangs", async (_name, finishOff) => {
  const latch = createLatch();
  const pool = testPool({ perSpoolBytes: 0, disk: { open: (path) => latch.opened.then(() => REAL_DISK.open(path)) } });
  const spool = pool.open();
  expect(spool.write(randomBytes(2 * MIB))).toBe(false);
  const drained = spool.drained();
  finishOff(spool);
  await drained;
  latch.open();
  if (spool.end !== undefined) spool.release();
  await pool.close();
  expect(pool.usage).toEqual({ spools: 0, bytes: 0 });
  expect(pool.files()).toEqual([]);
});

test("short writes of the disk lose nothing", async () => {
  const pool = testPool({
    perSpoolBytes: 0,
    disk: { write: (fd, pieces, position) => REAL_DISK.write(fd, [pieces[0]!.subarray(0, 7_001)], position) },
  });
  const spool = pool.open();
  const bytes = randomBytes(200_000);
  await writeAll(spool, bytes, 30_000);
  const { content } = await spool.finish();
  expect(readFileSync(content.kind === "file" ? content.path : "").equals(bytes)).toBe(true);
  spool.release();
});

test("the store may rename the file: readers continue, and the release removes nothing", async () => {
  const pool = testPool({ perSpoolBytes: 0 });
  const spool = pool.open();
  const bytes = randomBytes(300_000);
  await writeAll(spool, bytes);
  const { content } = await spool.finish();
  const blob = join(pool.dir, "blob");
  renameSync(content.kind === "file" ? content.path : "", blob);
  expect((await readToEnd(spool)).equals(bytes)).toBe(true);
  spool.release();
  await pool.close();
  expect(readFileSync(blob).equals(bytes)).toBe(true);
});

test("a file that existed before is neither written nor removed", async () => {
  let foreign = "";
  const pool = testPool({
    perSpoolBytes: 0,
    disk: {
      open(path) {
        foreign = path;
        writeFileSync(path, "foreign");
        return REAL_DISK.open(path);
      },
    },
  });
  const spool = pool.open();
  spool.write(randomBytes(10));
  await expect(spool.finish()).rejects.toMatchObject({ code: "store_failed" });
  spool.release();
  await pool.close();
  expect(existsSync(foreign) && readFileSync(foreign, "utf8")).toBe("foreign");
});

test.each([
  ["ENOSPC", "store_full"],
  ["EDQUOT", "store_full"],
  ["EIO", "store_failed"],
  ["EROFS", "store_failed"],
])(
  "finish() translates %s to %s, and a reader that keeps up gets every byte and a clean end",
  async (code, expected) => {
    const pool = testPool({ perSpoolBytes: 0, disk: failingDisk(100_000, code) });
    const spool = pool.open();
    const bytes = randomBytes(3 * MIB);
    spool.hold();
    const reader = readToEnd(spool).finally(() => spool.release());
    await writeAll(spool, bytes);
    await expect(spool.finish()).rejects.toMatchObject({ code: expected, cause: { code } });
    const { hashes } = wholeBody(bytes);
    expect(spool.end).toMatchObject({ kind: "unstored", error: { code: expected }, hashes });
    expect((await reader).equals(bytes)).toBe(true);
    spool.release();
    expect(pool.usage).toEqual({ spools: 0, bytes: 0 });
    await pool.close();
    expect(pool.files()).toEqual([]);
  },
);

test("a disk that fails after the last byte leaves the hashes", async () => {
  const latch = createLatch();
  const write = () => latch.opened.then(() => Promise.reject(diskError("ENOSPC")));
  const spool = testPool({ perSpoolBytes: 0, disk: { write } }).open();
  const bytes = randomBytes(100_000);
  spool.write(bytes);
  const finished = expect(spool.finish()).rejects.toMatchObject({ code: "store_full" });
  latch.open();
  await finished;
  expect(spool.end).toMatchObject({ kind: "unstored", hashes: wholeBody(bytes).hashes });
  spool.release();
});

test("a reader gets every byte if the file cannot be created", async () => {
  const pool = testPool({ perSpoolBytes: 0, disk: { open: () => Promise.reject(diskError("EMFILE")) } });
  const spool = pool.open();
  const bytes = randomBytes(MIB);
  spool.hold();
  const reader = readToEnd(spool).finally(() => spool.release());
  await writeAll(spool, bytes, 10_000);
  await expect(spool.finish()).rejects.toMatchObject({ code: "store_failed" });
  expect(spool.end).toMatchObject({ hashes: wholeBody(bytes).hashes });
  expect((await reader).equals(bytes)).toBe(true);
  spool.release();
  expect(pool.usage.bytes).toBe(0);
});

test("files use at most the given room; a larger body is streamed unstored, and fits again once files are removed", async () => {
  const pool = testPool({ perSpoolBytes: 0, room: () => 2 * MIB });
  const kept = pool.open();
  await writeAll(kept, randomBytes(2 * MIB));
  expect((await kept.finish()).content.kind).toBe("file");

  const passed = pool.open();
  const bytes = randomBytes(MIB);
  const reading = readToEnd(passed);
  await writeAll(passed, bytes);
  await expect(passed.finish()).rejects.toMatchObject({ code: "store_full" });
  expect((await reading).equals(bytes)).toBe(true);
  passed.release();

  kept.release();
  await eventually(() => isKept(pool), "its room is free again");
});

test("a file that the store has renamed frees its room when the last reader has left", async () => {
  const pool = testPool({ perSpoolBytes: 0, room: () => MIB });
  const spool = pool.open();
  await writeAll(spool, randomBytes(MIB));
  const { content } = await spool.finish();
  if (content.kind !== "file") throw new Error("the body is not on disk");
  renameSync(content.path, join(pool.dir, "stored"));
  expect(await isKept(pool)).toBe(false);
  spool.release();
  await eventually(() => isKept(pool), "its room is free again");
});

describe("a transient", () => {
  /** A pool whose disk takes 64 KiB. */
  function poolWithFullDisk(bounds: { memoryBytes?: number; maxTransientBytes?: number } = {}) {
    const disk = failingDisk(64 * KIB);
    return { pool: testPool({ perSpoolBytes: 4 * KIB, disk, ...bounds }), disk };
  }
  /** A body that the disk refuses; it holds `size` bytes in memory. */
  async function transientOf({ pool, disk }: ReturnType<typeof poolWithFullDisk>, size: number): Promise<Spool> {
    const spool = pool.open();
    await soon(writeAll(spool, randomBytes(64 * KIB)));
    await soon(writeAll(spool, randomBytes(size), 100_000));
    await disk.failed;
    return spool;
  }

  test("gives all bytes to every reader, whatever its speed, and never pauses the origin", async () => {
    const { pool, disk } = poolWithFullDisk({ memoryBytes: 0 });
    const spool = pool.open();
    const bytes = randomBytes(4 * MIB);
    for (let user = 0; user < 3; user += 1) spool.hold();
    const fast = readToEnd(spool);
    const late = spool.read(0, NEVER);
    await soon(writeAll(spool, bytes.subarray(0, 128 * KIB)));
    await disk.failed;
    for (let at = 128 * KIB; at < 4 * MIB; at += 64 * KIB) {
      expect(spool.write(bytes.subarray(at, at + 64 * KIB))).toBe(true);
    }
    await expect(spool.finish()).rejects.toMatchObject({ code: "store_full" });
    expect((await fast).equals(bytes)).toBe(true);
    expect((await late)?.equals(bytes.subarray(0, 64 * KIB))).toBe(true);
    expect((await readToEnd(spool)).equals(bytes)).toBe(true);
    for (let user = 0; user < 3; user += 1) spool.release();
    expect(pool.usage.bytes).toBeGreaterThanOrEqual(4 * MIB - 64 * KIB);
    spool.release();
    expect(pool.usage).toEqual({ spools: 0, bytes: 0 });
  });

  test("leaves the memory of other spools alone", async () => {
    const lab = poolWithFullDisk({ memoryBytes: MIB });
    const spool = await transientOf(lab, 3 * MIB);
    const small = lab.pool.open();
    small.write(Buffer.from("small"));
    expect((await small.finish()).content.kind).toBe("buffer");
    small.release();
    spool.release();
  });

  test("fails with not_kept beyond the room of all, and its memory is free at once", async () => {
    const lab = poolWithFullDisk({ maxTransientBytes: MIB });
    const first = await transientOf(lab, 700_000);
    const before = lab.pool.usage.bytes;
    const second = lab.pool.open();
    second.hold();
    const reading = readToEnd(second);
    const refused = { code: "not_kept", retryAfterSeconds: 1 };
    second.write(randomBytes(600_000));
    await expect(reading).rejects.toMatchObject(refused);
    expect(second.end).toMatchObject({ kind: "failed", error: refused });
    expect(() => second.write(randomBytes(10))).toThrow(HuiyuanError);
    await expect(second.finish()).rejects.toMatchObject(refused);
    expect(lab.pool.usage.bytes).toBe(before);
    await soon(writeAll(first, randomBytes(200_000)));
    expect(first.end).toBeUndefined();
    for (const spool of [first, second, second]) spool.release();
    expect(lab.pool.usage).toEqual({ spools: 0, bytes: 0 });
  });

  test("fails with not_kept also if the disk refuses the last bytes while the body ends", async () => {
    const latch = createLatch();
    const write = () => latch.opened.then(() => Promise.reject(diskError("EIO")));
    const pool = testPool({ perSpoolBytes: 0, disk: { write }, maxTransientBytes: 99_999 });
    const spool = pool.open();
    spool.write(randomBytes(100_000));
    const finished = expect(spool.finish()).rejects.toMatchObject({ code: "not_kept" });
    latch.open();
    await finished;
    expect([spool.end?.kind, pool.usage.bytes]).toEqual(["failed", 0]);
    spool.release();
  });

  test("does not begin if memory has no room for its known size, until the last one is gone", async () => {
    const lab = poolWithFullDisk({ maxTransientBytes: MIB });
    const spool = await transientOf(lab, 700_000);
    expect(() => lab.pool.open({ size: 600_000 })).toThrow(HuiyuanError);
    // Small, unknown, or with room.
    for (const size of [4 * KIB, undefined, 200_000]) lab.pool.open({ size }).release();
    spool.release();
    lab.pool.open({ size: 2 * MIB }).release();
    expect(lab.pool.usage).toEqual({ spools: 0, bytes: 0 });
  });

  test("does not keep the next bodies from a disk that works again", async () => {
    const full = failingDisk(0);
    let isFull = true;
    const write: Disk["write"] = (...step) => (isFull ? full.write!(...step) : REAL_DISK.write(...step));
    const pool = testPool({ perSpoolBytes: 4 * KIB, disk: { write }, maxTransientBytes: MIB });
    const held = pool.open();
    await soon(writeAll(held, randomBytes(700_000)));
    await full.failed;
    expect(() => pool.open({ size: 600_000 })).toThrow(HuiyuanError);
    isFull = false;
    expect(await isKept(pool)).toBe(true);
    const large = pool.open({ size: 2 * MIB });
    await soon(writeAll(large, randomBytes(2 * MIB)));
    expect((await large.finish()).content.kind).toBe("file");
    for (const spool of [held, large]) spool.release();
  });

  test("does not arise with failsWithDisk: the body fails with the disk's error, and write() throws it", async () => {
    const disk = failingDisk(0);
    const pool = testPool({ perSpoolBytes: 0, disk });
    const spool = pool.open({ failsWithDisk: true });
    spool.write(randomBytes(10));
    await disk.failed;
    const refused = { code: "store_full" };
    expect(spool.end).toMatchObject({ kind: "failed", error: refused });
    expect(() => spool.write(randomBytes(10))).toThrow(HuiyuanError);
    await expect(spool.finish()).rejects.toMatchObject(refused);
    expect(pool.usage.bytes).toBe(0);
    spool.release();
  });
});

test("read() throws store_failed for a file that cannot be read back", async () => {
  const pool = testPool({ perSpoolBytes: 0, disk: { read: () => Promise.reject(diskError("EIO")) } });
  const spool = pool.open();
  await writeAll(spool, randomBytes(MIB));
  await spool.finish();
  await expect(spool.read(0, NEVER)).rejects.toMatchObject({ code: "store_failed", cause: { code: "EIO" } });
  spool.release();
});

test("the descriptor is closed once, after a read that was running at the last release", async () => {
  const latch = createLatch();
  const steps: string[] = [];
  const pool = testPool({
    perSpoolBytes: 0,
    disk: {
      async read(...step) {
        await latch.opened;
        const got = await REAL_DISK.read(...step);
        steps.push("read");
        return got;
      },
      close(descriptor) {
        steps.push("close");
        return REAL_DISK.close(descriptor);
      },
    },
  });
  const spool = pool.open();
  const bytes = randomBytes(1_000);
  spool.write(bytes);
  await spool.finish();
  const reading = spool.read(0, NEVER);
  spool.release();
  latch.open();
  expect((await reading)?.equals(bytes)).toBe(true);
  await pool.close();
  expect(steps).toEqual(["read", "close"]);
});

test("a file is removed even if closing it fails", async () => {
  const close: Disk["close"] = async (descriptor) => {
    await REAL_DISK.close(descriptor);
    throw diskError("EIO");
  };
  const pool = testPool({ perSpoolBytes: 0, disk: { close } });
  const spool = pool.open();
  spool.write(randomBytes(1_000));
  await spool.finish();
  expect(pool.files()).toHaveLength(1);
  spool.release();
  await pool.close();
  expect(pool.files()).toEqual([]);
});

test("finish() never resolves for a spool that is released while the disk lags", async () => {
  const latch = createLatch();
  const pool = testPool({
    perSpoolBytes: 0,
    disk: {
      async write(descriptor, pieces, position) {
        await latch.opened;
        return REAL_DISK.write(descriptor, [Buffer.concat(pieces).subarray(0, 100)], position);
      },
    },
  });
  const spool = pool.open();
  const bytes = randomBytes(1_000);
  spool.write(bytes);
  const finished = expect(spool.finish()).rejects.toBeInstanceOf(HuiyuanError);
  spool.release();
  latch.open();
  await finished;
  expect(spool.end).toMatchObject({ kind: "unstored", hashes: wholeBody(bytes).hashes });
  await pool.close();
  expect(pool.files()).toEqual([]);
});
