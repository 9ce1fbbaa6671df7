// The mirror of a domain: one fetch for all requests of a key, the negative cache, what is stored, and which fill a
// request joins.
import { beforeAll, describe, expect, test } from "vitest";
import { type ErrorCode, HuiyuanError } from "../../../../src/core/errors.ts";
import { etagOf, toKey } from "../../../../src/core/object.ts";
import {
  type Arriving,
  absent,
  arriving,
  failing,
  fakeOrigin,
  image,
  type Reply,
} from "../../../helpers/fake-origins.ts";
import { noisyBmp, noisyJpeg } from "../../../helpers/images.ts";
import { bodyOf, type MirrorLab, type MirrorLabOptions, mirrorLab } from "../../../helpers/mirror-lab.ts";
import { eventually } from "../../../helpers/program.ts";
import { codeOf } from "../../../helpers/site-under-test.ts";
import { createLatch, diskError } from "../../../helpers/spools.ts";

let jpeg: Buffer;
let other: Buffer;
beforeAll(async () => {
  [jpeg, other] = await Promise.all([noisyJpeg(64, 48), noisyJpeg(48, 64)]);
});

const KEY = toKey("a.jpg");
const turn = () => new Promise((resolve) => setImmediate(resolve));
const MD5_OF_ANOTHER = { digests: { md5: Buffer.alloc(16) } };

const tally = (told: readonly string[]) =>
  Object.fromEntries(told.map((text) => [text, told.filter((each) => each === text).length]));

/** Deletes the key and lifts the tombstone: fetches that run belong to an earlier epoch afterwards. */
async function deleteAndUndelete({ stored }: MirrorLab): Promise<void> {
  await stored.delete(KEY, "test");
  await stored.undelete(KEY);
}

describe.each([
  ["in memory", 262_144],
  ["on disk", 500],
])("a body %s", (_name, perSpoolBytes) => {
  const pool = { perSpoolBytes };

  test("20 requests cost one fetch, get the same bytes, and one object is stored", async () => {
    const body = arriving({ size: jpeg.byteLength });
    const origin = fakeOrigin((request) => body.reply(request));
    const lab = mirrorLab({ origins: [origin], pool });
    const answers = Array.from({ length: 20 }, () => lab.miss("a.jpg"));
    body.send(jpeg.subarray(0, 600));
    const joined = (await Promise.all(answers)).map((answer) => (answer.kind === "head" ? "head" : answer.servedFrom));
    expect(joined).toEqual(["first", ...Array(19).fill("collapsed")]);
    const bodies = answers.map(async (answer) => bodyOf(await answer));
    body.send(jpeg.subarray(600));
    body.end();
    for (const bytes of await Promise.all(bodies)) expect(bytes.equals(jpeg)).toBe(true);
    await lab.settled();
    expect(origin.requests).toHaveLength(1);
    expect(tally(lab.meter.events)).toEqual({
      fill: 1,
      collapsed: 19,
      "answered 7": 1,
      [`stored ${jpeg.byteLength}`]: 1,
    });
    expect((await lab.object("a.jpg"))?.size).toBe(jpeg.byteLength);
    expect(lab.pool.usage).toEqual({ spools: 0, bytes: 0 });
    expect(lab.pool.files()).toEqual([]);
  });

  test("a body that arrives at once is proven before the first answer, if it needs no disk", async () => {
    const lab = mirrorLab({ origins: [fakeOrigin(image(jpeg, { size: undefined, framing: "chunked" }))], pool });
    const answers = await Promise.all([lab.miss("a.jpg"), lab.miss("a.jpg"), lab.miss("a.jpg")]);
    for (const answer of answers) {
      expect(answer.kind).toBe(perSpoolBytes > 1_000 ? "finished" : "filling");
      expect((await bodyOf(answer)).equals(jpeg)).toBe(true);
    }
    await lab.settled();
    expect((await lab.object("a.jpg"))?.size).toBe(jpeg.byteLength);
  });

  test("all clients leave, and the object is stored all the same", async () => {
    const body = arriving({ size: jpeg.byteLength });
    const lab = mirrorLab({ origins: [fakeOrigin((request) => body.reply(request))], pool });
    const leaving = new AbortController();
    const waiting = lab.miss("a.jpg", { signal: leaving.signal });
    const begun = lab.miss("a.jpg");
    const reason = new HuiyuanError("client_gone", "left");
    leaving.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    body.send(jpeg.subarray(0, 600));
    const answer = await begun;
    if (answer.kind !== "filling") throw new Error(answer.kind);
    answer.release();
    body.send(jpeg.subarray(600));
    body.end();
    await lab.settled();
    expect((await lab.object("a.jpg"))?.size).toBe(jpeg.byteLength);
  });

  test("a finished body answers while it waits to be stored", async () => {
    const storing = createLatch();
    const origin = fakeOrigin(image(jpeg));
    const lab = mirrorLab({
      origins: [origin],
      pool,
      over: (driver) => ({
        async put(info, body, condition) {
          await storing.opened;
          return driver.put(info, body, condition);
        },
      }),
    });
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
    const after = await lab.miss("a.jpg");
    if (after.kind !== "finished") throw new Error(after.kind);
    expect([after.servedFrom, etagOf(after.info.hashes), lab.writeBack.backlog().depth]).toEqual([
      "after",
      expect.any(String),
      1,
    ]);
    storing.open();
    expect((await bodyOf(after)).equals(jpeg)).toBe(true);
    await lab.settled();
    expect([origin.requests.length, (await lab.object("a.jpg"))?.hashes]).toEqual([1, after.info.hashes]);
  });
});

describe("an object that the origin lacks", () => {
  test("is not requested again before negativeTtl ends", async () => {
    const origin = fakeOrigin(absent, image(jpeg));
    const lab = mirrorLab({ origins: [origin], mirror: { negativeTtlMs: 1_000 } });
    for (const _time of [1, 2]) expect(await codeOf(lab.fetch("a.jpg"))).toBe("not_found");
    lab.clock.now += 999;
    expect([await codeOf(lab.fetch("a.jpg")), origin.requests.length]).toEqual(["not_found", 1]);
    lab.clock.now += 1;
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
    expect(lab.meter.events.filter((text) => text === "refused not_found")).toHaveLength(1);
  });

  test("is requested again in time although the clock was set back", async () => {
    const origin = fakeOrigin(absent, image(jpeg));
    const lab = mirrorLab({ origins: [origin], mirror: { negativeTtlMs: 1_000 } });
    expect(await codeOf(lab.fetch("a.jpg"))).toBe("not_found");
    lab.clock.setMs = -3_600_000;
    lab.clock.now += 1_000;
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
  });

  test("is requested every time with negativeTtl: 0s", async () => {
    const origin = fakeOrigin(absent);
    const lab = mirrorLab({ origins: [origin], mirror: { negativeTtlMs: 0 } });
    for (const _time of [1, 2, 3]) expect(await codeOf(lab.fetch("a.jpg"))).toBe("not_found");
    expect(origin.requests).toHaveLength(3);
  });

  test.each<[string, (lab: MirrorLab) => Promise<unknown>]>([
    ["a delete that was taken back", deleteAndUndelete],
    ["a purge", ({ stored }) => stored.purge(KEY, { hard: false })],
  ])("is requested again after %s", async (_name, change) => {
    const origin = fakeOrigin(absent, image(jpeg));
    const lab = mirrorLab({ origins: [origin] });
    expect(await codeOf(lab.fetch("a.jpg"))).toBe("not_found");
    await change(lab);
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
  });

  test("a 404 to a fetch that began before a purge does not count after it", async () => {
    const answering = createLatch();
    const origin = fakeOrigin(async () => {
      await answering.opened;
      return undefined;
    }, image(jpeg));
    const lab = mirrorLab({ origins: [origin] });
    const early = codeOf(lab.fetch("a.jpg"));
    await turn();
    await lab.stored.purge(KEY, { hard: true });
    answering.open();
    expect(await early).toBe("not_found");
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
  });
});

describe("a failure of the origin", () => {
  test("expires in time although the clock was set back", async () => {
    const origin = fakeOrigin(failing("origin_refused"), image(jpeg));
    const lab = mirrorLab({ origins: [origin] });
    expect(await codeOf(lab.fetch("a.jpg"))).toBe("origin_refused");
    lab.clock.setMs = -3_600_000;
    lab.clock.now += 500;
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
  });

  test("is remembered for half a second, and is not an absence", async () => {
    const origin = fakeOrigin(failing("origin_refused"), image(jpeg));
    const lab = mirrorLab({ origins: [origin] });
    for (const _time of [1, 2]) expect(await codeOf(lab.fetch("a.jpg"))).toBe("origin_refused");
    lab.clock.now += 499;
    expect([await codeOf(lab.fetch("a.jpg")), origin.requests.length]).toEqual(["origin_refused", 1]);
    lab.clock.now += 1;
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
    await lab.settled();
    expect(lab.meter.events).toEqual([
      "fill",
      "refused origin_refused",
      "fill",
      "answered 7",
      `stored ${jpeg.byteLength}`,
    ]);
  });

  test.each<ErrorCode>(["overloaded", "draining", "origin_loop", "store_failed"])(
    "%s is this request's own affair, and not remembered",
    async (code) => {
      const origin = fakeOrigin(failing(code), image(jpeg));
      const lab = mirrorLab({ origins: [origin] });
      expect(await codeOf(lab.fetch("a.jpg"))).toBe(code);
      expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
    },
  );

  test("ends with a purge", async () => {
    const origin = fakeOrigin(failing("origin_refused"), image(jpeg));
    const lab = mirrorLab({ origins: [origin] });
    expect(await codeOf(lab.fetch("a.jpg"))).toBe("origin_refused");
    await lab.stored.purge(KEY, { hard: true });
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
  });

  test("without a free slot a second key is overloaded, and may be requested again at once", async () => {
    const body = arriving({ size: jpeg.byteLength });
    const lab = mirrorLab({ origins: [fakeOrigin((request) => body.reply(request), image(other))], fills: 1 });
    const first = lab.fetch("a.jpg");
    await turn();
    expect(await codeOf(lab.fetch("b.jpg"))).toBe("overloaded");
    body.send(jpeg);
    body.end();
    await first;
    expect((await lab.fetch("b.jpg")).equals(other)).toBe(true);
    await lab.settled();
    expect(lab.fetches.running).toBe(0);
  });
});

/** The end of a body, with the code that the client gets. */
const BAD_BODIES: readonly (readonly [string, () => Buffer[], Error | undefined, ErrorCode])[] = [
  ["an HTML page", () => [Buffer.from("<!doctype html><title>Please log in</title>")], undefined, "origin_not_image"],
  ["nothing", () => [], undefined, "origin_empty"],
  ["too few bytes to tell", () => [Buffer.from([0xff])], undefined, "origin_not_image"],
  ["half an image, chunked", () => [jpeg.subarray(0, 900)], undefined, "origin_truncated"],
  ["a body that breaks", () => [jpeg.subarray(0, 900)], new HuiyuanError("origin_timeout", "idle"), "origin_timeout"],
  ["an error that nobody has named", () => [jpeg.subarray(0, 900)], new Error("odd"), "internal"],
];

test.each(BAD_BODIES)("%s is not stored, and the client gets the code", async (_name, parts, error, code) => {
  const lab = mirrorLab({
    origins: [
      fakeOrigin((request) => {
        const body = arriving();
        for (const part of parts()) body.send(part);
        if (error === undefined) body.end();
        else body.fail(error);
        return body.reply(request);
      }),
    ],
  });
  expect(await codeOf(lab.fetch("a.jpg"))).toBe(code);
  await lab.settled();
  expect([await lab.object("a.jpg"), lab.meter.events.at(-1)]).toEqual([undefined, `refused ${code}`]);
});

/** One origin that answers each request with the next of these bodies. */
function inTurn(...bodies: ((body: Arriving) => void)[]) {
  let next = 0;
  return fakeOrigin((request) => {
    const body = arriving({ size: jpeg.byteLength });
    bodies[next]?.(body);
    next += 1;
    return body.reply(request);
  });
}

const cutBehind = (bytes: number) => (body: Arriving) => {
  if (bytes > 0) body.send(jpeg.subarray(0, bytes));
  body.fail(new HuiyuanError("origin_truncated", "cut"));
};
const whole = (body: Arriving) => {
  body.send(jpeg);
  body.end();
};

test.each([0, 2])(
  "a body that is cut behind %d bytes, before anybody has any, is asked for once more",
  async (bytes) => {
    const lab = mirrorLab({ origins: [inTurn(cutBehind(bytes), whole)] });
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
    await lab.settled();
    expect(await lab.object("a.jpg")).toMatchObject({ size: jpeg.byteLength });
    expect(lab.meter.events.filter((told) => told === "retried" || told === "fill")).toEqual(["fill", "retried"]);
    expect(lab.fetches.running).toBe(0);
  },
);

test("a body that is cut twice is not requested a third time", async () => {
  const lab = mirrorLab({ origins: [inTurn(cutBehind(0), cutBehind(0), whole)] });
  expect(await codeOf(lab.fetch("a.jpg"))).toBe("origin_truncated");
  await lab.settled();
  expect([await lab.object("a.jpg"), lab.meter.events.at(-1)]).toEqual([undefined, "refused origin_truncated"]);
  expect(lab.pool.usage).toEqual({ spools: 0, bytes: 0 });
});

test("a body that breaks after its head delivers its bytes, and then the error", async () => {
  const body = arriving({ size: jpeg.byteLength });
  const lab = mirrorLab({ origins: [fakeOrigin((request) => body.reply(request))] });
  const answer = lab.miss("a.jpg");
  body.send(jpeg.subarray(0, 900));
  const filling = await answer;
  if (filling.kind !== "filling") throw new Error(filling.kind);
  expect((await filling.reader.read(filling.head, 0))?.byteLength).toBe(900);
  body.fail(new HuiyuanError("origin_truncated", "cut"));
  await expect(filling.reader.read(filling.head, 900)).rejects.toMatchObject({ code: "origin_truncated" });
  filling.release();
  await lab.settled();
  expect(await lab.object("a.jpg")).toBeUndefined();
});

test("a body that is not an image is not read to its end", async () => {
  const body = arriving();
  const lab = mirrorLab({ origins: [fakeOrigin((request) => body.reply(request))] });
  body.send(Buffer.from("<!doctype html><title>Please log in</title>"));
  expect(await codeOf(lab.fetch("a.jpg"))).toBe("origin_not_image");
  expect(body.isDestroyed).toBe(true);
});

describe("epochs", () => {
  test("a fetch that began before a delete is neither joined nor stored after it", async () => {
    const old = arriving({ size: jpeg.byteLength });
    const origin = fakeOrigin((request) => old.reply(request), image(other));
    const lab = mirrorLab({ origins: [origin] });
    const early = lab.fetch("a.jpg");
    await turn();
    await deleteAndUndelete(lab);
    expect((await lab.fetch("a.jpg")).equals(other)).toBe(true);
    old.send(jpeg);
    old.end();
    expect((await early).equals(jpeg)).toBe(true);
    await lab.settled();
    expect(origin.requests).toHaveLength(2);
    expect((await lab.object("a.jpg"))?.size).toBe(other.byteLength);
    expect(lab.meter.events.filter((text) => text.startsWith("stored"))).toEqual([`stored ${other.byteLength}`]);
  });

  test("a fetch that began before a delete leaves the tombstone alone", async () => {
    const body = arriving({ size: jpeg.byteLength });
    const lab = mirrorLab({ origins: [fakeOrigin((request) => body.reply(request))] });
    const early = lab.fetch("a.jpg");
    await turn();
    await lab.stored.delete(KEY, "test");
    body.send(jpeg);
    body.end();
    expect((await early).equals(jpeg)).toBe(true);
    await lab.settled();
    expect((await lab.stored.find(KEY)).state).toBe("tombstone");
  });

  test("a request whose look-up came before a delete joins the fetch that began after it", async () => {
    const body = arriving({ size: jpeg.byteLength });
    const origin = fakeOrigin((request) => body.reply(request));
    const lab = mirrorLab({ origins: [origin] });
    await deleteAndUndelete(lab);
    const answers = [lab.missAt("a.jpg", 1), lab.missAt("a.jpg", 0)];
    body.send(jpeg);
    body.end();
    for (const answer of answers) expect((await bodyOf(await answer)).equals(jpeg)).toBe(true);
    expect(origin.requests).toHaveLength(1);
  });

  test("a HEAD that the origin refuses does not join a fetch that began before a delete", async () => {
    const refusing = createLatch();
    const old = arriving({ size: jpeg.byteLength });
    const origin = fakeOrigin(
      async (request) => {
        await refusing.opened;
        return failing("origin_status", { originStatus: 405 })(request);
      },
      (request) => old.reply(request),
      image(other),
    );
    const lab = mirrorLab({ origins: [origin] });
    await deleteAndUndelete(lab);
    const asked = lab.missAt("a.jpg", 1, { method: "HEAD" });
    await turn();
    const early = lab.missAt("a.jpg", 0);
    await turn();
    refusing.open();
    const answer = await asked;
    if (answer.kind === "head") throw new Error(answer.kind);
    expect([answer.servedFrom, answer.head.size]).toEqual(["first", other.byteLength]);
    answer.release();
    old.send(jpeg);
    old.end();
    await bodyOf(await early);
  });
});

describe("an image that is damaged at its source", () => {
  const HOUR = 3_600_000;

  test("is served each time and never stored", async () => {
    const origin = fakeOrigin(image(jpeg, MD5_OF_ANOTHER));
    const lab = mirrorLab({ origins: [origin] });
    for (const _time of [1, 2, 3]) {
      const answer = await lab.miss("a.jpg");
      expect(answer.kind === "filling" && answer.isSuspect).toBe(true);
      expect((await bodyOf(answer)).equals(jpeg)).toBe(true);
      lab.clock.now += HOUR;
    }
    await lab.settled();
    expect([origin.requests.length, await lab.object("a.jpg")]).toEqual([3, undefined]);
    expect(lab.meter.events.filter((text) => text === "refused suspect")).toHaveLength(3);
  });

  test.each<[string, () => Reply]>([
    ["hash", () => image(jpeg, MD5_OF_ANOTHER)],
    ["structure", () => image(jpeg.subarray(0, 700))],
  ])("is known by its %s if no disk keeps it", async (damage, reply) => {
    const disk = { write: () => Promise.reject(diskError("ENOSPC")) };
    const lab = mirrorLab({ origins: [fakeOrigin(reply())], pool: { perSpoolBytes: 500, disk } });
    const answer = await lab.miss("a.jpg");
    if (answer.kind !== "filling") throw new Error(answer.kind);
    expect(await answer.reader.end()).toMatchObject({ kind: "unstored", damage });
    answer.release();
    await lab.settled();
    expect(lab.meter.events.at(-1)).toBe("refused suspect");
  });

  test("with suspects: keep it is stored, and marked, the second time after an hour", async () => {
    const origin = fakeOrigin(image(jpeg, MD5_OF_ANOTHER));
    const lab = mirrorLab({ origins: [origin], mirror: { suspects: "keep" } });
    for (const wait of [0, HOUR - 1]) {
      lab.clock.now += wait;
      await lab.fetch("a.jpg");
      await lab.settled();
      expect(await lab.object("a.jpg")).toBeUndefined();
    }
    lab.clock.now += 1;
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
    await lab.settled();
    expect(await lab.object("a.jpg")).toMatchObject({ isSuspect: true, size: jpeg.byteLength });
    expect([(await lab.stored.find(KEY)).state, origin.requests.length]).toEqual(["memory", 3]);
  });
});

describe("HEAD of a key that the bucket lacks", () => {
  test("is sent to the origin as a HEAD, and nothing is stored", async () => {
    const origin = fakeOrigin(image(jpeg, { etag: '"x"' }));
    const lab = mirrorLab({ origins: [origin] });
    for (const _time of [1, 2]) {
      const answer = await lab.miss("a.jpg", { method: "HEAD" });
      expect(answer).toMatchObject({ kind: "head", answer: { size: jpeg.byteLength, etag: '"x"' } });
    }
    expect(origin.requests.map(({ method }) => method)).toEqual(["HEAD", "HEAD"]);
    expect([lab.meter.events, await lab.object("a.jpg"), lab.fetches.running]).toEqual([[], undefined, 0]);
  });

  test("is sent once for fifty concurrent requests, and once more for later ones", async () => {
    const origin = fakeOrigin(image(jpeg));
    const lab = mirrorLab({ origins: [origin] });
    const hows: unknown[] = [];
    for (const _time of [1, 2]) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => lab.miss("a.jpg", { method: "HEAD" })));
      hows.push(
        ...new Set(answers.map(({ kind, ...answer }) => `${kind} ${"servedFrom" in answer ? answer.servedFrom : ""}`)),
      );
    }
    expect(hows).toEqual(["head first", "head collapsed", "head first", "head collapsed"]);
    expect([origin.requests.length, lab.fetches.running]).toEqual([2, 0]);
  });

  test("is sent once for all requests if it fails, and one fetch follows if the origin refuses it", async () => {
    const ask = async (...replies: readonly Reply[]) => {
      const origin = fakeOrigin(...replies);
      const lab = mirrorLab({ origins: [origin] });
      const all = await Promise.allSettled(Array.from({ length: 20 }, () => lab.miss("a.jpg", { method: "HEAD" })));
      for (const each of all) if (each.status === "fulfilled" && each.value.kind !== "head") each.value.release();
      await lab.settled();
      return [new Set(all.map(({ status }) => status)).size, origin.requests.map(({ method }) => method)];
    };
    expect(await ask(failing("origin_status", { originStatus: 500 }))).toEqual([1, ["HEAD"]]);
    expect(await ask(failing("origin_status", { originStatus: 405 }), image(jpeg))).toEqual([1, ["HEAD", "GET"]]);
  });

  test("continues for the other requests when the first client has left", async () => {
    let answer = () => {};
    const asked = new Promise<void>((resolve) => (answer = resolve));
    const origin = fakeOrigin(async (request) => {
      await asked;
      return image(jpeg)(request);
    });
    const lab = mirrorLab({ origins: [origin] });
    const leaving = new AbortController();
    const first = codeOf(lab.miss("a.jpg", { method: "HEAD", signal: leaving.signal }));
    const second = lab.miss("a.jpg", { method: "HEAD" });
    await turn();
    leaving.abort(new HuiyuanError("client_gone", "it has left"));
    expect(await first).toBe("client_gone");
    answer();
    expect(await second).toMatchObject({ kind: "head", servedFrom: "collapsed" });
    expect(origin.requests).toHaveLength(1);
  });

  test("a 404 to it is remembered for the GET", async () => {
    const origin = fakeOrigin(absent);
    const lab = mirrorLab({ origins: [origin] });
    expect(await codeOf(lab.miss("a.jpg", { method: "HEAD" }))).toBe("not_found");
    expect([await codeOf(lab.fetch("a.jpg")), origin.requests.length]).toEqual(["not_found", 1]);
  });

  test.each([400, 403, 405, 501])(
    "an origin that answers it %i is asked with GET, and the image stored",
    async (originStatus) => {
      const origin = fakeOrigin(failing("origin_status", { originStatus }), image(jpeg));
      const lab = mirrorLab({ origins: [origin] });
      const answer = await lab.miss("a.jpg", { method: "HEAD" });
      if (answer.kind === "head") throw new Error(answer.kind);
      answer.release();
      await lab.settled();
      expect(origin.requests.map(({ method }) => method)).toEqual(["HEAD", "GET"]);
      expect((await lab.object("a.jpg"))?.size).toBe(jpeg.byteLength);
    },
  );

  test("another failure is thrown, without a GET", async () => {
    const origin = fakeOrigin(failing("origin_status", { originStatus: 500 }));
    const lab = mirrorLab({ origins: [origin] });
    expect(await codeOf(lab.miss("a.jpg", { method: "HEAD" }))).toBe("origin_status");
    expect([origin.requests.length, lab.fetches.running]).toEqual([1, 0]);
  });

  test("with headMiss: store it is a fetch, and the image is stored", async () => {
    const origin = fakeOrigin(image(jpeg));
    const lab = mirrorLab({ origins: [origin], mirror: { headMiss: "store" } });
    const answer = await lab.miss("a.jpg", { method: "HEAD" });
    if (answer.kind === "head") throw new Error(answer.kind);
    answer.release();
    await lab.settled();
    expect(origin.requests.map(({ method }) => method)).toEqual(["GET"]);
    expect((await lab.object("a.jpg"))?.size).toBe(jpeg.byteLength);
  });

  test("joins a fetch that runs", async () => {
    const body = arriving({ size: jpeg.byteLength });
    const origin = fakeOrigin((request) => body.reply(request));
    const lab = mirrorLab({ origins: [origin] });
    const got = lab.fetch("a.jpg");
    await turn();
    const asked = lab.miss("a.jpg", { method: "HEAD" });
    body.send(jpeg.subarray(0, 600));
    const answer = await asked;
    if (answer.kind !== "filling") throw new Error(answer.kind);
    expect([answer.servedFrom, answer.head.size]).toEqual(["collapsed", jpeg.byteLength]);
    answer.release();
    body.send(jpeg.subarray(600));
    body.end();
    expect((await got).equals(jpeg)).toBe(true);
    expect(origin.requests).toHaveLength(1);
  });
});

describe("a large image that the disk refuses", () => {
  const bytes = noisyBmp(800, 600);
  let refusals = 0;
  const disk = {
    write: () => {
      refusals += 1;
      return Promise.reject(diskError("ENOSPC"));
    },
  };
  const labOf = (replies: Reply[], maxTransientBytes = 67_108_864) =>
    mirrorLab({ origins: [fakeOrigin(...replies)], pool: { perSpoolBytes: 65_536, disk, maxTransientBytes } });
  const fetches = ({ meter }: MirrorLab) => meter.events.filter((event) => event === "fill").length;

  test("that arrives at once reaches the requests that wait for it", async () => {
    const lab = labOf([image(bytes)]);
    const all = await Promise.all([lab.fetch("a.bmp"), lab.fetch("a.bmp"), lab.fetch("a.bmp")]);
    expect(all.map((body) => body.equals(bytes))).toEqual([true, true, true]);
    expect(fetches(lab)).toBe(1);
    await lab.settled();
    expect(lab.pool.usage.bytes).toBe(0);
  });

  test("reaches a request that comes while its last bytes arrive, from the same fetch", async () => {
    const first = arriving({ size: bytes.byteLength });
    const lab = labOf([first.reply]);
    const early = lab.fetch("a.bmp");
    for (let at = 0; at < 1_200_000; at += 100_000) {
      first.send(bytes.subarray(at, at + 100_000));
      await turn();
    }
    const late = lab.fetch("a.bmp");
    first.send(bytes.subarray(1_200_000));
    first.end();
    for (const body of await Promise.all([early, late])) expect(body.equals(bytes)).toBe(true);
    expect(fetches(lab)).toBe(1);
    await lab.settled();
    expect([lab.pool.usage.bytes, await lab.object("a.bmp")]).toEqual([0, undefined]);
  });

  test("is not_kept without room in memory, before a client has its head, until the others have left", async () => {
    const held = arriving({ size: bytes.byteLength });
    const lab = labOf([held.reply, image(bytes), image(bytes)], bytes.byteLength + 1_000);
    const before = refusals;
    const reading = lab.fetch("a.bmp");
    for (let at = 0; at < 1_200_000; at += 100_000) {
      held.send(bytes.subarray(at, at + 100_000));
      await turn();
    }
    await eventually(() => refusals > before, "the disk has refused it");
    await turn();
    await expect(lab.miss("b.bmp")).rejects.toMatchObject({ code: "not_kept", retryAfterSeconds: 1 });
    held.send(bytes.subarray(1_200_000));
    held.end();
    expect((await reading).equals(bytes)).toBe(true);
    await eventually(() => lab.pool.usage.spools === 0, "its memory is free again");
    // The failure is not remembered.
    expect((await lab.fetch("b.bmp")).equals(bytes)).toBe(true);
    await lab.settled();
  });

  test("fails with not_kept once its bytes do not fit into memory, and the origin sends no more", async () => {
    const body = arriving({ size: bytes.byteLength });
    const lab = labOf([body.reply], 600_000);
    body.send(bytes.subarray(0, 100_000));
    const answer = await lab.miss("a.bmp");
    if (answer.kind !== "filling") throw new Error(answer.kind);
    for (let at = 100_000; at < 1_000_000; at += 100_000) {
      body.send(bytes.subarray(at, at + 100_000));
      await turn();
    }
    expect(await answer.reader.end()).toMatchObject({ kind: "failed", error: { code: "not_kept" } });
    await expect(bodyOf(answer)).rejects.toMatchObject({ code: "not_kept", retryAfterSeconds: 1 });
    expect(body.isDestroyed).toBe(true);
    await lab.settled();
    expect(lab.pool.usage.bytes).toBe(0);
  });

  test("fails with not_kept also if the disk refuses it while its origin sends nothing", async () => {
    const body = arriving({ size: bytes.byteLength });
    const latch = createLatch();
    const write = () => latch.opened.then(() => Promise.reject(diskError("ENOSPC")));
    const lab = mirrorLab({
      origins: [fakeOrigin(body.reply)],
      pool: { perSpoolBytes: 65_536, disk: { write }, maxTransientBytes: 600_000 },
    });
    body.send(bytes.subarray(0, 700_000));
    const answer = await lab.miss("a.bmp");
    if (answer.kind !== "filling") throw new Error(answer.kind);
    latch.open();
    expect(await answer.reader.end()).toMatchObject({ kind: "failed", error: { code: "not_kept" } });
    expect(body.isDestroyed).toBe(true);
    answer.release();
    await lab.settled();
  });

  test("and has no declared length is refused at its bound as well", async () => {
    const lab = labOf([image(bytes, { size: undefined })], bytes.byteLength - 1);
    await expect(lab.fetch("a.bmp")).rejects.toMatchObject({ code: "not_kept" });
    await lab.settled();
    expect(lab.pool.usage.bytes).toBe(0);
  });

  test("leaves room for small ones", async () => {
    const held = arriving({ size: bytes.byteLength });
    const lab = labOf([held.reply, image(jpeg)], bytes.byteLength);
    const reading = lab.fetch("a.bmp");
    held.send(bytes.subarray(0, 1_400_000));
    await turn();
    expect((await lab.fetch("b.jpg")).equals(jpeg)).toBe(true);
    held.send(bytes.subarray(1_400_000));
    held.end();
    expect((await reading).equals(bytes)).toBe(true);
    await lab.settled();
    expect(await lab.object("b.jpg")).toMatchObject({ size: jpeg.byteLength });
  });
});

test("a whole image that the disk cannot keep is served, and counted as not stored", async () => {
  const disk = { write: () => Promise.reject(diskError("ENOSPC")) };
  const options: MirrorLabOptions = { origins: [fakeOrigin(image(jpeg))], pool: { perSpoolBytes: 500, disk } };
  const lab = mirrorLab(options);
  expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
  await lab.settled();
  expect([await lab.object("a.jpg"), lab.meter.events.at(-1)]).toEqual([undefined, "not stored store_full"]);
});

test("an image that the bucket refuses for good is served, and fetched again for the next request", async () => {
  const failed = new HuiyuanError("store_failed", "Cannot store: the test says so");
  const origin = fakeOrigin(image(jpeg));
  const lab = mirrorLab({ origins: [origin], over: () => ({ put: () => Promise.reject(failed) }) });
  for (const count of [1, 2]) {
    expect((await lab.fetch("a.jpg")).equals(jpeg)).toBe(true);
    await lab.settled();
    expect([origin.requests.length, lab.meter.events.at(-1)]).toEqual([count, "not stored store_failed"]);
  }
});

test("a stop ends every fetch, and no new one begins", async () => {
  const body = arriving({ size: jpeg.byteLength });
  const origin = fakeOrigin((request) => body.reply(request));
  const lab = mirrorLab({ origins: [origin] });
  const running = lab.fetch("a.jpg");
  body.send(jpeg.subarray(0, 600));
  await turn();
  lab.stopping.abort(new HuiyuanError("draining", "Cannot go on fetching: the server is stopping"));
  expect(await codeOf(running)).toBe("draining");
  expect(await codeOf(lab.fetch("b.jpg"))).toBe("draining");
  await lab.settled();
  expect([origin.requests.length, lab.fetches.running, await lab.object("a.jpg")]).toEqual([1, 0, undefined]);
});

test("an answer that comes when no spool can be opened is destroyed", async () => {
  const body = arriving({ size: jpeg.byteLength });
  const lab = mirrorLab({ origins: [fakeOrigin((request) => body.reply(request))] });
  await lab.pool.close();
  expect(await codeOf(lab.fetch("a.jpg"))).toBe("draining");
  expect(body.isDestroyed).toBe(true);
});

test("fetches beyond the connections wait in the queue", async () => {
  const bodies = [arriving({ size: jpeg.byteLength }), arriving({ size: jpeg.byteLength })];
  const origin = fakeOrigin(...bodies.map((body) => body.reply));
  const lab = mirrorLab({ origins: [origin], mirror: { connections: 1 } });
  const fetched = [lab.fetch("a.jpg"), lab.fetch("b.jpg")];
  for (const [index, body] of bodies.entries()) {
    await turn();
    expect([origin.requests.length, lab.fetches.running]).toEqual([index + 1, 1]);
    body.send(jpeg);
    body.end();
    await fetched[index];
  }
});
