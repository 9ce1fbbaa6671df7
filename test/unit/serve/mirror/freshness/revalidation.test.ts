// Revalidation of stored objects: when, how often, and which version may replace which.
import { beforeAll, describe, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { etagOf, toKey } from "../../../../../src/core/object.ts";
import type { BucketDriver } from "../../../../../src/serve/bucket/contract/driver.ts";
import type { MissAnswer } from "../../../../../src/serve/mirror/fill/reader.ts";
import {
  absent,
  arriving,
  failing,
  fakeOrigin,
  type HeadFacts,
  image,
  notModified,
  type Reply,
} from "../../../../helpers/fake-origins.ts";
import { noisyJpeg } from "../../../../helpers/images.ts";
import { bodyOf, type MirrorLab, type MirrorLabOptions, mirrorLab } from "../../../../helpers/mirror-lab.ts";
import { codeOf } from "../../../../helpers/site-under-test.ts";
import { createLatch, diskError, NEVER } from "../../../../helpers/spools.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const KEY = toKey("a.jpg");
const S = 1_000;
const TTL = { mode: "ttl", ttlMs: 100 * S, staleIfErrorMs: 1_000 * S } as const;
const ORIGIN = { mode: "origin", ttlMs: 100 * S, staleIfErrorMs: 1_000 * S } as const;
const FIRST: HeadFacts = { etag: '"1"', lastModified: "Wed, 01 Jan 2020 00:00:00 GMT" };

let jpeg: Buffer;
let other: Buffer;
let third: Buffer;
beforeAll(async () => {
  [jpeg, other, third] = await Promise.all([noisyJpeg(64, 48), noisyJpeg(48, 64), noisyJpeg(32, 32)]);
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
const turns = async (count = 20) => {
  for (let index = 0; index < count; index += 1) await turn();
};
/** A reply whose bytes exist only once the tests run. */
const later =
  (bytes: () => Buffer, facts: HeadFacts = {}): Reply =>
  (request) =>
    image(bytes(), facts)(request);

/** A mirror that has stored `jpeg`, and whose origin then sends the replies. */
async function stocked(
  replies: readonly Reply[],
  options: Partial<MirrorLabOptions> & { readonly first?: HeadFacts } = {},
): Promise<MirrorLab & { readonly requestCount: () => number; readonly origin: ReturnType<typeof fakeOrigin> }> {
  const origin = fakeOrigin(
    later(() => jpeg, options.first ?? FIRST),
    ...replies,
  );
  const lab = mirrorLab({ ...options, origins: [origin], mirror: { freshness: TTL, ...options.mirror } });
  await lab.fetch("a.jpg");
  await lab.settled();
  return Object.assign(lab, { requestCount: () => origin.requests.length - 1, origin });
}

async function found({ stored }: MirrorLab) {
  const entry = await stored.bucket.lookup(KEY);
  if (entry.state !== "object") throw new Error(`it is ${entry.state}`);
  return entry;
}

/** Finds the object as a download does. */
function inMemory({ stored }: MirrorLab) {
  const object = stored.peek(KEY);
  if (object === undefined) throw new Error("it is not in memory");
  return { info: object.info, isStale: false, epoch: object.epoch };
}

const REQUEST = {
  key: KEY,
  path: KEY,
  query: "",
  headers: {},
  followsRedirects: true,
  via: undefined,
  cdnLoop: undefined,
  signal: NEVER,
};

const standing = async (lab: MirrorLab) => lab.mirror.revalidation.freshnessOf(await found(lab));

/** Revalidates in the background, and waits for the end. */
async function revalidateInBackground(lab: MirrorLab): Promise<void> {
  lab.mirror.revalidation.begin(await found(lab), REQUEST);
  await lab.mirror.idle();
  await turns();
  await lab.settled();
}

async function revalidate(lab: MirrorLab, mayServeStale = true) {
  const answer = await lab.mirror.revalidate(await found(lab), { ...REQUEST, mayServeStale: mayServeStale });
  return answer.kind === "kept" ? answer.why : bodyOf(answer);
}

const stored = async (lab: MirrorLab) => etagOf((await found(lab)).info.hashes);
const isStill = async (lab: MirrorLab, bytes: Buffer) =>
  expect(await stored(lab)).toBe(etagOf(wholeBody(bytes).hashes));

describe("revalidation.freshnessOf()", () => {
  test("is fresh for the ttl, then stale, and beyond staleIfError must-revalidate", async () => {
    const lab = await stocked([]);
    const seen: string[] = [];
    for (const second of [0, 99, 100, 1_099, 1_100]) {
      lab.clock.now = 1_700_000_000_000 + second * S;
      seen.push(await standing(lab));
    }
    expect(seen).toEqual(["fresh", "fresh", "stale", "stale", "must-revalidate"]);
  });

  test.each(["upload", "migration"] as const)(
    "is always fresh for an object that came by %s, which is not purged either",
    async (via) => {
      const lab = await stocked([]);
      const body = wholeBody(other);
      await lab.stored.put(infoOf("a.jpg", body, via), body, { when: "always" });
      await lab.stored.purge(KEY, { hard: false });
      lab.clock.now += 10_000 * S;
      const object = await found(lab);
      expect(lab.mirror.revalidation.freshnessOf(object)).toBe("fresh");
      expect(lab.mirror.revalidation.lifeOf(object)).toBeUndefined();
    },
  );

  test("is always fresh under freshness: never, and a purge alone causes a revalidation", async () => {
    const lab = await stocked([notModified()], { mirror: { freshness: undefined } });
    lab.clock.now += 1_000_000 * S;
    expect([await standing(lab), lab.mirror.revalidation.isFresh]).toEqual(["fresh", undefined]);
    await lab.stored.purge(KEY, { hard: false });
    expect(await standing(lab)).toBe("revalidate-first");
    expect(await revalidate(lab)).toBe("current");
    await turns();
    expect([await standing(lab), lab.requestCount()]).toEqual(["fresh", 1]);
  });
});

describe("a revalidation", () => {
  test("sends the origin's own validators, and none if it gave none", async () => {
    const lab = await stocked([notModified()]);
    lab.clock.now += 100 * S;
    await revalidateInBackground(lab);
    expect(lab.origin.requests[1]?.unless).toEqual({ etag: '"1"', lastModified: "Wed, 01 Jan 2020 00:00:00 GMT" });
    const bare = await stocked([later(() => other)], { first: {} });
    bare.clock.now += 100 * S;
    await revalidateInBackground(bare);
    expect(bare.origin.requests[1]?.unless).toBeUndefined();
  });

  test("is shared by all requests that find the object stale, in the background or waiting", async () => {
    const body = arriving({ size: 1 });
    const lab = await stocked([(request) => body.reply(request)]);
    lab.clock.now += 1_100 * S;
    const object = await found(lab);
    for (let index = 0; index < 50; index += 1) lab.mirror.revalidation.begin(object, REQUEST);
    const waiting = Array.from({ length: 50 }, () => revalidate(lab, false));
    await turns();
    expect(lab.requestCount()).toBe(1);
    body.fail(new Error("gone"));
    for (const outcome of waiting) await expect(outcome).rejects.toThrow("gone");
  });

  test("in the background uses at most half of the connections; requests that wait have the rest", async () => {
    const latch = createLatch();
    const origin = fakeOrigin(async (request) => {
      if (request.unless !== undefined) await latch.opened;
      return image(jpeg, FIRST)(request);
    });
    const lab = mirrorLab({ origins: [origin], mirror: { freshness: TTL, connections: 4 } });
    const keys = Array.from({ length: 9 }, (_, index) => `${index}.jpg`);
    for (const key of keys) await lab.fetch(key);
    await lab.settled();
    lab.clock.now += 100 * S;
    for (const key of keys) {
      const entry = await lab.stored.bucket.lookup(toKey(key));
      if (entry.state === "object")
        lab.mirror.revalidation.begin(entry, { ...REQUEST, key: toKey(key), path: toKey(key) });
    }
    await turns();
    expect(origin.requests).toHaveLength(9 + 2);
    expect((await lab.fetch("new.jpg")).equals(jpeg)).toBe(true);
    latch.open();
    await lab.settled();
  });

  test("that began before a purge does not answer requests after it", async () => {
    const old = arriving({ size: 1 });
    const lab = await stocked([(request) => old.reply(request), later(() => third)]);
    lab.clock.now += 100 * S;
    lab.mirror.revalidation.begin(await found(lab), REQUEST);
    await turns();
    await lab.stored.purge(KEY, { hard: false });
    const answer = await revalidate(lab);
    expect(Buffer.isBuffer(answer) && answer.equals(third)).toBe(true);
    old.fail(new Error("late"));
    await turns();
    await lab.settled();
    expect(lab.requestCount()).toBe(2);
    await isStill(lab, third);
  });

  const removals: readonly [what: string, act: (lab: MirrorLab) => Promise<unknown>][] = [
    ["a hard purge", ({ stored }) => stored.purge(KEY, { hard: true })],
    ["a delete and undelete", async ({ stored }) => [await stored.delete(KEY, "test"), await stored.undelete(KEY)]],
  ];
  test.each(removals)(
    "that began before %s does not answer for what came after it, nor undoes it",
    async (_what, act) => {
      for (const onGone of ["keep", "remove"] as const) {
        const latch = createLatch();
        const old = onGone === "keep" ? image(other) : absent;
        const lab = await stocked(
          [async (request) => latch.opened.then(() => old(request)), later(() => third, FIRST), notModified()],
          {
            first: {},
            mirror: { onGone },
          },
        );
        lab.clock.now += 1_100 * S;
        lab.mirror.revalidation.begin(inMemory(lab), REQUEST);
        await turns();
        await act(lab);
        expect((await lab.fetch("a.jpg")).equals(third)).toBe(true);
        await turns();
        lab.clock.now += 1_100 * S;
        const { why } = {
          why: "",
          ...(await lab.mirror.revalidate(inMemory(lab), { ...REQUEST, mayServeStale: false })),
        };
        expect([why, lab.requestCount()]).toEqual(["current", 3]);
        latch.open();
        await turns();
        await lab.settled();
        await isStill(lab, third);
      }
    },
  );
});

describe("304", () => {
  test("makes the object fresh, and is written at most once a minute", async () => {
    let writes = 0;
    const count = (driver: BucketDriver) => ({
      renew: (...args: Parameters<BucketDriver["renew"]>) => {
        writes += 1;
        return driver.renew(...args);
      },
    });
    const lab = await stocked([notModified()], {
      over: count,
      mirror: { freshness: { ...TTL, ttlMs: 10 * S } },
    });
    for (let second = 0; second < 120; second += 10) {
      lab.clock.now += 10 * S;
      expect(await standing(lab)).toBe("stale");
      await revalidateInBackground(lab);
      expect(await standing(lab)).toBe("fresh");
    }
    expect([lab.requestCount(), writes]).toEqual([12, 2]);
  });

  test("leaves the object in memory, with its new age", async () => {
    const lab = await stocked([notModified({ etag: '"1b"' })]);
    lab.clock.now += 100 * S;
    expect(lab.mirror.revalidation.isFresh?.((await lab.stored.peek(KEY))!.info)).toBe(false);
    await revalidateInBackground(lab);
    const memoryCache = lab.stored.peek(KEY);
    expect(memoryCache?.body.equals(jpeg)).toBe(true);
    expect(memoryCache?.info.provenance).toMatchObject({ originEtag: '"1b"', originLastModified: FIRST.lastModified });
    expect(lab.mirror.revalidation.isFresh?.(memoryCache!.info)).toBe(true);
  });

  test("that came before a purge does not confirm the same bytes fetched after it", async () => {
    const lasting = { life: { cacheControl: "max-age=3600" } };
    const brief = later(() => jpeg, { life: { cacheControl: "max-age=1" } });
    const lab = await stocked([notModified(lasting), brief], { mirror: { freshness: ORIGIN } });
    lab.clock.now += 100 * S;
    await revalidateInBackground(lab);
    await lab.stored.purge(KEY, { hard: true });
    lab.clock.now += 1 * S;
    await lab.fetch("a.jpg");
    await lab.settled();
    lab.clock.now += 1 * S;
    expect(await standing(lab)).toBe("stale");
  });

  test("with another Cache-Control is written at once, and without one the old one stays", async () => {
    const first = { ...FIRST, life: { cacheControl: "max-age=10", age: "3" } };
    const lab = await stocked([notModified({ life: { cacheControl: "max-age=20" } }), notModified()], {
      first,
      mirror: { freshness: ORIGIN },
    });
    lab.clock.now += 7 * S;
    await revalidateInBackground(lab);
    expect((await found(lab)).info.provenance.validated).toEqual({
      at: lab.clock.now,
      life: { cacheControl: "max-age=20" },
    });
    lab.clock.now += 20 * S;
    expect(await standing(lab)).toBe("stale");
    await revalidateInBackground(lab);
    lab.clock.now += 19 * S;
    expect(await standing(lab)).toBe("fresh");
  });

  test("the same bytes with another ETag are fetched once, and revalidated with that one from then on", async () => {
    const short = { mode: "ttl", ttlMs: 5 * S, staleIfErrorMs: 1_000 * S } as const;
    const renamed = later(() => jpeg, { etag: '"2"', lastModified: FIRST.lastModified });
    const lab = await stocked([renamed, notModified({ etag: '"2"' }), notModified()], { mirror: { freshness: short } });
    const asked: unknown[] = [];
    for (let count = 1; count <= 3; count += 1) {
      lab.clock.now += 5 * S;
      await revalidateInBackground(lab);
      asked.push(lab.origin.requests[count]?.unless?.etag);
    }
    expect(asked).toEqual(['"1"', '"2"', '"2"']);
    await isStill(lab, jpeg);
  });

  test("the same bytes sent whole count as a 304", async () => {
    const lab = await stocked([later(() => jpeg, { etag: '"2"' })]);
    lab.clock.now += 100 * S;
    expect(await revalidate(lab)).toBe("current");
    await lab.settled();
    expect([await standing(lab), (await found(lab)).info.provenance.originEtag]).toEqual(["fresh", '"2"']);
    expect(lab.meter.events.filter((text) => text.startsWith("stored"))).toHaveLength(1);
  });
});

describe("a new version", () => {
  test("replaces the old one, in memory too", async () => {
    const lab = await stocked([later(() => other, { etag: '"2"' })]);
    lab.clock.now += 100 * S;
    await revalidateInBackground(lab);
    await isStill(lab, other);
    expect([await standing(lab), lab.stored.peek(KEY)]).toEqual(["fresh", undefined]);
  });

  test("is served to the requests that waited, before it is stored", async () => {
    const storing = createLatch();
    const hold = (driver: BucketDriver) => ({
      async put(...[info, body, condition]: Parameters<BucketDriver["put"]>) {
        if (condition.when === "etag") await storing.opened;
        return driver.put(info, body, condition);
      },
    });
    const lab = await stocked([later(() => other)], { over: hold });
    lab.clock.now += 1_100 * S;
    for (const _time of [1, 2]) {
      const bytes = await revalidate(lab, false);
      expect(Buffer.isBuffer(bytes) && bytes.equals(other)).toBe(true);
    }
    await isStill(lab, jpeg);
    storing.open();
    await lab.settled();
    await isStill(lab, other);
    expect(lab.requestCount()).toBe(1);
  });

  const broken: readonly [what: string, reply: () => Reply, code: string][] = [
    ["cut short", () => cut(), "origin_truncated"],
    ["damaged", () => image(other.subarray(0, -20)), "origin_truncated"],
    ["with a wrong digest", () => image(other, { digests: { md5: Buffer.alloc(16) } }), "origin_truncated"],
    ["empty", () => image(Buffer.alloc(0)), "origin_empty"],
    ["no image", () => image(Buffer.from("<html>sorry</html>".repeat(50))), "origin_not_image"],
    ["too large", () => failing("origin_too_large"), "origin_too_large"],
    ["an error page", () => failing("origin_status", { originStatus: 500 }), "origin_status"],
    ["not reachable", () => failing("origin_timeout"), "origin_timeout"],
  ];
  function cut(): Reply {
    return (request) => {
      const body = arriving({ size: other.byteLength });
      body.send(other.subarray(0, 600));
      body.fail(Object.assign(new Error("cut"), { code: "origin_truncated" }));
      return body.reply(request);
    };
  }
  test.each(broken)("%s never replaces the last good one, which is served while it may be", async (_what, reply) => {
    const lab = await stocked([(request) => reply()(request)]);
    lab.clock.now += 100 * S;
    await revalidateInBackground(lab);
    await isStill(lab, jpeg);
    expect([await standing(lab), await revalidate(lab)]).toEqual(["stale", "failed"]);
    await isStill(lab, jpeg);
  });

  test("that is damaged is served if nothing stored may be", async () => {
    const lab = await stocked([(request) => image(other.subarray(0, -20))(request)]);
    lab.clock.now += 1_100 * S;
    const answer = await lab.mirror.revalidate(await found(lab), { ...REQUEST, mayServeStale: false });
    expect(answer).toMatchObject({ kind: "filling", isSuspect: true });
    if (answer.kind === "filling") answer.release();
    await lab.settled();
    await isStill(lab, jpeg);
  });

  const rivals: readonly [what: string, act: (lab: MirrorLab) => Promise<unknown>, left: () => Buffer | string][] = [
    [
      "an upload",
      async ({ stored }) =>
        stored.put(infoOf("a.jpg", wholeBody(third), "upload"), wholeBody(third), { when: "always" }),
      () => third,
    ],
    [
      "an upload of the same bytes",
      async ({ stored }) => stored.put(infoOf("a.jpg", wholeBody(jpeg), "upload"), wholeBody(jpeg), { when: "always" }),
      () => jpeg,
    ],
    ["a delete", async ({ stored }) => stored.delete(KEY, "test"), () => "tombstone"],
    ["a hard purge", async ({ stored }) => stored.purge(KEY, { hard: true }), () => "absent"],
    ["a purge", async ({ stored }) => stored.purge(KEY, { hard: false }), () => jpeg],
  ];
  test.each(rivals)("loses to %s that comes while it arrives", async (_what, act, left) => {
    const body = arriving({ size: other.byteLength });
    const lab = await stocked([(request) => body.reply(request)]);
    lab.clock.now += 100 * S;
    lab.mirror.revalidation.begin(await found(lab), REQUEST);
    await turns();
    body.send(other.subarray(0, 600));
    await act(lab);
    body.send(other.subarray(600));
    body.end();
    await lab.mirror.idle();
    await lab.settled();
    const entry = await lab.stored.bucket.lookup(KEY);
    const wanted = left();
    if (typeof wanted === "string") expect(entry.state).toBe(wanted);
    else await isStill(lab, wanted);
  });
});

describe("an answer that no disk keeps", () => {
  const full = { perSpoolBytes: 0, disk: { write: () => Promise.reject(diskError("ENOSPC")) } };
  /** As `stocked`, by a mirror whose disk worked. */
  async function unkept(...replies: readonly Reply[]) {
    const origin = fakeOrigin(...replies);
    const lab = mirrorLab({ origins: [origin], mirror: { freshness: TTL }, pool: full });
    const body = wholeBody(jpeg);
    await lab.stored.put(infoOf("a.jpg", body, "mirror"), body, { when: "always" });
    await lab.stored.purge(KEY, { hard: false });
    return Object.assign(lab, { origin });
  }

  test("counts as a 304 if its bytes are the stored ones", async () => {
    const lab = await unkept(later(() => jpeg));
    expect(await revalidate(lab)).toBe("current");
    await lab.settled();
    expect([lab.origin.requests.length, await standing(lab)]).toEqual([1, "fresh"]);
  });

  test("is not served in place of the stored one if it is damaged", async () => {
    const lab = await unkept(later(() => other, { digests: { md5: Buffer.alloc(16) } }));
    expect(await revalidate(lab)).toBe("failed");
    await lab.settled();
    expect(lab.meter.events.filter((told) => !told.startsWith("answered"))).toEqual(["fill", "revalidated suspect"]);
    await isStill(lab, jpeg);
  });

  test("is not revalidated behind each answer, because each costs a whole body", async () => {
    const lab = await unkept(later(() => other));
    for (const _time of [1, 2, 3]) await revalidateInBackground(lab);
    expect(lab.origin.requests.length).toBe(1);
    lab.clock.now += 10 * S;
    await revalidateInBackground(lab);
    expect(lab.origin.requests.length).toBe(2);
  });
});

describe("404", () => {
  test("with onGone: keep the object stays and is served, without a request for negativeTtl", async () => {
    const lab = await stocked([absent], { mirror: { negativeTtlMs: 30 * S } });
    lab.clock.now += 1_100 * S;
    expect(await revalidate(lab, false)).toBe("gone");
    lab.clock.now += 29 * S;
    expect([await revalidate(lab, false), lab.requestCount()]).toEqual(["gone", 1]);
    lab.clock.now += 1 * S;
    expect([await revalidate(lab, false), lab.requestCount()]).toEqual(["gone", 2]);
    await isStill(lab, jpeg);
  });

  test("with onGone: remove the object is removed, without a tombstone", async () => {
    const lab = await stocked([absent], { mirror: { onGone: "remove" } });
    lab.clock.now += 100 * S;
    expect(await codeOf(revalidate(lab))).toBe("not_found");
    await turns();
    expect((await lab.stored.bucket.lookup(KEY)).state).toBe("absent");
    expect(lab.stored.peek(KEY)).toBeUndefined();
  });

  test("ends with a purge, also of an object in memory", async () => {
    const lab = await stocked([absent, later(() => third, FIRST), notModified()], {
      mirror: { negativeTtlMs: 3_600 * S },
    });
    lab.clock.now += 1_100 * S;
    expect(await revalidate(lab, false)).toBe("gone");
    await lab.stored.purge(KEY, { hard: true });
    await lab.fetch("a.jpg");
    await turns();
    lab.clock.now += 1_100 * S;
    const answer = await lab.mirror.revalidate(inMemory(lab), { ...REQUEST, mayServeStale: false });
    expect(answer).toEqual({ kind: "kept", why: "current" });
  });

  test("with onGone: remove a version that was fetched meanwhile stays", async () => {
    const latch = createLatch();
    const lab = await stocked([async () => latch.opened.then(() => undefined), later(() => third)], {
      mirror: { onGone: "remove" },
    });
    lab.clock.now += 100 * S;
    lab.mirror.revalidation.begin(await found(lab), REQUEST);
    await turns();
    await lab.stored.purge(KEY, { hard: true });
    await lab.fetch("a.jpg");
    await turns();
    latch.open();
    await lab.mirror.idle();
    await turns();
    await isStill(lab, third);
  });

  test("with onGone: remove an upload that came meanwhile stays", async () => {
    const latch = createLatch();
    const lab = await stocked([async () => latch.opened.then(() => undefined)], { mirror: { onGone: "remove" } });
    lab.clock.now += 100 * S;
    lab.mirror.revalidation.begin(await found(lab), REQUEST);
    await turns();
    const body = wholeBody(third);
    await lab.stored.put(infoOf("a.jpg", body, "upload"), body, { when: "always" });
    latch.open();
    await lab.mirror.idle();
    await turns();
    await isStill(lab, third);
  });
});

describe("a failing origin", () => {
  test("gets one request a second for a key, and the error is thrown if the object may not be served", async () => {
    const lab = await stocked([failing("origin_timeout")]);
    lab.clock.now += 1_100 * S;
    for (const _time of [1, 2, 3]) expect(await codeOf(revalidate(lab, false))).toBe("origin_timeout");
    await revalidateInBackground(lab);
    expect(lab.requestCount()).toBe(1);
    lab.clock.now += 1 * S;
    await revalidateInBackground(lab);
    expect(lab.requestCount()).toBe(2);
  });

  test("is not asked for a broken version again within ten seconds", async () => {
    const lab = await stocked([failing("origin_not_image")]);
    lab.clock.now += 100 * S;
    await revalidateInBackground(lab);
    lab.clock.now += 9 * S;
    await revalidateInBackground(lab);
    expect(lab.requestCount()).toBe(1);
    lab.clock.now += 1 * S;
    await revalidateInBackground(lab);
    expect(lab.requestCount()).toBe(2);
  });

  test.each(["origin_not_image", "origin_truncated", "origin_status"] as const)(
    "%s is forgotten after half a second where the object may not help, as of a key never stored",
    async (code) => {
      const lab = await stocked([failing(code), notModified()]);
      lab.clock.now += 1_100 * S;
      expect(await codeOf(revalidate(lab, false))).toBe(code);
      lab.clock.now += 499;
      expect([await codeOf(revalidate(lab, false)), lab.requestCount()]).toEqual([code, 1]);
      lab.clock.now += 1;
      expect([await revalidate(lab, false), lab.requestCount()]).toEqual(["current", 2]);
    },
  );

  test("gets a request in time although the clock was set back", async () => {
    const lab = await stocked([failing("origin_timeout")], { mirror: { freshness: { ...TTL, ttlMs: 1 } } });
    lab.clock.now += 1_100_000 * S;
    await codeOf(revalidate(lab, false));
    lab.clock.setMs = -3_600 * S;
    lab.clock.now += 1 * S;
    await codeOf(revalidate(lab, false));
    expect(lab.requestCount()).toBe(2);
  });

  test("makes no request wait beyond the deadline of the mirror", async () => {
    const latch = createLatch();
    const timeouts = { connect: 300, firstByte: 300, idle: 300, total: 300 };
    const lab = await stocked([async () => latch.opened.then(() => undefined)], { mirror: { timeouts } });
    lab.clock.now += 100 * S;
    expect(await revalidate(lab)).toBe("failed");
    expect(await codeOf(revalidate(lab, false))).toBe("origin_timeout");
    const leaving = new AbortController();
    const left = lab.mirror.revalidate(await found(lab), { ...REQUEST, mayServeStale: true, signal: leaving.signal });
    leaving.abort(new Error("left"));
    await expect(left).rejects.toThrow("left");
    latch.open();
    await lab.mirror.idle();
    expect(lab.requestCount()).toBe(1);
  });
});

describe("under mode origin", () => {
  const unkept = ["no-store", "private, max-age=60"];
  test.each(unkept)("an image with %s is served and never stored", async (cacheControl) => {
    const lab = mirrorLab({
      origins: [fakeOrigin(image(jpeg, { life: { cacheControl } }))],
      mirror: { freshness: ORIGIN },
    });
    for (const _time of [1, 2]) {
      const answer = await lab.miss("a.jpg");
      expect(answer).toMatchObject({ kind: "finished", isStorable: false });
      expect((await bodyOf(answer)).equals(jpeg)).toBe(true);
      await lab.settled();
    }
    expect([await lab.object("a.jpg"), lab.stored.peek(KEY)]).toEqual([undefined, undefined]);
  });

  test("a new version with no-store leaves the last good one, which is revalidated first from then on", async () => {
    const lab = await stocked([later(() => other, { life: { cacheControl: "no-store" } })], {
      mirror: { freshness: ORIGIN },
    });
    lab.clock.now += 100 * S;
    await revalidateInBackground(lab);
    await isStill(lab, jpeg);
    expect(await standing(lab)).toBe("must-revalidate");
    for (const _time of [1, 2]) {
      const bytes = await revalidate(lab, false);
      expect(Buffer.isBuffer(bytes) && bytes.equals(other)).toBe(true);
      await lab.settled();
    }
    await isStill(lab, jpeg);
    expect(lab.origin.requests.at(-1)?.unless).toEqual({ etag: '"1"', lastModified: FIRST.lastModified });
  });

  test("the headers of such a version do not confirm the last good one, which stays as old, and purged, as it was", async () => {
    const unkept = later(() => other, { life: { cacheControl: "no-store", age: "50", date: "then" } });
    const lab = await stocked([unkept], { mirror: { freshness: ORIGIN } });
    const { provenance } = (await found(lab)).info;
    await lab.stored.purge(KEY, { hard: false });
    lab.clock.now += 100 * S;
    await revalidate(lab, false);
    await lab.settled();
    const { info, isStale } = await found(lab);
    const validated = { at: provenance.validated?.at, life: { cacheControl: "no-store" } };
    expect([info.provenance.validated, isStale]).toEqual([validated, true]);
  });

  test("a new version that may not be stored is served to requests that come while its headers are written", async () => {
    const writing = createLatch();
    const hold = (driver: BucketDriver) => ({
      async renew(...[key, renewal]: Parameters<BucketDriver["renew"]>) {
        await writing.opened;
        return driver.renew(key, renewal);
      },
    });
    const lab = await stocked([later(() => other, { life: { cacheControl: "private" } })], {
      mirror: { freshness: ORIGIN },
      over: hold,
    });
    lab.clock.now += 100 * S;
    for (const _time of [1, 2]) {
      const bytes = await revalidate(lab, false);
      expect(Buffer.isBuffer(bytes) && bytes.equals(other)).toBe(true);
      await turns();
    }
    expect(lab.requestCount()).toBe(1);
    writing.open();
    await lab.settled();
    await isStill(lab, jpeg);
  });

  test("under mode ttl both are stored all the same", async () => {
    const lab = mirrorLab({
      origins: [fakeOrigin(image(jpeg, { life: { cacheControl: "private, no-store" } }))],
      mirror: { freshness: TTL },
    });
    expect(await lab.miss("a.jpg").then(bodyOf)).toEqual(jpeg);
    await lab.settled();
    expect((await lab.object("a.jpg"))?.size).toBe(jpeg.byteLength);
  });

  test("an age counts from the request, since the answer may be slow", async () => {
    const body = arriving({ size: jpeg.byteLength, life: { cacheControl: "max-age=10" } });
    const lab = mirrorLab({ origins: [fakeOrigin((request) => body.reply(request))], mirror: { freshness: ORIGIN } });
    const requestedAt = lab.clock.now;
    const answer = lab.miss("a.jpg");
    await turns();
    lab.clock.now += 7 * S;
    body.send(jpeg);
    body.end();
    await bodyOf(await answer);
    await lab.settled();
    expect((await found(lab)).info.provenance).toMatchObject({
      fetchedAt: requestedAt + 7 * S,
      validated: { at: requestedAt },
    });
  });
});

describe("a pending write that the store refuses", () => {
  const AN_HOUR = 3_600 * S;

  /** A mirror whose store accepts `taken` bodies, and whose origin sends the replies; the last one repeats. */
  function full(
    replies: readonly Reply[],
    options: MirrorLabOptions["mirror"] = {},
    taken = 0,
    retryMs: readonly number[] = [AN_HOUR],
  ) {
    let left = taken;
    const refuse = (driver: BucketDriver) => ({
      async put(...put: Parameters<BucketDriver["put"]>) {
        if (left-- > 0) return driver.put(...put);
        throw new HuiyuanError("store_full", "Cannot store: the test says so");
      },
    });
    const origin = fakeOrigin(...replies);
    const mirror = { freshness: TTL, ...options };
    const lab = mirrorLab({ origins: [origin], over: refuse, retryMs, mirror });
    const end = async () => {
      await lab.writeBack.drain(5_000);
      await lab.settled();
    };
    const takeAll = () => {
      left = Number.POSITIVE_INFINITY;
    };
    return Object.assign(lab, { requestCount: () => origin.requests.length, end, takeAll });
  }

  /** The bytes of a miss, and the age that clients see. */
  async function missWithLife(lab: MirrorLab) {
    const answer = await lab.miss("a.jpg");
    if (answer.kind === "head") throw new Error("the answer is one to a HEAD");
    const life = lab.mirror.revalidation.lifeOfAnswer(answer.head);
    const bytes = await bodyOf(answer);
    await turns();
    return { bytes, life };
  }

  test("is served with its true age, and fetched again when it is no longer fresh", async () => {
    const lab = full([later(() => jpeg), later(() => other)]);
    await missWithLife(lab);
    lab.clock.now += 99 * S;
    expect(await missWithLife(lab)).toEqual({ bytes: jpeg, life: { leftSeconds: 1 } });
    expect(lab.requestCount()).toBe(1);
    lab.clock.now += 1 * S;
    expect(await missWithLife(lab)).toEqual({ bytes: other, life: { leftSeconds: 100 } });
    expect([lab.requestCount(), lab.writeBack.backlog().depth]).toEqual([2, 1]);
    await lab.end();
  });

  test("is fetched again each time if the origin says no-cache", async () => {
    const life = { life: { cacheControl: "no-cache" } };
    const lab = full([later(() => jpeg, life), later(() => other, life), later(() => third, life)], {
      freshness: ORIGIN,
    });
    for (const bytes of [jpeg, other, third]) expect((await missWithLife(lab)).bytes.equals(bytes)).toBe(true);
    expect([lab.requestCount(), lab.writeBack.backlog().depth]).toEqual([3, 1]);
    await lab.end();
  });

  test("is a new version that is fetched again like any other", async () => {
    const lab = full([later(() => jpeg, FIRST), later(() => other), later(() => third)], {}, 1);
    await missWithLife(lab);
    await lab.settled();
    lab.clock.now += 1_100 * S;
    const newest: unknown[] = [];
    for (const seconds of [0, 99, 1]) {
      lab.clock.now += seconds * S;
      const answer = await lab.mirror.revalidate(await found(lab), { ...REQUEST, mayServeStale: false });
      if (answer.kind !== "finished") throw new Error(`it is ${answer.kind}`);
      newest.push(lab.mirror.revalidation.lifeOfAnswer(answer.head)?.leftSeconds, await bodyOf(answer));
      await turns();
    }
    expect(newest).toEqual([100, other, 1, other, 100, third]);
    expect([lab.requestCount(), lab.writeBack.backlog().depth]).toEqual([3, 1]);
    await lab.end();
  });

  test("is a new version that is served stale before the older one that is stored", async () => {
    const lab = full([later(() => jpeg, FIRST), later(() => other), failing("origin_timeout")], {}, 1);
    await missWithLife(lab);
    await lab.settled();
    lab.clock.now += 1_100 * S;
    await bodyOf((await lab.mirror.revalidate(await found(lab), { ...REQUEST, mayServeStale: false })) as MissAnswer);
    await turns();
    const given = async (mayServeStale: boolean) => {
      const answer = await lab.mirror.revalidate(await found(lab), { ...REQUEST, mayServeStale: mayServeStale });
      if (answer.kind === "kept" || answer.kind === "head") return answer.kind;
      return [answer.servedFrom, lab.mirror.revalidation.lifeOfAnswer(answer.head)?.leftSeconds, await bodyOf(answer)];
    };
    lab.clock.now += 1_099 * S;
    for (const mayServeStale of [false, true]) expect(await given(mayServeStale)).toEqual(["failed", -999, other]);
    lab.clock.now += 1 * S;
    expect(await codeOf(given(false))).toBe("origin_timeout");
    await lab.end();
  });

  test.each<[string, Reply, "keep" | "remove", number, string]>([
    ["a failure", failing("origin_timeout"), "keep", 1_099, "helps"],
    ["a failure", failing("origin_timeout"), "keep", 1_100, "origin_timeout"],
    ["a 404", absent, "keep", 1_099, "helps"],
    ["a 404, however old", absent, "keep", 1_100, "helps"],
    ["a 404", absent, "remove", 1_099, "not_found"],
  ])("is served after %s as a stored object is", async (_what, reply, onGone, seconds, outcome) => {
    const lab = full([later(() => jpeg), reply], { onGone });
    await missWithLife(lab);
    lab.clock.now += seconds * S;
    for (const _time of [1, 2]) {
      const answer = await missWithLife(lab).catch((error: HuiyuanError) => error.code);
      if (outcome === "helps") {
        expect(answer).toEqual({ bytes: jpeg, life: { leftSeconds: 100 - seconds } });
      } else expect(answer).toBe(outcome);
    }
    expect(lab.requestCount()).toBe(2);
    await lab.end();
  });

  test.each<[string, Reply, MirrorLabOptions["mirror"]]>([
    ["has none any more", absent, { onGone: "remove" }],
    [
      "gives one that may not be kept",
      later(() => other, { life: { cacheControl: "no-store" } }),
      { freshness: ORIGIN },
    ],
  ])("is not stored once its origin %s", async (_what, reply, options) => {
    const lab = full([later(() => jpeg), reply, failing("origin_timeout")], options);
    await missWithLife(lab);
    lab.clock.now += 200 * S;
    await missWithLife(lab).catch(() => undefined);
    // It is not served stale any more either.
    lab.clock.now += 50 * S;
    expect(await missWithLife(lab).catch((error: HuiyuanError) => error.code)).toMatch(/^(not_found|origin_timeout)$/);
    lab.takeAll();
    await lab.end();
    expect((await lab.stored.bucket.lookup(KEY)).state).toBe("absent");
  });

  /** V1 is stored, V2 is pending; then the other replies. Returns the answer for a client that accepts stale. */
  async function replaced(
    v1: Reply,
    v2: Reply,
    replies: readonly Reply[],
    options: MirrorLabOptions["mirror"] = {},
  ): Promise<{ lab: ReturnType<typeof full>; given: (mayServeStale: boolean) => Promise<unknown> }> {
    const lab = full([v1, v2, ...replies], options, 1);
    await missWithLife(lab);
    await lab.settled();
    lab.clock.now += 1_100 * S;
    const given = async (mayServeStale: boolean) => {
      const answer = await lab.mirror.revalidate(await found(lab), { ...REQUEST, mayServeStale: mayServeStale });
      if (answer.kind === "kept" || answer.kind === "head") return answer;
      const bytes = await bodyOf(answer);
      await turns();
      return bytes;
    };
    expect(await given(false)).toEqual(other);
    lab.clock.now += 200 * S;
    return { lab, given };
  }

  async function isStoredInTheEnd(lab: ReturnType<typeof full>, bytes: Buffer): Promise<void> {
    lab.takeAll();
    await lab.end();
    await isStill(lab, bytes);
  }

  const v1 = later(() => jpeg, FIRST);
  const v2 = later(() => other);

  test("is a new version that is served before the older one if the origin no longer has any", async () => {
    const { lab, given } = await replaced(v1, v2, [absent], { onGone: "keep" });
    for (const _time of [1, 2]) expect(await given(true)).toEqual(other);
    expect(lab.requestCount()).toBe(3);
    await isStoredInTheEnd(lab, other);
  });

  test("is a new version that is served before a stale one that is stored", async () => {
    const latch = createLatch();
    let puts = 0;
    const slowly = (driver: BucketDriver) => ({
      async put(...put: Parameters<BucketDriver["put"]>) {
        puts += 1;
        if (puts === 2) await latch.opened;
        return driver.put(...put);
      },
    });
    const lab = mirrorLab({ origins: [fakeOrigin(v1, v2)], over: slowly, mirror: { freshness: TTL } });
    await missWithLife(lab);
    await lab.settled();
    lab.clock.now += 200 * S;
    expect(await standing(lab)).toBe("stale");
    lab.mirror.revalidation.begin(await found(lab), REQUEST);
    await turns();
    expect(await standing(lab)).toBe("revalidate-first");
    const answer = await lab.mirror.revalidate(await found(lab), { ...REQUEST, mayServeStale: true });
    expect(answer).toMatchObject({ kind: "finished", servedFrom: "after" });
    expect(await bodyOf(answer as MissAnswer)).toEqual(other);
    latch.open();
    await lab.settled();
    await isStill(lab, other);
    expect(await standing(lab)).toBe("fresh");
  });

  test("is a new version that is given up if the origin returns to the one before", async () => {
    const { lab, given } = await replaced(v1, v2, [notModified()]);
    expect(await given(true)).toMatchObject({ kind: "kept", why: "current" });
    await isStoredInTheEnd(lab, jpeg);
  });

  test("is a new version that is given up if the next one may not be stored", async () => {
    const unkept = later(() => third, { life: { cacheControl: "no-store" } });
    const { lab, given } = await replaced(v1, v2, [unkept], { freshness: ORIGIN });
    expect(await given(true)).toEqual(third);
    await isStoredInTheEnd(lab, jpeg);
    expect(await standing(lab)).toBe("must-revalidate");
  });

  test("is a new version whose headers forbid to serve the older one stale", async () => {
    const hour = { ...FIRST, life: { cacheControl: "max-age=10, stale-if-error=3600" } };
    const strict = { life: { cacheControl: "max-age=10, must-revalidate" } };
    const { lab, given } = await replaced(
      later(() => jpeg, hour),
      later(() => other, strict),
      [failing("origin_timeout")],
      { freshness: ORIGIN },
    );
    expect(await standing(lab)).toBe("revalidate-first");
    expect(await codeOf(given(true))).toBe("origin_timeout");
    await lab.end();
  });

  test("is not fetched for ten seconds if the store does not even let it wait", async () => {
    const lab = full([later(() => jpeg, FIRST), later(() => other)], {}, 1, []);
    await missWithLife(lab);
    await lab.settled();
    lab.clock.now += 200 * S;
    for (const [asked, seconds] of [
      [2, 0],
      [2, 9],
      [3, 1],
    ] as const) {
      lab.clock.now += seconds * S;
      await revalidateInBackground(lab);
      expect(lab.requestCount()).toBe(asked);
    }
    expect(lab.meter.events.filter((line) => line.startsWith("not stored"))).toHaveLength(2);
    await isStill(lab, jpeg);
  });

  test("is not purged softly while it waits, because the last good copy would be lost", async () => {
    const lab = full([later(() => jpeg), failing("origin_timeout")]);
    await missWithLife(lab);
    expect(await codeOf(lab.stored.purge(KEY, { hard: false }))).toBe("store_full");
    lab.clock.now += 200 * S;
    expect((await missWithLife(lab)).bytes).toEqual(jpeg);
    await lab.stored.purge(KEY, { hard: true });
    expect(await codeOf(missWithLife(lab))).toBe("origin_timeout");
    // The hard purge has dropped the pending version, so a soft one loses nothing.
    await lab.stored.purge(KEY, { hard: false });
    await lab.end();
  });

  test.each([
    ["remove", "absent"],
    ["keep", "object"],
  ] as const)("with onGone: %s its origin has none any more, says a HEAD, and is %s", async (onGone, state) => {
    const lab = full([later(() => jpeg), absent], { onGone });
    await missWithLife(lab);
    lab.clock.now += 200 * S;
    const answer = lab.miss("a.jpg", { method: "HEAD" });
    if (onGone === "keep") expect((await bodyOf(await answer)).equals(jpeg)).toBe(true);
    else expect(await codeOf(answer)).toBe("not_found");
    lab.takeAll();
    await lab.end();
    expect((await lab.stored.bucket.lookup(KEY)).state).toBe(state);
  });

  test.each([0, 1])(
    "gives way to a later version although it is stored just before that (%d stored before)",
    async (stocked) => {
      const latch = createLatch();
      let free = stocked;
      const slowly = (driver: BucketDriver) => ({
        async put(...put: Parameters<BucketDriver["put"]>) {
          if (free-- <= 0) await latch.opened;
          return driver.put(...put);
        },
      });
      const replies = [...(stocked === 1 ? [later(() => jpeg, FIRST)] : []), v2, later(() => third)];
      const lab = mirrorLab({ origins: [fakeOrigin(...replies)], over: slowly, mirror: { freshness: TTL } });
      const ask = async () => {
        const object = await lab.stored.lookup(KEY);
        const answer =
          object.state === "object"
            ? await lab.mirror.revalidate(object, { ...REQUEST, mayServeStale: false })
            : await lab.miss("a.jpg");
        if (answer.kind === "kept") throw new Error("it is kept");
        const bytes = await bodyOf(answer);
        await turns();
        lab.clock.now += 200 * S;
        return bytes;
      };
      for (const bytes of [...(stocked === 1 ? [jpeg] : []), other, third])
        expect((await ask()).equals(bytes)).toBe(true);
      latch.open();
      await lab.settled();
      await isStill(lab, third);
    },
  );

  test("is removed again if it is being stored while its origin says that it no longer has it", async () => {
    const latch = createLatch();
    const slowly = (driver: BucketDriver) => ({
      async put(...put: Parameters<BucketDriver["put"]>) {
        await latch.opened;
        return driver.put(...put);
      },
    });
    const origins = [
      fakeOrigin(
        later(() => jpeg),
        absent,
      ),
    ];
    const lab = mirrorLab({ origins, over: slowly, mirror: { freshness: TTL, onGone: "remove" } });
    await missWithLife(lab);
    lab.clock.now += 200 * S;
    expect(await missWithLife(lab).catch((error: HuiyuanError) => error.code)).toBe("not_found");
    latch.open();
    await lab.settled();
    await turns();
    expect((await lab.stored.bucket.lookup(KEY)).state).toBe("absent");
  });
});
