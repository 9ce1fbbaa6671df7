// Images that may belong to another request are hidden and removed, also while the store accepts no changes.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeAll, expect, test } from "vitest";
import { CancellationSource } from "../../../../../src/async/cancellation.ts";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { toKey } from "../../../../../src/core/object.ts";
import type { Spool } from "../../../../../src/serve/body/spool/spool.ts";
import type { BucketDriver } from "../../../../../src/serve/bucket/contract/driver.ts";
import { fakeOrigin, image } from "../../../../helpers/fake-origins.ts";
import { noisyJpeg } from "../../../../helpers/images.ts";
import { mirrorLab } from "../../../../helpers/mirror-lab.ts";
import { eventually } from "../../../../helpers/program.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const KEY = toKey("a.jpg");

let alien: Buffer;
let right: Buffer;
beforeAll(async () => {
  [alien, right] = await Promise.all([noisyJpeg(64, 48), noisyJpeg(48, 64)]);
});

/** A store that is unavailable, or refuses only puts; its origin sends the wrong image first, then the right one. */
function labOf(desync: CancellationSource, takesPuts = false) {
  const store = { isAway: false, refused: 0 };
  const check = () => {
    if (!store.isAway) return;
    store.refused += 1;
    throw new HuiyuanError("store_full", "Cannot write: the test says so");
  };
  const over = (driver: BucketDriver): Partial<BucketDriver> => ({
    put: async (...put) => {
      if (!takesPuts) check();
      return driver.put(...put);
    },
    purge: async (...purge) => {
      check();
      return driver.purge(...purge);
    },
  });
  const origin = fakeOrigin(image(alien, { desync }), image(right));
  const lab = mirrorLab({ origins: [origin], over, retryMs: Array.from({ length: 400 }, () => 5) });
  const bytesOf = async () => {
    const found = await lab.stored.find(KEY);
    if (found.state === "absent") return lab.fetch("a.jpg");
    if (found.state !== "memory" && found.state !== "loaded") throw new Error(`it is ${found.state}`);
    return found.object.body;
  };
  const isTriedAgain = () => {
    const { refused } = store;
    return eventually(() => store.refused > refused + 4, "the store is tried again");
  };
  return { lab, store, origin, bytesOf, isTriedAgain };
}

test("a pending image is neither served nor stored once its connection has a desync", async () => {
  const desync = new CancellationSource();
  const { lab, store, origin, bytesOf, isTriedAgain } = labOf(desync);
  store.isAway = true;
  expect(await bytesOf()).toEqual(alien);
  await isTriedAgain();
  desync.cancel(undefined);
  expect(lab.stored.pendingWrites.size).toBe(0);
  expect(await bytesOf()).toEqual(right);
  await isTriedAgain();
  store.isAway = false;
  await lab.settled();
  expect(await bytesOf()).toEqual(right);
  await lab.settled();
  expect((await lab.object("a.jpg"))?.size ?? right.length).toBe(right.length);
  expect(origin.requests.length).toBeLessThanOrEqual(3);
});

test("a stored image counts as missing once its connection has a desync, until the store removes it", async () => {
  const desync = new CancellationSource();
  const { lab, store, bytesOf, isTriedAgain } = labOf(desync);
  expect(await bytesOf()).toEqual(alien);
  await lab.settled();
  expect(await bytesOf()).toEqual(alien);
  store.isAway = true;
  desync.cancel(undefined);
  for (let round = 0; round < 3; round += 1) {
    expect(await bytesOf()).toEqual(right);
    expect((await lab.stored.lookup(KEY)).state).toBe("absent");
    await isTriedAgain();
  }
  expect((await lab.object("a.jpg"))?.size).toBe(alien.length);
  store.isAway = false;
  await eventually(async () => (await lab.object("a.jpg"))?.size !== alien.length, "it has gone");
  await lab.settled();
  expect(await bytesOf()).toEqual(right);
  await lab.writeBack.drain(1_000);
  await lab.settled();
  expect((await lab.stored.lookup(KEY)).state).toBe("object");
});

test("an image is neither passed on nor stored if its connection has a desync by its end", async () => {
  const desync = new CancellationSource();
  desync.cancel(undefined);
  const { lab } = labOf(desync);
  await expect(lab.fetch("a.jpg")).rejects.toMatchObject({ code: "origin_unexpected" });
  const body = wholeBody(right);
  const spool = { release: () => undefined } as Spool;
  const info = infoOf("b.jpg", body);
  const stored = lab.writeBack.store({ stored: lab.stored, info, epoch: 0, body, spool, desync });
  expect(lab.stored.pendingWrites.size).toBe(0);
  expect(await stored).toMatchObject({ code: "origin_unexpected" });
  expect(await lab.object("b.jpg")).toBeUndefined();
});

test("an upload under its key is visible all the time", async () => {
  const desync = new CancellationSource();
  const { lab, store, bytesOf, isTriedAgain } = labOf(desync, true);
  expect(await bytesOf()).toEqual(alien);
  await lab.settled();
  store.isAway = true;
  desync.cancel(undefined);
  await isTriedAgain();
  const body = wholeBody(right);
  await lab.stored.put(infoOf("a.jpg", body, "upload"), body, { when: "always" });
  expect((await lab.stored.lookup(KEY)).state).toBe("object");
  store.isAway = false;
  await lab.writeBack.drain(1_000);
  expect((await lab.object("a.jpg"))?.size).toBe(right.length);
  expect(await bytesOf()).toEqual(right);
});

test("a connection that lives on keeps no stored body in memory", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const desync = new CancellationSource();
  const { lab } = labOf(desync);
  const store = async () => {
    const bytes = await noisyJpeg(80, 60);
    const body = wholeBody(bytes);
    const spool = { release: () => undefined } as Spool;
    await lab.writeBack.store({
      stored: lab.stored,
      info: infoOf("b.jpg", body),
      epoch: 0,
      body,
      spool,
      desync,
    });
    lab.memoryCache.drop(lab.stored.bucketId, toKey("b.jpg"));
    await lab.driver.purge(toKey("b.jpg"), { hard: true });
    return new WeakRef(body);
  };
  const body = await store();
  await eventually(async () => {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
    return body.deref() === undefined;
  }, "the body has gone");
  desync.cancel(undefined);
});
