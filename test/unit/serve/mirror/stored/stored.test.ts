// A bucket behind the memory cache: where an object is found, and that memory never holds what the bucket has lost.
import { afterEach, describe, expect, test, vi } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { etagOf, type ObjectInfo, toKey } from "../../../../../src/core/object.ts";
import { createBucket } from "../../../../../src/serve/bucket/contract/bucket.ts";
import type { BucketDriver, RecentReads } from "../../../../../src/serve/bucket/contract/driver.ts";
import { createStored, type Found, type NoObject, type Stored } from "../../../../../src/serve/mirror/stored/stored.ts";
import { storedLab } from "../../../../helpers/mirror-lab.ts";
import { createLatch } from "../../../../helpers/spools.ts";
import { infoOf, randomBytes, readAll, wholeBody } from "../../../../helpers/whole-body.ts";

const KEY = toKey("a.jpg");
const ALWAYS = { when: "always" } as const;

afterEach(() => void vi.useRealTimers());

/** Puts an object into the bucket, past the memory cache. */
async function putBehind({ bucket }: Stored, bytes: Buffer): Promise<ObjectInfo> {
  const body = wholeBody(bytes);
  const info = infoOf(KEY, body);
  await bucket.put(info, body, ALWAYS);
  return info;
}

/** Fills the buffer that a read is given, as the store's own readers do. */
const readingInto = (driver: BucketDriver): Partial<BucketDriver> => ({
  async open(info) {
    const reader = await driver.open(info);
    const read = async (start: number, end: number, into?: Buffer) => {
      const bytes = (await reader?.read(start, end)) ?? Buffer.alloc(0);
      if (into === undefined) return bytes;
      bytes.copy(into);
      return into;
    };
    return { read, close: () => reader?.close() };
  },
});

const bytesOf = (found: Found | NoObject) => ("object" in found ? found.object.body : undefined);

describe("find()", () => {
  test("loads an object of the bucket, and serves it from memory from the second time on", async () => {
    const { stored, memoryCache } = storedLab();
    const bytes = randomBytes(50_000);
    await putBehind(stored, bytes);
    const states: string[] = [];
    for (let time = 0; time < 3; time += 1) {
      const found = await stored.find(KEY);
      states.push(found.state);
      expect(bytesOf(found)?.equals(bytes)).toBe(true);
    }
    expect(states).toEqual(["loaded", "loaded", "memory"]);
    expect([stored.peek(KEY)?.body.equals(bytes), memoryCache.usage().objects]).toEqual([true, 1]);
  });

  test("loads an object that memory does not keep into a reusable buffer, and any other into its own", async () => {
    const { stored } = storedLab({ over: readingInto });
    const bytes = randomBytes(50_000);
    await putBehind(stored, bytes);
    const found = async () => {
      const each = await stored.find(KEY);
      if (each.state !== "loaded") throw new Error(each.state);
      expect(each.object.body.equals(bytes)).toBe(true);
      return each;
    };
    await stored.purge(KEY, { hard: false });
    const first = await found();
    const second = await found();
    expect(second.object.body.buffer).not.toBe(first.object.body.buffer);
    first.free?.();
    expect((await found()).object.body.buffer).toBe(first.object.body.buffer);

    await putBehind(stored, bytes);
    (await found()).free?.();
    const kept = await found();
    expect(kept.free).toBeUndefined();
    await putBehind(stored, randomBytes(50_000));
    expect(bytesOf(await stored.find(KEY))?.equals(bytes)).toBe(true);
  });

  test("fails in time for a slow remote store, and memory has the object once it has arrived", async () => {
    const [wanted, rest] = [createLatch(), createLatch()];
    const { stored } = storedLab({
      over: (driver) => ({
        async open(info) {
          const reader = await driver.open(info);
          if (reader === undefined) return undefined;
          const read: typeof reader.read = async (start, end) => {
            wanted.open();
            await rest.opened;
            return reader.read(start, end);
          };
          return { read, proven: async () => {}, close: reader.close };
        },
      }),
    });
    const bytes = randomBytes(50_000);
    await putBehind(stored, bytes);
    await stored.lookup(KEY);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const told = Promise.all(
      [stored.find(KEY), stored.find(KEY)].map((found) =>
        expect(found).rejects.toMatchObject({ code: "store_failed" }),
      ),
    );
    await wanted.opened;
    await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(45_000);
    await told;
    vi.useRealTimers();
    rest.open();
    await expect.poll(() => stored.peek(KEY)?.body.equals(bytes)).toBe(true);
  });

  test("returns a reader for an object above the memory's bound, every time", async () => {
    const { stored, memoryCache } = storedLab({ maxCachedObjectBytes: 49_999 });
    const bytes = randomBytes(50_000);
    await putBehind(stored, bytes);
    for (let time = 0; time < 3; time += 1) {
      const found = await stored.find(KEY);
      if (found.state !== "large") throw new Error(found.state);
      expect((await readAll(found.reader, bytes.byteLength)).equals(bytes)).toBe(true);
    }
    expect(memoryCache.usage().objects).toBe(0);
  });

  test("loads an object of more than one read whole", async () => {
    const { stored } = storedLab({ maxCachedObjectBytes: 3_000_000 });
    const bytes = randomBytes(2_500_001);
    await putBehind(stored, bytes);
    expect(bytesOf(await stored.find(KEY))?.equals(bytes)).toBe(true);
  });

  test("reports a purged object as stale every time, and never caches it", async () => {
    const { stored } = storedLab();
    await stored.put(infoOf(KEY, wholeBody(Buffer.from("x"))), wholeBody(Buffer.from("x")), {
      when: "absent",
      epoch: 0,
    });
    expect(stored.peek(KEY)).toBeDefined();
    await stored.purge(KEY, { hard: false });
    for (let time = 0; time < 4; time += 1) {
      expect(await stored.find(KEY)).toMatchObject({ state: "loaded", object: { epoch: 1 } });
    }
    expect(stored.peek(KEY)).toBeUndefined();
  });

  test("returns the epoch of an absent key, and a tombstone for a deleted one", async () => {
    const { stored } = storedLab();
    expect(await stored.find(KEY)).toEqual({ state: "absent", epoch: 0 });
    await stored.delete(KEY, "test");
    expect(await stored.find(KEY)).toMatchObject({ state: "tombstone" });
    await stored.undelete(KEY);
    expect(await stored.find(KEY)).toEqual({ state: "absent", epoch: 1 });
  });

  test("finds a damaged object, which the store quarantines, absent, and closes its reader", async () => {
    let opened = 0;
    const { stored } = storedLab({
      over: (driver) => ({
        async open(info) {
          const reader = await driver.open(info);
          if (reader === undefined) return undefined;
          opened += 1;
          return {
            async read() {
              await driver.purge(info.key, { hard: true });
              throw new HuiyuanError("store_corrupt", "Cannot read: the test says so");
            },
            close() {
              opened -= 1;
            },
          };
        },
      }),
    });
    await putBehind(stored, randomBytes(100));
    expect(await stored.find(KEY)).toEqual({ state: "absent", epoch: 2 });
    expect(opened).toBe(0);
  });

  test("looks an object up again if it vanishes before it is opened, and fails if that repeats", async () => {
    let vanishings = 2;
    const { stored } = storedLab({
      over: (driver) => ({ open: async (info) => (vanishings-- > 0 ? undefined : driver.open(info)) }),
    });
    const bytes = randomBytes(100);
    await putBehind(stored, bytes);
    expect(bytesOf(await stored.find(KEY))?.equals(bytes)).toBe(true);
    vanishings = 3;
    await expect(stored.find(KEY)).rejects.toMatchObject({ code: "store_failed" });
  });

  test("throws a failure of the store", async () => {
    const failed = new HuiyuanError("store_failed", "Cannot look up: the test says so");
    const { stored } = storedLab({ over: () => ({ lookup: () => Promise.reject(failed) }) });
    await expect(stored.find(KEY)).rejects.toBe(failed);
  });
});

describe("put()", () => {
  test("caches a body in memory at once, if the bucket stored it", async () => {
    const { stored } = storedLab();
    const first = wholeBody(randomBytes(100));
    const second = wholeBody(randomBytes(100));
    expect(await stored.put(infoOf(KEY, first), first, { when: "absent", epoch: 0 })).toBe("stored");
    expect(await stored.put(infoOf(KEY, second), second, { when: "absent", epoch: 0 })).toBe("exists");
    expect(stored.peek(KEY)?.info.hashes).toEqual(first.hashes);
  });

  test("drops an object from memory if another one replaces it", async () => {
    const { stored } = storedLab({ maxCachedObjectBytes: 1_000 });
    const old = wholeBody(randomBytes(100));
    await stored.put(infoOf(KEY, old), old, { when: "absent", epoch: 0 });
    expect(stored.peek(KEY)).toBeDefined();
    // Too large for memory, so nothing replaces the cached object.
    const next = wholeBody(randomBytes(2_000));
    await stored.put(infoOf(KEY, next), next, ALWAYS);
    expect(stored.peek(KEY)).toBeUndefined();
    const found = await stored.find(KEY);
    expect(found.state === "large" && found.info.hashes).toEqual(next.hashes);
  });
});

describe("openRecent()", () => {
  const bytes = randomBytes(50_000);
  const body = wholeBody(bytes);

  /** A bucket that reads one object at once, as often as `isAtHand`. */
  function recentLab({ via = "mirror", isStale = false }: { via?: "mirror" | "upload"; isStale?: boolean } = {}) {
    const info = infoOf(KEY, body, via);
    const reads = { isAtHand: true, into: [] as (Buffer | undefined)[] };
    const recent: RecentReads = {
      entry: (key) => (key === KEY ? { state: "object", info, epoch: 3, isStale } : undefined),
      read(_info, into = Buffer.alloc(bytes.length)) {
        reads.into.push(into);
        bytes.copy(into);
        return reads.isAtHand ? into : undefined;
      },
    };
    const lab = storedLab({ over: () => ({ recent }) });
    const open = () => {
      const object = lab.stored.lookupRecent(KEY);
      return object && lab.stored.openRecent(object);
    };
    return { ...lab, reads, open };
  }

  test("reads into a reusable buffer, until memory keeps the object", () => {
    const { stored, reads, open } = recentLab();
    const first = open();
    expect([first?.object.body.equals(bytes), typeof first?.free]).toEqual([true, "function"]);
    expect(stored.peek(KEY)).toBeUndefined();
    first?.free?.();
    const second = open();
    expect(reads.into[1]?.buffer).toBe(reads.into[0]?.buffer);
    expect([second?.object.body.equals(bytes), second?.free]).toEqual([true, undefined]);
    expect([stored.peek(KEY)?.body.equals(bytes), stored.peek(KEY)?.epoch]).toEqual([true, 3]);
  });

  test("gives the buffer back if the bucket would have to wait, and does not count as a read", () => {
    const { stored, reads, open } = recentLab();
    reads.isAtHand = false;
    expect([open(), open()]).toEqual([undefined, undefined]);
    expect(reads.into[1]?.buffer).toBe(reads.into[0]?.buffer);
    reads.isAtHand = true;
    open();
    expect(stored.peek(KEY)).toBeUndefined();
  });

  test("finds neither a purged object nor a hidden one, nor anything in a bucket that cannot", () => {
    expect(recentLab({ isStale: true }).open()).toBeUndefined();
    expect(storedLab().stored.lookupRecent(KEY)).toBeUndefined();
    const { stored, open } = recentLab();
    const show = stored.hide(KEY);
    expect(open()).toBeUndefined();
    show();
    expect(open()).toBeDefined();
    const uploaded = recentLab({ via: "upload" });
    uploaded.stored.hide(KEY);
    expect(uploaded.open()).toBeDefined();
  });

  test("reads no object that is too large for memory, and none while slow clients hold much", () => {
    const small = recentLab();
    small.memoryCache.resize({ maxBytes: 10_000_000, maxObjectBytes: 49_999 });
    expect([small.open(), small.reads.into]).toEqual([undefined, []]);
    const crowded = recentLab();
    const release = crowded.stored.chunks.hold(64 * 1_048_576);
    // One block is always read whole.
    expect(crowded.open()).toBeDefined();
    release();
  });
});

/** The three changes that end a version of an object. */
const CHANGES: readonly (readonly [string, (stored: Stored) => Promise<boolean>, (Found | NoObject)["state"]])[] = [
  ["delete()", (stored) => stored.delete(KEY, "test"), "tombstone"],
  ["purge() hard", (stored) => stored.purge(KEY, { hard: true }), "absent"],
  ["purge() soft", (stored) => stored.purge(KEY, { hard: false }), "loaded"],
];

describe.each(CHANGES)("%s", (_name, change, after) => {
  /** A bucket with the object, whose reads wait for `reading`. */
  async function slowBucket() {
    const reading = createLatch();
    const lab = storedLab({
      over: (driver: BucketDriver) => ({
        async open(info) {
          const reader = await driver.open(info);
          if (reader === undefined) return undefined;
          const read = async (start: number, end: number) => {
            await reading.opened;
            return reader.read(start, end);
          };
          return { read, close: () => reader.close() };
        },
      }),
    });
    await putBehind(lab.stored, randomBytes(100));
    return { ...lab, reading };
  }

  test("drops the object from memory", async () => {
    const { stored } = storedLab();
    const body = wholeBody(randomBytes(100));
    await stored.put(infoOf(KEY, body), body, { when: "absent", epoch: 0 });
    expect(stored.peek(KEY)).toBeDefined();
    expect(await change(stored)).toBe(true);
    expect(stored.peek(KEY)).toBeUndefined();
    expect((await stored.find(KEY)).state).toBe(after);
  });

  test("a read that began before does not return it into memory", async () => {
    const { stored, reading } = await slowBucket();
    // Two reads: the second one would cache it.
    const readers = [stored.find(KEY), stored.find(KEY)];
    await new Promise((resolve) => setImmediate(resolve));
    await change(stored);
    reading.open();
    expect((await Promise.all(readers)).map(({ state }) => state)).toEqual(["loaded", "loaded"]);
    expect(stored.peek(KEY)).toBeUndefined();
  });

  test("drops the object from memory even if the store fails, because the change may have been made", async () => {
    const failed = new HuiyuanError("store_failed", "Cannot delete: the test says so");
    const fail = () => Promise.reject(failed);
    const { stored } = storedLab({ over: () => ({ delete: fail, purge: fail }) });
    const body = wholeBody(randomBytes(100));
    await stored.put(infoOf(KEY, body), body, { when: "absent", epoch: 0 });
    await expect(change(stored)).rejects.toBe(failed);
    expect(stored.peek(KEY)).toBeUndefined();
  });
});

const known = (stored: Stored) => stored.peek(KEY) ?? stored.cachedLookup(KEY);

describe("peek() and noted()", () => {
  test("return the result of a look-up, until the object changes", async () => {
    const { stored } = storedLab();
    expect(known(stored)).toBeUndefined();
    await stored.lookup(KEY);
    expect(known(stored)).toBe("absent");
    const info = await put(stored, "first");
    expect(known(stored)).toMatchObject({ info });
    await stored.purge(KEY, { hard: false });
    expect(known(stored)).toBeUndefined();
    // A stale object is never noted: it needs a revalidation.
    await stored.lookup(KEY);
    expect(known(stored)).toBeUndefined();
    await stored.delete(KEY, "test");
    await stored.lookup(KEY);
    expect(known(stored)).toBeUndefined();
  });

  test("are updated when the object is renewed", async () => {
    const { stored } = storedLab({ cacheBytes: 0 });
    const { hashes } = await put(stored, "first");
    await stored.lookup(KEY);
    const validated = { at: 5_000, life: {} };
    await stored.renew(KEY, {
      etag: etagOf(hashes),
      epoch: 0,
      originEtag: "x",
      originLastModified: undefined,
      validated,
    });
    expect(known(stored)).toMatchObject({ info: { provenance: { validated } } });
  });

  async function put(stored: Stored, text: string): Promise<ObjectInfo> {
    const body = wholeBody(Buffer.from(text));
    const info = infoOf(KEY, body);
    await stored.put(info, body, { when: "absent", epoch: 0 });
    return info;
  }
});

describe("load()", () => {
  test("returns all bytes of the version that was looked up, and of no other", async () => {
    const { stored } = storedLab({ cacheBytes: 0 });
    const bytes = randomBytes(2_500_001);
    const info = await putBehind(stored, bytes);
    expect((await stored.load(info)).equals(bytes)).toBe(true);
    await putBehind(stored, randomBytes(10));
    await expect(stored.load(info)).rejects.toMatchObject({ code: "original_replaced", retryAfterSeconds: 1 });
  });

  test("returns a replaced version while its bytes exist", async () => {
    const bytes = randomBytes(50_000);
    const reader = { read: async (start: number, end: number) => bytes.subarray(start, end + 1), close() {} };
    const open: BucketDriver["open"] = async (_info, options) => (options?.mayBeReplaced ? reader : undefined);
    const { stored } = storedLab({ cacheBytes: 0, over: () => ({ open }) });
    const info = await putBehind(stored, bytes);
    await putBehind(stored, randomBytes(10));
    expect((await stored.load(info)).equals(bytes)).toBe(true);
  });

  test("caches a version that was looked up from the second time on", async () => {
    const { stored, memoryCache } = storedLab();
    const info = await putBehind(stored, randomBytes(50_000));
    const held: number[] = [];
    for (let time = 0; time < 3; time += 1) {
      await stored.lookup(KEY);
      expect((await stored.load(info)).length).toBe(50_000);
      held.push(memoryCache.usage().objects);
    }
    expect(held).toEqual([0, 1, 1]);
  });

  test("never caches a stale version, or another one than was looked up", async () => {
    const { stored, memoryCache } = storedLab();
    const info = await putBehind(stored, randomBytes(50_000));
    await stored.purge(KEY, { hard: false });
    for (let time = 0; time < 3; time += 1) {
      await stored.lookup(KEY);
      await stored.load(info);
    }
    expect(memoryCache.usage().objects).toBe(0);
  });
});

describe("bytesOf()", () => {
  test("of a local bucket loads, and has no download", async () => {
    const { stored } = storedLab();
    const bytes = randomBytes(1_000);
    const { load, download } = stored.bytesOf(await putBehind(stored, bytes));
    expect([download, (await load()).equals(bytes)]).toEqual([undefined, true]);
  });

  test("of a remote bucket downloads objects that memory lacks, and closes them on release", async () => {
    const told: string[] = [];
    const { stored } = storedLab({
      over: (driver) => ({
        isRemote: true,
        async open(info) {
          const reader = await driver.open(info);
          return (
            reader && { ...reader, proven: async () => void told.push("proven"), close: () => void told.push("closed") }
          );
        },
      }),
    });
    const bytes = randomBytes(1_000);
    const info = await putBehind(stored, bytes);
    for (let time = 0; time < 2; time += 1) {
      await stored.lookup(KEY);
      const held = await stored.bytesOf(info).download?.();
      expect((await held?.load())?.equals(bytes)).toBe(true);
      held?.release();
    }
    expect(told).toEqual(["proven", "closed", "proven", "closed"]);
    // It was read twice, so it is in memory by now.
    expect(await stored.bytesOf(info).download?.()).toBeUndefined();
  });
});

/** A bucket behind memory, and the versions that it has reported as gone. */
function noting() {
  const { driver, memoryCache } = storedLab();
  const gone: string[] = [];
  const bucket = createBucket({ driver, now: () => 1_000, maxObjectBytes: 1_000 });
  const stored = createStored("10001234/photos", bucket, memoryCache, {
    onVersionGone: async ({ hashes }) => void gone.push(hashes.sha256),
  });
  return { stored, gone };
}

test("onVersionGone is called for each version that a change removes, before the change ends", async () => {
  const { stored, gone } = noting();
  const [first, second] = ["first", "second"].map((text) => wholeBody(Buffer.from(text)));
  if (first === undefined || second === undefined) throw new Error("no bodies");
  await stored.put(infoOf(KEY, first), first, { when: "absent", epoch: 0 });
  await stored.put(infoOf(KEY, first), first, ALWAYS);
  expect(gone).toEqual([]);
  await stored.put(infoOf(KEY, second), second, ALWAYS);
  expect(gone).toEqual([first.hashes.sha256]);
  await stored.purge(KEY, { hard: false });
  await stored.delete(KEY, "test");
  await stored.undelete(KEY);
  expect(gone).toEqual([first.hashes.sha256, second.hashes.sha256, second.hashes.sha256]);
});

test("onVersionGone is not called while another key of the bucket has the same bytes", async () => {
  const { stored, gone } = noting();
  const body = wholeBody(Buffer.from("first"));
  const keys = ["a.jpg", "b.jpg", "c.jpg"].map(toKey);
  for (const key of keys) await stored.put({ ...infoOf(KEY, body), key }, body, { when: "absent", epoch: 0 });
  await stored.delete(keys[0]!, "test");
  await stored.purge(keys[1]!, { hard: false });
  await stored.delete(keys[1]!, "test");
  expect(gone).toEqual([]);
  await stored.delete(keys[2]!, "test");
  expect(gone).toEqual([body.hashes.sha256]);
});

test("onVersionGone is called after memory has dropped the version", async () => {
  const { driver, memoryCache } = storedLab();
  const bucket = createBucket({ driver, now: () => 1_000, maxObjectBytes: 1_000 });
  const found: unknown[] = [];
  const stored: Stored = createStored("10001234/photos", bucket, memoryCache, {
    onVersionGone: async () => void found.push(stored.peek(KEY), known(stored)),
  });
  const body = wholeBody(Buffer.from("first"));
  await stored.put(infoOf(KEY, body), body, { when: "absent", epoch: 0 });
  await stored.lookup(KEY);
  expect(known(stored)).toBeDefined();
  await stored.delete(KEY, "test");
  expect(found).toEqual([undefined, undefined]);
});

test("an object in memory has its epoch, whether it was put, found or loaded", async () => {
  const { stored } = storedLab();
  const body = wholeBody(randomBytes(100));
  const info = infoOf(KEY, body);
  await stored.purge(KEY, { hard: false });
  await stored.put(info, body, { when: "absent", epoch: 1 });
  expect(stored.peek(KEY)?.epoch).toBe(1);
  const bring = { read: () => stored.find(KEY), load: async () => stored.lookup(KEY).then(() => stored.load(info)) };
  for (const way of [bring.read, bring.load]) {
    await stored.purge(KEY, { hard: true });
    const { epoch } = await stored.lookup(KEY);
    await stored.bucket.put(info, body, { when: "absent", epoch });
    for (let time = 0; time < 2; time += 1) await way();
    expect(stored.peek(KEY)?.epoch).toBe(epoch);
  }
});

test("invalidateVersion() changes and reports nothing if another version is stored", async () => {
  const { stored, gone } = noting();
  const body = wholeBody(Buffer.from("old"));
  const info = infoOf(KEY, body);
  await stored.put(info, body, { when: "absent", epoch: 0 });
  await stored.purge(KEY, { hard: true });
  gone.length = 0;
  await stored.put(info, body, { when: "absent", epoch: 1 });
  const said = { ...info, provenance: { ...info.provenance, validated: { at: 5, life: {} } } };
  for (const [version, epoch] of [
    [info, 0],
    [said, 1],
  ] as const) {
    expect([await stored.invalidateVersion(version, epoch, "gone"), gone, (await stored.find(KEY)).state]).toEqual([
      false,
      [],
      "loaded",
    ]);
  }
  expect([await stored.invalidateVersion(info, 1, "superseded"), gone]).toEqual([true, []]);
  expect([await stored.lookup(KEY), stored.peek(KEY)]).toMatchObject([{ isStale: true, epoch: 2 }, undefined]);
  expect([await stored.invalidateVersion(info, 2, "gone"), gone]).toEqual([true, [info.hashes.sha256]]);
  expect([(await stored.find(KEY)).state, stored.peek(KEY)]).toEqual(["absent", undefined]);
});

test("invalidateVersion() reports a version that was never stored, since variants of it may exist", async () => {
  const { stored, gone } = noting();
  const info = infoOf(KEY, wholeBody(Buffer.from("old")));
  expect([await stored.invalidateVersion(info, 0, "gone"), gone]).toEqual([false, [info.hashes.sha256]]);
});

test("put() reports a version that came too late, since variants of it may exist", async () => {
  const { stored, gone } = noting();
  const [late, uploaded] = ["late", "uploaded"].map((text) => wholeBody(Buffer.from(text)));
  if (late === undefined || uploaded === undefined) throw new Error("no bodies");
  const { sha256 } = late.hashes;
  const putLate = () => stored.put(infoOf(KEY, late), late, { when: "absent", epoch: 0 });
  await stored.purge(KEY, { hard: true });
  expect([await putLate(), gone]).toEqual(["outdated", [sha256]]);
  await stored.delete(KEY, "test");
  expect([await putLate(), gone]).toEqual(["deleted", [sha256, sha256]]);
  await stored.put(infoOf(KEY, uploaded), uploaded, ALWAYS);
  expect([await putLate(), gone]).toEqual(["exists", [sha256, sha256, sha256]]);
  // A revalidation would have stored it over another one.
  expect([await stored.put(infoOf(KEY, late), late, { when: "etag", etag: '"other"' }), gone.at(-1)]).toEqual([
    "exists",
    sha256,
  ]);
  // The same bytes were stored by another request.
  await stored.put(infoOf(KEY, late), late, ALWAYS);
  gone.length = 0;
  expect([await putLate(), gone]).toEqual(["exists", []]);
});
