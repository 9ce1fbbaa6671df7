import { expect, test } from "vitest";
import { type Key, toKey } from "../../../../../src/core/object.ts";
import { createBucket, describeObject, uploadedAt } from "../../../../../src/serve/bucket/contract/bucket.ts";
import { createMemoryStore } from "../../../../helpers/memory-store.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const A = toKey("a.jpg");
const BODY = wholeBody(Buffer.from("1234567890"));

function openBucket(maxObjectBytes = 100) {
  return createBucket({ driver: createMemoryStore().bucket("1/b"), now: () => 5_000, maxObjectBytes });
}

const refusals: readonly [what: string, code: string, key: string, size: number, ofOther: boolean][] = [
  ["a key with a dot segment", "url_invalid", "a/../b", 10, false],
  ["an empty key", "url_invalid", "", 10, false],
  ["a body over the limit", "origin_too_large", "a", 101, false],
  ["an empty body", "origin_empty", "a", 0, false],
  ["the description of another body", "internal", "a", 10, true],
];

test.each(refusals)("put() refuses %s with %s", async (_what, code, key, size, ofOther) => {
  const body = wholeBody(Buffer.alloc(size, 1));
  const info = { ...infoOf("x", ofOther ? BODY : body), key: key as Key }; // past toKey() on purpose
  await expect(openBucket().put(info, body, { when: "always" })).rejects.toMatchObject({ code });
});

test("put() takes a body of exactly the limit", async () => {
  expect(await openBucket(10).put(infoOf("a.jpg", BODY), BODY, { when: "absent" })).toBe("stored");
});

test("put() keeps listed headers of bounded length, and nothing else", async () => {
  const bucket = openBucket();
  const headers = { "content-disposition": "x".repeat(1_025), "content-language": "zh", "set-cookie": "id=1" };
  await bucket.put({ ...infoOf("a.jpg", BODY), headers }, BODY, { when: "absent" });
  expect(await bucket.lookup(A)).toMatchObject({ info: { headers: { "content-language": "zh" } } });
  expect(JSON.stringify(await bucket.lookup(A))).not.toMatch(/cookie|xxx/);
});

test("copy() keeps what the bytes tell, and is an upload of its own time, which no origin is asked for", async () => {
  const bucket = openBucket();
  const info = infoOf("a.jpg", BODY);
  await bucket.put(info, BODY, { when: "absent" });
  expect(await bucket.copy(A, toKey("b.jpg"), { when: "absent" })).toBe("stored");
  expect(await bucket.lookup(toKey("b.jpg"))).toMatchObject({
    info: { hashes: info.hashes, image: info.image, headers: info.headers, storedAt: 5_000, modifiedAt: 5_000 },
  });
  expect(await bucket.lookup(toKey("b.jpg"))).toMatchObject({ info: { provenance: uploadedAt(5_000) } });
  expect(await bucket.copy(toKey("none.jpg"), toKey("c.jpg"), { when: "absent" })).toBeUndefined();
});

test.each(["md5", "sha1"] as const)("digest() gives the %s that is known, and finds out what is not", async (name) => {
  const bucket = openBucket();
  const unknown = { ...infoOf("a.jpg", BODY), hashes: { ...BODY.hashes, sha1: undefined, md5: undefined } };
  await bucket.put(unknown, BODY, { when: "absent" });
  expect(await bucket.digest(unknown, name)).toBe(BODY.hashes[name]);
  expect(await bucket.digest({ ...unknown, hashes: { ...BODY.hashes, [name]: "known" } }, name)).toBe("known");
  expect(await bucket.digest(infoOf("none.jpg", BODY), name)).toBe(BODY.hashes[name]);
  expect(await bucket.digest({ ...unknown, key: toKey("none.jpg") }, name)).toBeUndefined();
});

test("delete() records when and why", async () => {
  const bucket = openBucket();
  expect(await bucket.delete(A, "by hand")).toBe(false);
  expect(await bucket.lookup(A)).toEqual({ state: "tombstone", deletedAt: 5_000, reason: "by hand", epoch: 1 });
});

const modified: readonly [sent: string | undefined, modifiedAt: number][] = [
  ["Thu, 01 Jan 1970 00:00:03 GMT", 3_000],
  ["Thu, 01 Jan 1970 00:00:05 GMT", 5_000],
  ["Thu, 01 Jan 1970 00:00:06 GMT", 5_000],
  ["yesterday", 5_000],
  ["", 5_000],
  [undefined, 5_000],
];

test.each([
  "5",
  "foo-3",
  "31 Feb 2020 00:00:00 GMT",
  "2020-01-01",
  "Wed, 01 Jan 2020 00:00:00",
  "Mon, 01 Jan 0001 00:00:00 GMT",
])("describeObject() takes %j for no date", (lastModified) => {
  const { image, provenance } = infoOf("a.jpg", BODY);
  const now = Date.UTC(2026, 0, 1);
  expect(describeObject({ key: A, body: BODY, image, provenance, lastModified, now }).modifiedAt).toBe(now);
});

test.each(modified)("describeObject() makes of Last-Modified %s the time %i", (lastModified, modifiedAt) => {
  const { image, provenance } = infoOf("a.jpg", BODY);
  const info = describeObject({ key: A, body: BODY, image, provenance, lastModified, now: 5_000 });
  expect(info).toMatchObject({ modifiedAt, storedAt: 5_000, size: 10, isSuspect: false, headers: {} });
});
