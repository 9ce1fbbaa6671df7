// The guarantees of every spool, whether its bytes are in memory or on disk.
import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { NEVER, readToEnd, testPool, writeAll } from "../../../../helpers/spools.ts";
import { randomBytes } from "../../../../helpers/whole-body.ts";

const broken = new HuiyuanError("origin_truncated", "Cannot use the body: it was cut short");

describe.each([
  ["in memory", 1_000_000],
  ["that leaves memory halfway", 100_000],
  ["on disk from the first byte", 0],
])("a spool %s", (_name, perSpoolBytes) => {
  const bytes = randomBytes(300_001);

  test("returns the same bytes to readers of every speed and to one that starts after the end", async () => {
    const spool = testPool({ perSpoolBytes }).open();
    const early = readToEnd(spool);
    await writeAll(spool, bytes.subarray(0, 150_000), 10_000);
    const midway = readToEnd(spool);
    const ahead = readToEnd(spool, 290_000);
    await writeAll(spool, bytes.subarray(150_000), 10_000);
    await spool.finish();
    const late = readToEnd(spool);
    expect((await early).equals(bytes)).toBe(true);
    expect((await midway).equals(bytes)).toBe(true);
    expect((await ahead).equals(bytes.subarray(290_000))).toBe(true);
    expect((await late).equals(bytes)).toBe(true);
    spool.release();
  });

  test("returns at most 256 KiB at a time, from the requested offset", async () => {
    const spool = testPool({ perSpoolBytes }).open();
    spool.write(Buffer.from(bytes));
    await spool.finish();
    for (const offset of [0, 1, 65_535, 65_536, 299_999, 300_000]) {
      const piece = await spool.read(offset, NEVER);
      expect(piece?.byteLength).toBeGreaterThan(0);
      expect(piece?.byteLength).toBeLessThanOrEqual(262_144);
      expect(piece?.equals(bytes.subarray(offset, offset + (piece?.byteLength ?? 0)))).toBe(true);
    }
    expect(await spool.read(300_001, NEVER)).toBeUndefined();
    expect(spool.peek(300_001)).toBeUndefined();
    spool.release();
  });

  test("fail() lets a reader get the bytes that arrived, then throws the error", async () => {
    const pool = testPool({ perSpoolBytes });
    const spool = pool.open();
    await writeAll(spool, bytes);
    const waiting = spool.read(bytes.byteLength, NEVER);
    spool.fail(broken);
    await expect(waiting).rejects.toBe(broken);
    let at = 0;
    await expect(
      (async () => {
        for (;;) {
          const piece = await spool.read(at, NEVER);
          expect(piece?.equals(bytes.subarray(at, at + piece.byteLength))).toBe(true);
          at += piece?.byteLength ?? 0;
        }
      })(),
    ).rejects.toBe(broken);
    expect(at).toBe(bytes.byteLength);
    expect(spool.end).toEqual({ kind: "failed", error: broken });
    await expect(spool.finish()).rejects.toBe(broken);
    spool.release();
    await pool.close();
    expect(pool.files()).toEqual([]);
  });

  test("fail() after the end is ignored", async () => {
    const spool = testPool({ perSpoolBytes }).open();
    await writeAll(spool, bytes);
    const body = await spool.finish();
    spool.fail(broken);
    expect(spool.end).toEqual({ kind: "whole", body });
    spool.release();
  });

  test("an abort of a waiting reader rejects with its reason and leaves no listener", async () => {
    const spool = testPool({ perSpoolBytes }).open();
    const reason = new Error("the client has left");
    const controller = new AbortController();
    const waiting = spool.read(0, controller.signal);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(1);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
    await expect(spool.read(0, controller.signal)).rejects.toBe(reason);
    spool.release();
  });

  test("a reader that was woken leaves no listener on its signal", async () => {
    const spool = testPool({ perSpoolBytes }).open();
    const { signal } = new AbortController();
    const waiting = spool.read(0, signal);
    spool.write(Buffer.from("abc"));
    expect(await waiting).toEqual(Buffer.from("abc"));
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    spool.release();
  });

  test("only the last release() returns memory and files to zero", async () => {
    const pool = testPool({ perSpoolBytes });
    const spool = pool.open();
    await writeAll(spool, bytes);
    spool.hold();
    await spool.finish();
    const files = pool.files().length;
    spool.release();
    expect(pool.usage.spools).toBe(1);
    expect(pool.files()).toHaveLength(files);
    expect((await readToEnd(spool)).equals(bytes)).toBe(true);
    spool.release();
    expect(pool.usage).toEqual({ spools: 0, bytes: 0 });
    await pool.close();
    expect(pool.files()).toEqual([]);
  });

  test("a release() before the end returns memory and files to zero", async () => {
    const pool = testPool({ perSpoolBytes });
    const spool = pool.open();
    for (let at = 0; at < bytes.byteLength; at += 50_000) spool.write(bytes.subarray(at, at + 50_000));
    spool.release();
    expect(spool.write(Buffer.from("late"))).toBe(true);
    await pool.close();
    expect(pool.usage).toEqual({ spools: 0, bytes: 0 });
    expect(pool.files()).toEqual([]);
  });
});

test("hold() and release() throw once the spool has no holds", () => {
  const pool = testPool();
  const spool = pool.open();
  spool.release();
  expect(() => spool.release()).toThrow("it has no holds");
  expect(() => spool.hold()).toThrow("released");
  expect(pool.usage.spools).toBe(0);
});

test("write() and finish() throw after finish()", async () => {
  const spool = testPool().open();
  expect((await spool.finish()).size).toBe(0);
  expect(() => spool.write(Buffer.from("a"))).toThrow("it was finished");
  await expect(spool.finish()).rejects.toThrow("it was finished");
  spool.release();
});

test("peek() returns a chunk as it arrived, without copying", async () => {
  const spool = testPool().open();
  const chunk = randomBytes(20_000);
  spool.write(chunk);
  expect(spool.peek(0)).toBe(chunk);
  expect(spool.peek(19_000)?.buffer).toBe(chunk.buffer);
  expect(spool.peek(20_000)).toBeUndefined();
  const body = await spool.finish();
  expect(body.content).toEqual({ kind: "buffer", buffer: chunk });
  expect(spool.peek(0)).toBe(chunk);
  spool.release();
});

test("write() leaves bytes given to readers unchanged when small chunks follow", async () => {
  const pool = testPool();
  const spool = pool.open();
  const bytes = randomBytes(20_000);
  spool.write(bytes.subarray(0, 1));
  const seen: [number, Buffer][] = [];
  for (let at = 1; at < bytes.byteLength; at += 1) {
    spool.write(bytes.subarray(at, at + 1));
    if (at % 1_000 === 0) seen.push([at, spool.peek(at) ?? Buffer.alloc(0)]);
  }
  for (const [at, piece] of seen) expect(piece.equals(bytes.subarray(at, at + 1))).toBe(true);
  expect(pool.usage.bytes).toBe(20_000);
  const { content } = await spool.finish();
  expect(content).toEqual({ kind: "buffer", buffer: bytes });
  spool.release();
});

test("open() throws draining after close()", async () => {
  const pool = testPool();
  await pool.close();
  expect(() => pool.open()).toThrow(expect.objectContaining({ code: "draining" }));
});
