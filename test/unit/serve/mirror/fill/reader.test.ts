// Reading a fill for one request: its own deadlines, and that the fill continues without it.
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { toKey } from "../../../../../src/core/object.ts";
import { Fill } from "../../../../../src/serve/mirror/fill/fill.ts";
import { FillReader, type FillReaderTimeouts } from "../../../../../src/serve/mirror/fill/reader.ts";
import { type Arriving, arriving, fakeOrigin } from "../../../../helpers/fake-origins.ts";
import { noisyBmp, noisyJpeg } from "../../../../helpers/images.ts";
import { SILENT_METER } from "../../../../helpers/silent-meter.ts";
import { createLatch, diskError, NEVER, readToEnd, type TestPool, testPool } from "../../../../helpers/spools.ts";

const TIMEOUTS: FillReaderTimeouts = { head: 100, idle: 50, total: 1_000 };
const late = { code: "origin_timeout" };
let jpeg: Buffer;
let pool: TestPool;
let body: Arriving;
let fill: Fill;

beforeAll(async () => {
  jpeg = await noisyJpeg(64, 48);
});

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  pool = testPool();
  body = arriving({ size: jpeg.byteLength });
  fill = fillOf(body, pool);
});
afterEach(async () => {
  body.fail(new HuiyuanError("origin_timeout", "the test is over"));
  const end = await fill.done;
  if ("head" in end) end.head.spool.release();
  expect(pool.usage).toEqual({ spools: 0, bytes: 0 });
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function fillOf(arrives: Arriving, spools: TestPool): Fill {
  return new Fill(
    {
      id: "a.jpg",
      key: toKey("a.jpg"),
      isStored: true,
      epoch: 0,
      requestedAt: 0,
      path: toKey("a.jpg"),
      query: "",
      headers: {},
      followsRedirects: true,
      via: undefined,
      cdnLoop: undefined,
    },
    {
      origin: fakeOrigin((request) => arrives.reply(request)),
      spools,
      maxBytes: 2_000_000,
      meter: SILENT_METER,
      now: () => 0,
      signal: NEVER,
    },
  );
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** The first 1,000 bytes have arrived, and the fill has announced its head. */
async function begun(): Promise<void> {
  body.send(jpeg.subarray(0, 1_000));
  await fill.head;
}

test("the head of a running fill does not hold the exchange, because its image may wait long to be stored", async () => {
  await begun();
  expect((await fill.head)?.answer).toMatchObject({ isNotModified: false });
  expect((await fill.head)?.answer).not.toHaveProperty("body");
});

describe("head()", () => {
  test("rejects if no head comes in time, and the fill continues to its end", async () => {
    const reader = new FillReader(fill, TIMEOUTS, NEVER);
    const head = reader.head();
    vi.advanceTimersByTime(99);
    await turn();
    vi.advanceTimersByTime(1);
    await expect(head).rejects.toMatchObject(late);
    reader.close();
    body.send(jpeg);
    body.end();
    expect((await fill.done).kind).toBe("whole");
  });

  test("stops its timer for a head that comes just in time", async () => {
    const reader = new FillReader(fill, TIMEOUTS, NEVER);
    const head = reader.head();
    vi.advanceTimersByTime(99);
    await begun();
    expect((await head)?.size).toBe(jpeg.byteLength);
    vi.advanceTimersByTime(500);
    const said = await reader.head();
    expect(said?.image.format).toBe("jpeg");
    reader.close();
  });

  test("throws the fill's own failure, and no deadline of this request", async () => {
    const reader = new FillReader(fill, TIMEOUTS, NEVER);
    const head = reader.head();
    await turn();
    body.fail(new HuiyuanError("origin_too_large", "large"));
    await expect(head).rejects.toMatchObject({ code: "origin_too_large" });
    reader.close();
  });

  test("rejects with the client's own reason if it leaves or has left", async () => {
    const reason = new HuiyuanError("client_gone", "left");
    const leaving = new AbortController();
    const reader = new FillReader(fill, TIMEOUTS, leaving.signal);
    const head = reader.head();
    leaving.abort(reason);
    await expect(head).rejects.toBe(reason);
    reader.close();
    const gone = new FillReader(fill, TIMEOUTS, leaving.signal);
    await expect(gone.head()).rejects.toBe(reason);
    gone.close();
    await begun();
    expect(fill.end).toBeUndefined();
  });
});

describe("read()", () => {
  test("rejects after a silence as long as idle, which each byte restarts", async () => {
    const reader = new FillReader(fill, TIMEOUTS, NEVER);
    await begun();
    const head = await reader.head();
    if (head === undefined) throw new Error("no head");
    expect((await reader.read(head, 0))?.byteLength).toBe(1_000);
    for (const at of [1_000, 1_010]) {
      const next = reader.read(head, at);
      vi.advanceTimersByTime(49);
      body.send(jpeg.subarray(at, at + 10));
      expect((await next)?.byteLength).toBe(10);
    }
    // A client that pauses between two reads is no silence of the origin.
    vi.advanceTimersByTime(60);
    const last = reader.read(head, 1_020);
    vi.advanceTimersByTime(50);
    await expect(last).rejects.toMatchObject(late);
    reader.close();
    body.send(jpeg.subarray(1_020));
    body.end();
    expect((await fill.done).kind).toBe("whole");
  });

  test("far ahead of the received bytes waits as long as bytes arrive", async () => {
    const reader = new FillReader(fill, TIMEOUTS, NEVER);
    await begun();
    const head = await reader.head();
    if (head === undefined) throw new Error("no head");
    const far = reader.read(head, 1_200);
    for (let at = 1_000; at < 1_200; at += 20) {
      vi.advanceTimersByTime(40);
      body.send(jpeg.subarray(at, at + 20));
    }
    body.send(jpeg.subarray(1_200, 1_210));
    expect((await far)?.equals(jpeg.subarray(1_200, 1_210))).toBe(true);
    const silent = reader.read(head, 1_300);
    vi.advanceTimersByTime(50);
    await expect(silent).rejects.toMatchObject(late);
    reader.close();
    body.send(jpeg.subarray(1_210));
    body.end();
    await fill.done;
  });

  test("does not blame the origin for a silence while the disk is behind", async () => {
    const bytes = noisyBmp(800, 600);
    const arrives = arriving({ size: bytes.byteLength });
    const disk = createLatch();
    const slow = testPool({ perSpoolBytes: 0, disk: { open: () => disk.opened.then(() => Promise.reject(full)) } });
    const full = diskError("ENOSPC");
    const slowly = fillOf(arrives, slow);
    const reader = new FillReader(slowly, TIMEOUTS, NEVER);
    arrives.send(bytes.subarray(0, 1_200_000));
    const head = await reader.head();
    if (head === undefined) throw new Error("no head");
    head.spool.hold();
    let at = 0;
    for (let piece = head.spool.peek(0); piece !== undefined; piece = head.spool.peek(at)) at += piece.byteLength;
    const next = reader.read(head, at);
    vi.advanceTimersByTime(50);
    await expect(next).rejects.toMatchObject({ code: "store_failed" });
    reader.close();
    head.spool.release();
    disk.open();
    arrives.fail(new HuiyuanError("origin_timeout", "the test is over"));
    await slowly.done;
  });

  test("rejects if bytes trickle for longer than total", async () => {
    const reader = new FillReader(fill, TIMEOUTS, NEVER);
    await begun();
    const head = await reader.head();
    if (head === undefined) throw new Error("no head");
    let offset = 1_000;
    const drip = async () => {
      for (;;) {
        const next = reader.read(head, offset);
        vi.advanceTimersByTime(40);
        body.send(jpeg.subarray(offset, offset + 1));
        await next;
        offset += 1;
      }
    };
    await expect(drip()).rejects.toMatchObject(late);
    expect(offset).toBe(1_000 + 24);
    reader.close();
  });

  test("has no deadline once the fill has ended", async () => {
    const reader = new FillReader(fill, TIMEOUTS, NEVER);
    body.send(jpeg);
    body.end();
    const head = await reader.head();
    if (head === undefined) throw new Error("no head");
    await fill.done;
    vi.advanceTimersByTime(60_000);
    expect((await reader.read(head, 0))?.equals(jpeg)).toBe(true);
    expect(await reader.read(head, jpeg.byteLength)).toBeUndefined();
    reader.close();
  });
});

test("end() waits for the fill, but no longer than the deadline of the request", async () => {
  const patient = new FillReader(fill, { ...TIMEOUTS, head: 10_000, total: 10_000 }, NEVER);
  const hasty = new FillReader(fill, TIMEOUTS, NEVER);
  await begun();
  await Promise.all([patient.head(), hasty.head()]);
  const ends = [patient.end(), hasty.end()];
  vi.advanceTimersByTime(1_000);
  await expect(ends[1]).rejects.toMatchObject(late);
  body.send(jpeg.subarray(1_000));
  body.end();
  expect((await ends[0])?.kind).toBe("whole");
  patient.close();
  hasty.close();
});

test("a body that the disk refuses does not pause its origin, whatever its reader does", async () => {
  const bytes = noisyBmp(800, 600);
  const arrives = arriving({ size: bytes.byteLength });
  const full = testPool({ perSpoolBytes: 0, disk: { write: () => Promise.reject(diskError("ENOSPC")) } });
  const reader = new FillReader(fillOf(arrives, full), TIMEOUTS, NEVER);
  arrives.send(bytes.subarray(0, 65_536));
  const head = (await reader.head())!;
  head.spool.hold();
  for (let at = 65_536; at < bytes.byteLength; at += 65_536) arrives.send(bytes.subarray(at, at + 65_536));
  arrives.end();
  // Else it would wait for ever: the clock of the deadlines stands still.
  expect(await reader.end()).toMatchObject({ kind: "unstored", error: { code: "store_full" } });
  expect((await readToEnd(head.spool)).equals(bytes)).toBe(true);
  reader.close();
  // Its own and the fill's.
  head.spool.release();
  head.spool.release();
  expect(full.usage).toEqual({ spools: 0, bytes: 0 });
});
