// Pending writes, and their fate when the origin withdraws them.
import { expect, test } from "vitest";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { type ObjectInfo, toKey } from "../../../../src/core/object.ts";
import type { Fill } from "../../../../src/mirror/fill/fill.ts";
import { createInvalidation } from "../../../../src/mirror/storing/invalidate.ts";
import { createPendingWrites, type PendingWrite } from "../../../../src/mirror/storing/pending-writes.ts";
import { storedLab } from "../../../helpers/mirror-lab.ts";
import { infoOf, wholeBody } from "../../../helpers/whole-body.ts";

const KEY = toKey("a.jpg");
const INFO = infoOf(KEY, wholeBody(Buffer.from("bytes")));

/** `at`: when it was requested. */
function image(epoch: number, at: number): PendingWrite {
  const info: ObjectInfo = { ...INFO, provenance: { ...INFO.provenance, validated: { at, life: {} } } };
  return { fill: { epoch } as Fill, info, fate: "wanted" };
}

function settling() {
  let settle: () => void = () => undefined;
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });
  return { settled, settle };
}

test.each<[string, PendingWrite, number, boolean]>([
  ["is there for those who found the key as it was when it was asked for", image(1, 0), 1, true],
  ["is there for those who found the key before its last change", image(2, 0), 1, true],
  ["is not there where the key has changed since", image(1, 0), 2, false],
  ["is not there where it has been taken back", { ...image(1, 0), fate: "gone" }, 1, false],
])("newest() of an image %s", (_name, waits, epoch, isThere) => {
  const pendingWrites = createPendingWrites();
  pendingWrites.add(waits, settling().settled);
  expect(pendingWrites.newest({ key: KEY, epoch })).toBe(isThere ? waits : undefined);
  expect(pendingWrites.newest({ key: toKey("b.jpg"), epoch })).toBeUndefined();
});

test("a stored image is no longer pending, and its end does not end a later one", async () => {
  const pendingWrites = createPendingWrites();
  const [one, other] = [settling(), settling()];
  const later = image(1, 2);
  pendingWrites.add(image(1, 1), one.settled);
  pendingWrites.add(later, other.settled);
  one.settle();
  await Promise.resolve();
  expect([pendingWrites.newest({ key: KEY, epoch: 1 }), pendingWrites.size]).toEqual([later, 1]);
  other.settle();
  await Promise.resolve();
  expect([pendingWrites.newest({ key: KEY, epoch: 1 }), pendingWrites.size]).toEqual([undefined, 0]);
});

test("newest() is the image that was requested last, whichever ends last", () => {
  const pendingWrites = createPendingWrites();
  const later = image(1, 2);
  pendingWrites.add(later, settling().settled);
  pendingWrites.add(image(1, 1), settling().settled);
  expect(pendingWrites.newest({ key: KEY, epoch: 1 })).toBe(later);
});

test("invalidate() gives up all earlier images, and the image before an invalid one is the newest again", async () => {
  const { stored } = storedLab();
  const { pendingWrites } = stored;
  const [one, other] = [image(0, 1), image(0, 2)];
  const ends = [settling(), settling(), settling()] as const;
  pendingWrites.add(one, ends[0].settled);
  pendingWrites.add(other, ends[1].settled);
  pendingWrites.add(image(0, 3), ends[2].settled);
  ends[2].settle();
  await Promise.resolve();
  expect([pendingWrites.newest({ key: KEY, epoch: 0 }), pendingWrites.size]).toEqual([other, 1]);
  createInvalidation({ stored, writeBack: { retryNow: () => undefined }, log: SILENT_LOG })({
    key: KEY,
    epoch: 0,
    requestedAt: 2,
    fate: "superseded",
  });
  expect([one.fate, other.fate, pendingWrites.newest({ key: KEY, epoch: 0 })]).toEqual([
    "superseded",
    "superseded",
    undefined,
  ]);
});

test.each([
  [4, false],
  [5, true],
])("an answer requested in second %d withdraws an image requested in second 5: %s", async (requestedAt, isTaken) => {
  const { stored } = storedLab();
  const told: string[] = [];
  const writeBack = { retryNow: (bucketId: string, key: string) => void told.push(`${bucketId} ${key}`) };
  const invalidate = createInvalidation({ stored, writeBack, log: SILENT_LOG });
  const waits = image(0, 5);
  stored.pendingWrites.add(waits, settling().settled);
  invalidate({ key: KEY, epoch: 0, requestedAt, fate: "gone" });
  expect([waits.fate, told]).toEqual(isTaken ? ["gone", [`${stored.bucketId} a.jpg`]] : ["wanted", []]);
});

// The image was described in second 1,000.
test.each<[string, { readonly requestedAt: number; readonly epoch: number }, PendingWrite["fate"]]>([
  ["asked before it", { requestedAt: 4, epoch: 0 }, "wanted"],
  ["asked while it arrived", { requestedAt: 5, epoch: 0 }, "gone"],
  ["asked at its end", { requestedAt: 1_000, epoch: 0 }, "gone"],
  ["ahead of the clock, which has been set back", { requestedAt: 1_001, epoch: 0 }, "wanted"],
  ["about another state of the key", { requestedAt: 5, epoch: 1 }, "wanted"],
])("add() of an image applies an invalidation %s: %j, %s", (_when, told, fate) => {
  const pendingWrites = createPendingWrites();
  expect(pendingWrites.invalidate({ key: KEY, fate: "gone", ...told })).toEqual([]);
  const arrived = image(0, 5);
  pendingWrites.add(arrived, settling().settled);
  const another = { ...image(0, 5), info: { ...arrived.info, key: toKey("b.jpg") } };
  pendingWrites.add(another, settling().settled);
  expect([arrived.fate, another.fate]).toEqual([fate, "wanted"]);
});
