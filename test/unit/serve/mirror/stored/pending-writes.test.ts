// The table of pending writes: the image requested last wins, and the origin withdraws images that it sent before.
import { expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import type { Fill } from "../../../../../src/serve/mirror/fill/fill.ts";
import {
  createPendingWrites,
  type PendingWrite,
  type TrackedFetch,
} from "../../../../../src/serve/mirror/stored/pending-writes.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const KEY = toKey("a.jpg");
const INFO = infoOf(KEY, wholeBody(Buffer.from("bytes")));

function tableLab() {
  const table = createPendingWrites();
  const givenUp: PendingWrite[] = [];
  const image = (epoch: number, fetch = table.begin(KEY), more: Partial<PendingWrite> = {}): PendingWrite => {
    const write: PendingWrite = {
      ...{ info: INFO, epoch, fetch, fill: { epoch } as Fill, tryNow: async () => undefined },
      giveUp: () => void givenUp.push(write),
      ...more,
    };
    return write;
  };
  const withdraw = (by: TrackedFetch = table.begin(KEY)) => table.withdraw(by, "gone");
  return { table, givenUp, image, withdraw };
}

test.each<[string, number, number, boolean]>([
  ["is served to requests that found the key as it was when the image was requested", 1, 1, true],
  ["is served to requests that found the key before its last change", 2, 1, true],
  ["is not served if the key has changed since", 1, 2, false],
])("newest(): an image %s", (_name, its, epoch, isThere) => {
  const { table, image } = tableLab();
  const write = image(its);
  table.add(write);
  expect(table.newest({ key: KEY, epoch })?.fill).toBe(isThere ? write.fill : undefined);
  expect(table.newest({ key: toKey("b.jpg"), epoch })).toBeUndefined();
});

test("newest() returns no image without a fill, which is damaged or not proven yet", () => {
  const { table, image } = tableLab();
  const write = image(1, undefined, { fill: undefined });
  expect([table.add(write), table.find(KEY), table.newest({ key: KEY, epoch: 1 })]).toEqual([true, write, undefined]);
});

test("add() gives up an image that was requested earlier, whichever ends last", () => {
  const { table, image, givenUp } = tableLab();
  const [slow, quick] = [table.begin(KEY), table.begin(KEY)];
  const later = image(1, quick);
  expect([table.add(later), table.add(image(1, slow)), table.find(KEY)]).toEqual([true, false, later]);
  const latest = image(1);
  expect([table.add(latest), table.find(KEY), givenUp, table.size]).toEqual([true, latest, [later], 1]);
});

test("add() refuses an image of an earlier epoch, and a damaged one if another is pending", () => {
  const { table, image } = tableLab();
  const write = image(1);
  table.add(write);
  const damaged = image(1, undefined, { info: { ...INFO, isSuspect: true } });
  expect([table.add(image(0)), table.add(damaged), table.find(KEY)]).toEqual([false, false, write]);
});

test("remove() of an image that has left the table does not remove the later one", () => {
  const { table, image } = tableLab();
  const [one, other] = [image(1), image(1)];
  table.add(one);
  table.add(other);
  table.remove(one);
  expect([table.find(KEY), table.size]).toEqual([other, 1]);
  table.remove(other);
  expect([table.find(KEY), table.size]).toEqual([undefined, 0]);
});

test("withdraw() gives up the pending image if it was requested before, and marks its fetch", () => {
  const { table, image, givenUp, withdraw } = tableLab();
  const early = table.begin(KEY);
  const write = image(1);
  table.add(write);
  withdraw(early);
  expect([table.find(KEY), givenUp]).toEqual([write, []]);
  withdraw();
  expect([table.size, givenUp, write.fetch.withdrawn]).toEqual([0, [write], "gone"]);
});

test.each<[string, (lab: ReturnType<typeof tableLab>, fetch: TrackedFetch) => void, boolean]>([
  ["by the answer to a later request", ({ withdraw }) => withdraw(), false],
  ["by its own answer", ({ withdraw }, fetch) => withdraw(fetch), true],
  ["of another key", ({ table, withdraw }) => withdraw(table.begin(toKey("b.jpg"))), true],
])("an image that still arrives and a withdrawal %s", (_name, happens, isAdded) => {
  const lab = tableLab();
  const fetch = lab.table.begin(KEY);
  happens(lab, fetch);
  expect(lab.table.add(lab.image(1, fetch))).toBe(isAdded);
});

test("a fetch that began after a withdrawal is not withdrawn, nor one that has ended", () => {
  const { table, image, withdraw } = tableLab();
  const ended = table.begin(KEY);
  table.end(ended);
  table.end(ended);
  withdraw();
  expect([ended.withdrawn, table.add(image(1))]).toEqual([undefined, true]);
});
