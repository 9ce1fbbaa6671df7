// Damaged uploads, which cannot be fetched again: their state, the events that repair them, and those that do not.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Log } from "../../../../../../src/core/log.ts";
import { toKey } from "../../../../../../src/core/object.ts";
import { createBucket } from "../../../../../../src/serve/bucket/contract/bucket.ts";
import type { PutCondition } from "../../../../../../src/serve/bucket/contract/driver.ts";
import { createFsStore, type FsStore } from "../../../../../../src/serve/bucket/fs/fs-store.ts";
import { blobWith, damageBlob, readSha256 } from "../../../../../helpers/stored-blobs.ts";
import { infoOf, randomBytes, readAll, wholeBody, wholeBodyInFile } from "../../../../../helpers/whole-body.ts";

const GRACE_MS = 60_000;
const VACANT: PutCondition = { when: "vacant" };
const A = toKey("a.jpg");
const PHOTOS = "10001234/photos";

let dir: string;
let store: FsStore;
let clock: number;
let logged: string[];

const log: Log = {
  debug() {},
  info() {},
  warn: (_fields, message) => void logged.push(`warn: ${message}`),
  error: (_fields, message) => void logged.push(`error: ${message}`),
};

const openStore = () =>
  createFsStore({
    dir,
    now: () => clock,
    log,
    minFreeBytes: 0,
    graceMs: GRACE_MS,
    sweepEveryMs: 0,
    cacheBucketPrefixes: ["edge/"],
  });

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-damaged-"));
  clock = Date.now();
  logged = [];
  store = await openStore();
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

const photos = (id = PHOTOS) => store.bucket(id);

let spoolFiles = 0;

/** Stores a body from a spool file in a file of its own, and a small one from memory in a pack. */
const PLACES = [
  { where: "in a file of its own", size: 200_000, inFile: true },
  { where: "in a pack", size: 5_000, inFile: false },
] as const;

async function put(
  key: string,
  bytes: Buffer,
  { condition = VACANT, via = "upload" as "upload" | "mirror", inFile = false, id = PHOTOS } = {},
) {
  spoolFiles += 1;
  const path = join(store.spoolDir, `put-${spoolFiles}.spool`);
  if (inFile) await writeFile(path, bytes);
  const body = inFile ? wholeBodyInFile(bytes, path) : wholeBody(bytes);
  return photos(id).put(infoOf(key, body, via), body, condition);
}

async function get(key: string, id = PHOTOS): Promise<Buffer | undefined> {
  const entry = await photos(id).lookup(toKey(key));
  return entry.state === "object" ? readAll(await photos(id).open(entry.info), entry.info.size) : undefined;
}

/** Stores an upload under `a.jpg`, damages it on the disk, and reads it once. */
async function damagedUpload({ size, inFile }: { size: number; inFile: boolean }): Promise<Buffer> {
  const bytes = randomBytes(size);
  expect(await put("a.jpg", bytes, { inFile })).toBe("stored");
  damageBlob(blobWith(dir, bytes), 100);
  await expect(get("a.jpg")).rejects.toMatchObject({ code: "store_corrupt" });
  return bytes;
}

const isRight = async (key: string, bytes: Buffer) => (await get(key))?.equals(bytes);

describe.each(PLACES)("an upload $where whose bytes are damaged", (place) => {
  test("keeps its key, throws store_corrupt for every reader, and is logged once", async () => {
    await damagedUpload(place);
    for (let round = 0; round < 2; round += 1) {
      expect(await photos().lookup(A)).toMatchObject({ state: "object", epoch: 1, info: { isDamaged: true } });
      await expect(get("a.jpg")).rejects.toMatchObject({ code: "store_corrupt" });
      expect((await photos().list({ prefix: "", after: undefined, limit: 9 })).objects).toMatchObject([
        { key: "a.jpg", isDamaged: true },
      ]);
      expect([store.damaged(), await photos().usage()]).toEqual([1, { objects: 1, bytes: place.size }]);
      await store.close();
      store = await openStore();
    }
    expect(logged.map((line) => line.split(":")[0])).toEqual(["error"]);
  });

  test("is not replaced by other bytes, mirrored or uploaded", async () => {
    await damagedUpload(place);
    const other = randomBytes(place.size);
    const { inFile } = place;
    expect(await put("a.jpg", other, { inFile, via: "mirror", condition: { when: "absent" } })).toBe("exists");
    expect(await put("a.jpg", other, { inFile })).toBe("exists");
    expect(await photos().purge(A, { hard: true })).toBe(false);
    await expect(get("a.jpg")).rejects.toMatchObject({ code: "store_corrupt" });
  });

  test("is repaired when its client uploads the same bytes again", async () => {
    const bytes = await damagedUpload(place);
    expect(await put("a.jpg", bytes, place)).toBe("stored");
    expect([await isRight("a.jpg", bytes), store.damaged()]).toEqual([true, 0]);
    expect(await photos().lookup(A)).toMatchObject({ info: { provenance: { via: "upload" } } });
    expect((await photos().lookup(A)) as object).not.toMatchObject({ info: { isDamaged: true } });
    expect(readSha256(blobWith(dir, bytes))).toBe(wholeBody(bytes).hashes.sha256);
  });

  test("is repaired when equal bytes are stored under another key, in any way", async () => {
    const bytes = await damagedUpload(place);
    expect(await put("b.jpg", bytes, { ...place, via: "mirror", condition: { when: "absent" } })).toBe("stored");
    expect([await isRight("a.jpg", bytes), await isRight("b.jpg", bytes), store.damaged()]).toEqual([true, true, 0]);
  });

  test("is repaired, and stays an upload, when a mirror's equal bytes are refused", async () => {
    const bytes = await damagedUpload(place);
    expect(await put("a.jpg", bytes, { ...place, via: "mirror", condition: { when: "absent" } })).toBe("exists");
    expect([await isRight("a.jpg", bytes), store.damaged()]).toEqual([true, 0]);
    expect(await photos().lookup(A)).toMatchObject({ info: { provenance: { via: "upload" } } });
  });

  test("can be deleted and uploaded again, before and after the sweep", async () => {
    const bytes = await damagedUpload(place);
    for (const isSwept of [false, true]) {
      expect(await photos().delete(A, { deletedAt: clock, reason: "x" })).toBe(true);
      expect([store.damaged(), await photos().usage()]).toEqual([0, { objects: 0, bytes: 0 }]);
      clock += GRACE_MS + 1;
      if (isSwept) expect(await store.sweep()).toMatchObject({ blobs: 1 });
      expect(await put("a.jpg", bytes, place)).toBe("stored");
      expect(await isRight("a.jpg", bytes)).toBe(true);
    }
  });

  test("makes mirrored objects and copies with its bytes absent, and is repaired when those are stored again", async () => {
    const bytes = randomBytes(place.size);
    await put("a.jpg", bytes, place);
    const mirrored = { ...place, via: "mirror", condition: { when: "absent" } } as const;
    await put("b.jpg", bytes, mirrored);
    await put("c.jpg", bytes, { ...place, id: "edge/x" });
    damageBlob(blobWith(dir, bytes), 100);
    await expect(get("b.jpg")).rejects.toMatchObject({ code: "store_corrupt" });
    expect(await photos().lookup(toKey("b.jpg"))).toEqual({ state: "absent", epoch: 0 });
    expect(await photos("edge/x").lookup(toKey("c.jpg"))).toEqual({ state: "absent", epoch: 1 });
    expect(store.damaged()).toBe(1);
    expect(await put("b.jpg", bytes, mirrored)).toBe("stored");
    expect([await isRight("a.jpg", bytes), await isRight("b.jpg", bytes), store.damaged()]).toEqual([true, true, 0]);
  });

  test("cannot be copied", async () => {
    await damagedUpload(place);
    const bucket = createBucket({ driver: photos(), now: () => clock, maxObjectBytes: 1_000_000 });
    await expect(bucket.copy(A, toKey("b.jpg"), VACANT)).rejects.toMatchObject({ code: "store_corrupt" });
    expect(await bucket.lookup(toKey("b.jpg"))).toMatchObject({ state: "absent" });
  });
});

test("a damaged object stays when its pack is compacted, and its neighbours are unharmed", async () => {
  const bytes = await damagedUpload({ size: 5_000, inFile: false });
  const neighbour = randomBytes(5_000);
  await put("n.jpg", neighbour);
  await store.sweep();
  expect(await isRight("n.jpg", neighbour)).toBe(true);
  await expect(get("a.jpg")).rejects.toMatchObject({ code: "store_corrupt" });
  expect(await put("a.jpg", bytes)).toBe("stored");
  expect(await isRight("a.jpg", bytes)).toBe(true);
});
