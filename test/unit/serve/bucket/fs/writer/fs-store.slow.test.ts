import { existsSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { mkdtemp, open, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Log } from "../../../../../../src/core/log.ts";
import { toKey } from "../../../../../../src/core/object.ts";
import { firstValue, openSqlite } from "../../../../../../src/core/sqlite.ts";
import type { PutCondition } from "../../../../../../src/serve/bucket/contract/driver.ts";
import { blobPath } from "../../../../../../src/serve/bucket/fs/blob-places.ts";
import { createFsStore, type FsStore, type FsStoreOptions } from "../../../../../../src/serve/bucket/fs/fs-store.ts";
import { catalogueRows } from "../../../../../helpers/catalogue.ts";
import { infoOf, randomBytes, readAll, wholeBody, wholeBodyInFile } from "../../../../../helpers/whole-body.ts";

const BLOCK = 65_536;
const ALWAYS: PutCondition = { when: "always" };
const A = toKey("a.jpg");
const GRACE_MS = 60_000;

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

function openStore(options: Partial<FsStoreOptions> = {}): Promise<FsStore> {
  return createFsStore({ dir, now: () => clock, log, minFreeBytes: 0, graceMs: GRACE_MS, sweepEveryMs: 0, ...options });
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-store-"));
  clock = Date.now();
  logged = [];
  store = await openStore();
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

const photos = () => store.bucket("10001234/photos");

let spoolFiles = 0;

/** Puts a body from a spool file, so that its blob has a file of its own. packs.slow.test.ts puts small ones. */
async function put(key: string, bytes: Buffer, condition = ALWAYS, via?: "upload" | "mirror") {
  spoolFiles += 1;
  const path = join(store.spoolDir, `put-${spoolFiles}.spool`);
  await writeFile(path, bytes);
  const body = wholeBodyInFile(bytes, path);
  return photos().put(infoOf(key, body, via), body, condition);
}

async function get(key: string): Promise<Buffer | undefined> {
  const entry = await photos().lookup(toKey(key));
  return entry.state === "object" ? readAll(await photos().open(entry.info), entry.info.size) : undefined;
}

const pathOf = (bytes: Buffer) => blobPath(dir, wholeBody(bytes).hashes.sha256);
const blobUsage = () => catalogueRows(dir, "SELECT blobs, bytes FROM totals")[0];
const blobFiles = () => readdirSync(join(dir, "blobs"), { recursive: true }).filter((name) => `${name}`.length > 60);

describe("createFsStore()", () => {
  test("finds all objects after a restart", async () => {
    const bytes = randomBytes(BLOCK + 5);
    await put("a.jpg", bytes);
    await photos().delete(toKey("gone.jpg"), { deletedAt: 3, reason: "x" });
    const before = await photos().lookup(A);
    await store.close();
    store = await openStore();
    expect(await photos().lookup(A)).toEqual(before);
    expect((await get("a.jpg"))?.equals(bytes)).toBe(true);
    expect(await photos().lookup(toKey("gone.jpg"))).toMatchObject({ state: "tombstone", epoch: 1 });
    expect(store.listBuckets()).toEqual(["10001234/photos"]);
  });

  test("refuses a folder that another store has open, and accepts it after that one is closed", async () => {
    await expect(openStore()).rejects.toMatchObject({ code: "data_locked" });
    await put("a.jpg", Buffer.from("still works"));
    await store.close();
    store = await openStore();
    expect((await get("a.jpg"))?.toString()).toBe("still works");
  });

  test("refuses a catalogue of a newer version, and leaves it unchanged", async () => {
    await store.close();
    const catalogue = openSqlite(join(dir, "catalogue.db"));
    const version = firstValue(catalogue, "PRAGMA user_version");
    catalogue.exec("PRAGMA user_version = 99");
    catalogue.close();
    await expect(openStore()).rejects.toMatchObject({
      code: "store_failed",
      message: expect.stringContaining("newer"),
    });
    const untouched = openSqlite(join(dir, "catalogue.db"));
    expect(firstValue(untouched, "PRAGMA user_version")).toBe(99);
    untouched.exec(`PRAGMA user_version = ${version}`);
    untouched.close();
    store = await openStore();
  });

  test.each([
    ["its head", 0],
    ["a page in the middle", 4_096 * 4],
  ])("refuses a catalogue with %s overwritten, and names the operator's next step", async (_where, offset) => {
    for (let index = 0; index < 50; index += 1) await put(`${index}`, Buffer.from(`bytes ${index}`));
    await store.close();
    const file = await open(join(dir, "catalogue.db"), "r+");
    await file.write(Buffer.alloc(4_096, 0xa5), 0, 4_096, offset);
    await file.close();
    const refusal = { code: "store_failed", message: expect.stringMatching(/damaged.*backup/s) };
    await expect(openStore()).rejects.toMatchObject(refusal);
    for (const name of ["catalogue.db", "catalogue.db-wal", "catalogue.db-shm"])
      rmSync(join(dir, name), { force: true });
    store = await openStore();
    expect(await get("1")).toBeUndefined();
    expect(await put("1", Buffer.from("bytes 1"), { when: "absent" })).toBe("stored");
    expect((await get("1"))?.toString()).toBe("bytes 1");
  });

  test("refuses a path that is not a folder", async () => {
    writeFileSync(join(dir, "file"), "");
    await expect(openStore({ dir: join(dir, "file") })).rejects.toMatchObject({ code: "store_failed" });
  });

  test("removes partial files from before a crash", async () => {
    await store.close();
    writeFileSync(join(dir, "temp", "7"), "half a bo");
    store = await openStore();
    expect(readdirSync(join(dir, "temp"))).toEqual([]);
  });

  test("close() finishes accepted operations and refuses later ones", async () => {
    const bytes = Buffer.from("accepted");
    const accepted = photos().delete(A, { deletedAt: 1, reason: "x" });
    await store.close();
    await accepted;
    await expect(put("late.jpg", bytes)).rejects.toMatchObject({ code: "store_failed" });
    store = await openStore();
    expect(await photos().lookup(A)).toMatchObject({ state: "tombstone" });
  });
});

describe("put()", () => {
  test("stores equal bytes once, for any keys and buckets", async () => {
    const bytes = randomBytes(1_000);
    const body = wholeBody(bytes);
    await put("a.jpg", bytes);
    await put("b.jpg", bytes);
    await store.bucket("10001234/other").put(infoOf("a.jpg", body), body, ALWAYS);
    await photos().copy(A, infoOf("c.jpg", body), ALWAYS);
    expect(blobUsage()).toEqual({ blobs: 1, bytes: 1_000 });
    expect(blobFiles()).toHaveLength(1);
    expect(await photos().usage()).toEqual({ objects: 3, bytes: 3_000 });
  });

  test("renames a spool file to the blob without writing its bytes again", async () => {
    const bytes = randomBytes(BLOCK * 2);
    const path = join(store.spoolDir, "1.spool");
    await writeFile(path, bytes);
    const inode = statSync(path).ino;
    const body = wholeBodyInFile(bytes, path);
    await photos().put(infoOf("a.jpg", body), body, ALWAYS);
    expect(statSync(pathOf(bytes)).ino).toBe(inode);
    expect(existsSync(path)).toBe(false);
  });

  test("removes a spool file whose bytes are stored already", async () => {
    const bytes = randomBytes(100);
    await put("a.jpg", bytes);
    const inode = statSync(pathOf(bytes)).ino;
    const path = join(store.spoolDir, "1.spool");
    await writeFile(path, bytes);
    const body = wholeBodyInFile(bytes, path);
    expect(await photos().put(infoOf("b.jpg", body), body, ALWAYS)).toBe("stored");
    expect([existsSync(path), statSync(pathOf(bytes)).ino]).toEqual([false, inode]);
  });

  test("leaves no file behind in the folder for new files", async () => {
    // Too large for a pack, so each is written to a file of its own first.
    const [same, other] = [wholeBody(randomBytes(4 * BLOCK + 1)), wholeBody(randomBytes(4 * BLOCK + 1))];
    const all = Array.from({ length: 20 }, (_, index) => photos().put(infoOf(`${index}`, same), same, ALWAYS));
    expect(new Set(await Promise.all(all))).toEqual(new Set(["stored"]));
    expect(await photos().put(infoOf("0", other), other, { when: "absent" })).toBe("exists");
    expect(readdirSync(join(dir, "temp"))).toEqual([]);
  });

  test("writes the file again if that of a known blob is missing", async () => {
    const bytes = randomBytes(100);
    await put("a.jpg", bytes);
    rmSync(pathOf(bytes));
    expect(await put("b.jpg", bytes)).toBe("stored");
    expect((await get("a.jpg"))?.equals(bytes)).toBe(true);
  });

  test("replaces a file without a row, which a crash may have torn", async () => {
    const bytes = randomBytes(100);
    mkdirSync(join(pathOf(bytes), ".."), { recursive: true });
    writeFileSync(pathOf(bytes), randomBytes(100));
    await put("a.jpg", bytes);
    expect((await get("a.jpg"))?.equals(bytes)).toBe(true);
  });

  test("throws store_failed if the blob cannot be placed; others are stored, and a retry of the body succeeds", async () => {
    const bytes = randomBytes(100);
    const shard = join(dir, "blobs", wholeBody(bytes).hashes.sha256.slice(0, 2));
    writeFileSync(shard, "a file where a folder should be");
    const path = join(store.spoolDir, "1.spool");
    await writeFile(path, bytes);
    const body = wholeBodyInFile(bytes, path);
    const others = ["1", "2", "3"].filter(
      (name) => !wholeBody(Buffer.from(name)).hashes.sha256.startsWith(shard.slice(-2)),
    );
    const [failed, ...stored] = await Promise.allSettled([
      photos().put(infoOf("a.jpg", body), body, ALWAYS),
      ...others.map((name) => put(name, Buffer.from(name))),
    ]);
    expect(failed).toMatchObject({ status: "rejected", reason: { code: "store_failed" } });
    for (const result of stored) expect(result).toMatchObject({ value: "stored" });
    expect(await photos().lookup(A)).toEqual({ state: "absent", epoch: 0 });
    rmSync(shard);
    expect(await photos().put(infoOf("a.jpg", body), body, ALWAYS)).toBe("stored");
    expect((await get("a.jpg"))?.equals(bytes)).toBe(true);
  });

  test("throws store_full for new bytes if too little disk is free, while reads and copies continue", async () => {
    const bytes = randomBytes(100);
    await put("a.jpg", bytes);
    await store.close();
    store = await openStore({ minFreeBytes: Number.MAX_SAFE_INTEGER });
    await expect(put("b.jpg", randomBytes(100))).rejects.toMatchObject({ code: "store_full" });
    await expect(store.probe()).rejects.toMatchObject({ code: "store_full" });
    expect(await put("c.jpg", bytes)).toBe("stored");
    expect((await get("a.jpg"))?.equals(bytes)).toBe(true);
  });
});

describe("open() of a replaced object", () => {
  test.each([BLOCK + 5, 100])("returns it for the grace time (%d bytes)", async (size) => {
    const bytes = randomBytes(size);
    const info = infoOf("a.jpg", wholeBody(bytes), "mirror");
    const open = () => photos().open(info, { mayBeReplaced: true });
    await photos().put(info, wholeBody(bytes), ALWAYS);
    await put("a.jpg", randomBytes(10));
    clock += GRACE_MS - 1;
    await store.sweep();
    expect((await readAll(await open(), size)).equals(bytes)).toBe(true);
    expect(await photos().open(info)).toBeUndefined();
    clock += 2;
    await store.sweep();
    expect(await open()).toBeUndefined();
    expect(logged).toEqual([]);
  });
});

describe("sweep()", () => {
  test("says that the data folder is gone", async () => {
    const away = `${dir}-away`;
    await rename(dir, away);
    try {
      const message = `the data folder "${dir}" is gone: stop the server and restore it`;
      await expect(store.sweep()).rejects.toMatchObject({ code: "store_failed", message });
    } finally {
      await rename(away, dir);
    }
  });

  test("removes a blob only after it was unused for the grace time", async () => {
    const bytes = randomBytes(100);
    await put("a.jpg", bytes);
    await put("b.jpg", bytes);
    await photos().delete(A, { deletedAt: clock, reason: "x" });
    clock += GRACE_MS + 1;
    expect(await store.sweep()).toEqual({ blobs: 0, bytes: 0 });
    await photos().delete(toKey("b.jpg"), { deletedAt: clock, reason: "x" });
    clock += GRACE_MS;
    expect(await store.sweep()).toEqual({ blobs: 0, bytes: 0 });
    clock += 1;
    expect(await store.sweep()).toEqual({ blobs: 1, bytes: 100 });
    expect([blobFiles(), blobUsage()]).toEqual([[], { blobs: 0, bytes: 0 }]);
  });

  test("keeps a blob that is used again", async () => {
    const bytes = randomBytes(100);
    await put("a.jpg", bytes);
    await photos().delete(A, { deletedAt: clock, reason: "x" });
    clock += GRACE_MS + 1;
    await put("a.jpg", bytes);
    expect(await store.sweep()).toEqual({ blobs: 0, bytes: 0 });
    expect((await get("a.jpg"))?.equals(bytes)).toBe(true);
  });

  test("does not remove the bytes of a concurrent put of the same bytes", async () => {
    for (let round = 0; round < 20; round += 1) {
      const bytes = randomBytes(100);
      await put("old.jpg", bytes);
      await photos().delete(toKey("old.jpg"), { deletedAt: clock, reason: "x" });
      clock += GRACE_MS + 1;
      const path = join(store.spoolDir, `${round}.spool`);
      await writeFile(path, bytes);
      const body = wholeBodyInFile(bytes, path);
      const [, result] = await Promise.all([store.sweep(), photos().put(infoOf("new.jpg", body), body, ALWAYS)]);
      expect(result).toBe("stored");
      expect((await get("new.jpg"))?.equals(bytes)).toBe(true);
    }
  });

  test("does not take its bytes from a reader", async () => {
    const bytes = randomBytes(100);
    await put("a.jpg", bytes);
    const reader = await photos().open(infoOf("a.jpg", wholeBody(bytes)));
    await photos().delete(A, { deletedAt: clock, reason: "x" });
    clock += GRACE_MS + 1;
    await store.sweep();
    expect((await readAll(reader, 100)).equals(bytes)).toBe(true);
  });
});

describe("scanOrphans()", () => {
  test("removes old files without a row, and no other", async () => {
    const [kept, orphan] = [randomBytes(100), randomBytes(100)];
    await put("a.jpg", kept);
    mkdirSync(join(pathOf(orphan), ".."), { recursive: true });
    writeFileSync(pathOf(orphan), orphan);
    writeFileSync(join(dir, "blobs", "note.txt"), "not ours");
    expect(await store.scanOrphans()).toBe(0);
    clock += GRACE_MS + 1_000;
    expect(await store.scanOrphans()).toBe(1);
    expect([existsSync(pathOf(orphan)), existsSync(join(dir, "blobs", "note.txt"))]).toEqual([false, true]);
    expect((await get("a.jpg"))?.equals(kept)).toBe(true);
  });
});

describe("a damaged blob", () => {
  const damages: readonly [what: string, damage: (path: string) => Promise<void>][] = [
    ["one wrong bit", (path) => flipBit(path, BLOCK + 10)],
    ["fewer bytes", async (path) => truncateSync(path, BLOCK)],
    ["no bytes", async (path) => truncateSync(path, 0)],
    ["no file", async (path) => rmSync(path)],
  ];

  test.each(damages)(
    "with %s is never served: it is quarantined, and every key of it becomes absent",
    async (_what, damage) => {
      const bytes = randomBytes(BLOCK * 2);
      await put("a.jpg", bytes, { when: "absent" });
      await put("b.jpg", bytes, ALWAYS);
      await damage(pathOf(bytes));
      await expect(get("a.jpg")).rejects.toThrow();
      expect(await photos().lookup(A)).toEqual({ state: "absent", epoch: 0 });
      expect(await photos().lookup(toKey("b.jpg"))).toEqual({ state: "absent", epoch: 1 });
      expect(await photos().usage()).toEqual({ objects: 0, bytes: 0 });
      expect(blobUsage()).toEqual({ blobs: 0, bytes: 0 });
      expect(existsSync(pathOf(bytes))).toBe(false);
      expect(await put("a.jpg", bytes, { when: "absent", epoch: 0 })).toBe("stored");
      expect((await get("a.jpg"))?.equals(bytes)).toBe(true);
    },
  );

  test.each(damages)("with %s is never used for the equal bytes of an upload", async (_what, damage) => {
    const bytes = randomBytes(BLOCK * 8);
    await put("a.jpg", bytes);
    await damage(pathOf(bytes));
    const body = wholeBody(bytes);
    expect(await photos().put(infoOf("b.jpg", body, "upload"), body, { when: "vacant" })).toBe("stored");
    expect((await get("b.jpg"))?.equals(bytes)).toBe(true);
  });

  test("in a pack is never used for the equal bytes of an upload", async () => {
    const body = wholeBody(randomBytes(100));
    const { buffer: bytes } = body.content as { readonly buffer: Buffer };
    await photos().put(infoOf("a.jpg", body), body, ALWAYS);
    await flipBit(join(dir, "packs", "1"), 50);
    expect(await photos().put(infoOf("b.jpg", body, "upload"), body, { when: "vacant" })).toBe("stored");
    expect((await get("b.jpg"))?.equals(bytes)).toBe(true);
  });

  test.each(damages)("with %s that is open already gives store_corrupt or the right bytes", async (_what, damage) => {
    const bytes = randomBytes(BLOCK * 2);
    await put("a.jpg", bytes);
    const reader = (await photos().open(infoOf("a.jpg", wholeBody(bytes))))!;
    await damage(pathOf(bytes));
    const end = await reader.read(BLOCK, BLOCK * 2 - 1).catch((error: unknown) => error);
    reader.close();
    if (Buffer.isBuffer(end)) expect(end.equals(bytes.subarray(BLOCK))).toBe(true);
    else expect(end).toMatchObject({ code: "store_corrupt" });
  });

  test("is quarantined, with a warning if it can be fetched again and an error for an upload", async () => {
    const bytes = randomBytes(100);
    await put("a.jpg", bytes, ALWAYS, "mirror");
    await put("b.jpg", bytes, ALWAYS, "upload");
    await flipBit(pathOf(bytes), 5);
    await expect(get("a.jpg")).rejects.toMatchObject({ code: "store_corrupt" });
    expect(readdirSync(join(dir, "quarantine"))).toEqual([`${wholeBody(bytes).hashes.sha256}.${clock}`]);
    expect(logged.map((line) => line.split(":")[0]).sort()).toEqual(["error", "warn"]);
  });

  test("does not affect a good blob that was stored in its place", async () => {
    const bytes = randomBytes(100);
    await put("a.jpg", bytes);
    const info = infoOf("a.jpg", wholeBody(bytes));
    const first = (await photos().open(info))!;
    const second = (await photos().open(info))!;
    await flipBit(pathOf(bytes), 5);
    await expect(first.read(0, 99)).rejects.toMatchObject({ code: "store_corrupt" });
    await put("a.jpg", bytes);
    await expect(second.read(0, 99)).rejects.toMatchObject({ code: "store_corrupt" });
    first.close();
    second.close();
    expect((await get("a.jpg"))?.equals(bytes)).toBe(true);
  });

  test("is readable in its undamaged blocks", async () => {
    const bytes = randomBytes(BLOCK * 2);
    await put("a.jpg", bytes);
    await flipBit(pathOf(bytes), BLOCK + 10);
    const reader = (await photos().open(infoOf("a.jpg", wholeBody(bytes))))!;
    expect((await reader.read(0, BLOCK - 1)).equals(bytes.subarray(0, BLOCK))).toBe(true);
    reader.close();
  });
});

describe("once", () => {
  test("spends a token exactly once among 50, also after a restart", async () => {
    const seconds = Math.floor(clock / 1_000);
    const token = { secretId: "AKID", mac: randomBytes(20), issuedAt: seconds };
    const results = await Promise.all(Array.from({ length: 50 }, () => store.once.spend(token, seconds)));
    expect(results.filter(Boolean)).toHaveLength(1);
    await store.close();
    store = await openStore();
    expect(await store.once.spend(token, seconds)).toBe(false);
  });
});

async function flipBit(path: string, offset: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, offset);
  await file.close();
}
