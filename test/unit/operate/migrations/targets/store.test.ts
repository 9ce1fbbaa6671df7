import { expect, test } from "vitest";
import { type ObjectInfo, type Provenance, toKey } from "../../../../../src/core/object.ts";
import type { Replacement } from "../../../../../src/operate/migrations/contract.ts";
import { createStoreTarget } from "../../../../../src/operate/migrations/targets/store.ts";
import { createBucket } from "../../../../../src/serve/bucket/contract/bucket.ts";
import { createMemoryStore } from "../../../../helpers/memory-store.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const OLD = wholeBody(Buffer.from("old bytes"));
const NEW = wholeBody(Buffer.from("new bytes!"));
const SIGNAL = new AbortController().signal;
const A = toKey("a.jpg");

function open() {
  const bucket = createBucket({ driver: createMemoryStore().bucket("1/b"), now: () => 5_000, maxObjectBytes: 100 });
  const target = createStoreTarget({ bucket, put: bucket.put });
  const put = (replace: Replacement, more: Partial<ObjectInfo> = {}) =>
    target.put({ info: { ...infoOf("a.jpg", NEW, "migration"), ...more }, body: NEW, replace, signal: SIGNAL });
  return { bucket, target, put };
}

const KINDS: readonly Replacement[] = ["none", "migrated", "newer", "always"];

test.each(KINDS)("put(%s) stores an absent object, and knows it again", async (replace) => {
  const { put, target } = open();
  expect(await put(replace)).toBe("stored");
  expect(await put(replace)).toBe("same");
  const validators = { etag: '"origin"', lastModified: undefined };
  expect(await target.look("a.jpg", SIGNAL)).toMatchObject({ state: "object", size: 10, validators });
});

test("look() has no validators of damaged bytes, so that the source must send them", async () => {
  const { bucket, put } = open();
  await put("none");
  const lookup = async () => {
    const entry = await bucket.lookup(A);
    return entry.state === "object" ? { ...entry, info: { ...entry.info, isDamaged: true } } : entry;
  };
  const damaged = createStoreTarget({ bucket: { lookup, open: bucket.open }, put: bucket.put });
  expect(await damaged.look("a.jpg", SIGNAL)).toMatchObject({ state: "object", validators: undefined });
});

test.each(KINDS)("put(%s) respects a tombstone", async (replace) => {
  const { bucket, put, target } = open();
  await bucket.delete(A, "test");
  expect(await target.look("a.jpg", SIGNAL)).toEqual({ state: "deleted" });
  expect(await put(replace)).toBe("deleted");
});

const OTHERS: readonly (readonly [Provenance["via"], modifiedAt: number, readonly Replacement[]])[] = [
  ["upload", 2_000, ["always"]],
  ["upload", 500, ["newer", "always"]],
  ["mirror", 2_000, ["always"]],
  ["migration", 2_000, ["migrated", "always"]],
  ["migration", 500, ["migrated", "newer", "always"]],
];

test.each(OTHERS)("over other bytes by %s of millisecond %d, only %j replace", async (via, modifiedAt, replacing) => {
  for (const replace of KINDS) {
    const { bucket, put } = open();
    await bucket.put({ ...infoOf("a.jpg", OLD, via), modifiedAt }, OLD, { when: "absent" });
    expect(await put(replace), replace).toBe(replacing.includes(replace) ? "stored" : "differs");
    const body = replacing.includes(replace) ? NEW : OLD;
    expect(await bucket.lookup(A)).toMatchObject({ info: { hashes: body.hashes } });
  }
});

test("an object that changes while it is replaced is not replaced", async () => {
  const { bucket } = open();
  await bucket.put(infoOf("a.jpg", OLD, "upload"), OLD, { when: "absent" });
  const third = wholeBody(Buffer.from("third bytes"));
  const racing = createStoreTarget({
    bucket,
    async put(info, body, condition) {
      await bucket.put(infoOf("a.jpg", third, "upload"), third, { when: "always" });
      return bucket.put(info, body, condition);
    },
  });
  const info = infoOf("a.jpg", NEW, "migration");
  const putting = racing.put({ info, body: NEW, replace: "always", signal: SIGNAL });
  await expect(putting).rejects.toMatchObject({ code: "overloaded" });
  expect(await bucket.lookup(A)).toMatchObject({ info: { hashes: third.hashes } });
});
