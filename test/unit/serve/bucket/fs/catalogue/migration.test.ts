// A catalogue of an earlier version is migrated when it is opened, and loses nothing.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../../../src/core/log.ts";
import { etagOf, toKey } from "../../../../../../src/core/object.ts";
import { openSqlite } from "../../../../../../src/core/sqlite.ts";
import type { WholeBody } from "../../../../../../src/serve/body/spool/spool.ts";
import type { BucketDriver } from "../../../../../../src/serve/bucket/contract/driver.ts";
import { createFsStore, type FsStore } from "../../../../../../src/serve/bucket/fs/fs-store.ts";
import { infoOf, readAll, wholeBody } from "../../../../../helpers/whole-body.ts";

const ONE = wholeBody(Buffer.from("one"));
const TWO = wholeBody(Buffer.from("the second"));
const OWN = wholeBody(Buffer.from("in a file of its own"));

let dir: string;
let store: FsStore;
let bucket: BucketDriver;

/** A data folder whose catalogue is the dump of that version. */
function lay(version: number): void {
  const dump = fileURLToPath(new URL(`../../../../../fixtures/catalogue-${version}.sql`, import.meta.url));
  const catalogue = openSqlite(join(dir, "catalogue.db"));
  catalogue.exec(readFileSync(dump, "utf8"));
  catalogue.close();
}

/** A blob in a file of its own. */
function layFile({ hashes: { sha256 }, content }: WholeBody): void {
  const folder = join(dir, "blobs", sha256.slice(0, 2), sha256.slice(2, 4));
  mkdirSync(folder, { recursive: true });
  if (content.kind === "buffer") writeFileSync(join(folder, sha256), content.buffer);
}

async function open(graceMs = 1_000): Promise<void> {
  store = await createFsStore({ dir, now: () => 10_000, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0, graceMs });
  bucket = store.bucket("10001234/photos");
}

const textOf = async (key: string, size: number) => {
  const entry = await bucket.lookup(toKey(key));
  if (entry.state !== "object") throw new Error(`${key} is ${entry.state}`);
  return (await readAll(await bucket.open(entry.info), size)).toString();
};

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-migration-"));
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

async function openVersion2(): Promise<void> {
  lay(2);
  layFile(ONE);
  layFile(TWO);
  await open();
}

test("version 2 keeps its objects, tombstones and stale flags, without freshness data", async () => {
  await openVersion2();
  const old = (key: string, body = ONE, via?: "upload") => {
    const info = infoOf(key, body, via);
    return { ...info, provenance: { ...info.provenance, validated: undefined } };
  };
  const is = (key: string) => bucket.lookup(toKey(key));
  expect(await is("mirrored.jpg")).toEqual({ state: "object", info: old("mirrored.jpg"), epoch: 0, isStale: false });
  expect(await is("purged.jpg")).toEqual({ state: "object", info: old("purged.jpg"), epoch: 1, isStale: true });
  const uploaded = { ...old("uploaded.jpg", TWO, "upload"), isSuspect: true };
  expect(await is("uploaded.jpg")).toEqual({ state: "object", info: uploaded, epoch: 1, isStale: false });
  expect(await is("deleted.jpg")).toEqual({ state: "tombstone", deletedAt: 3, reason: "by hand", epoch: 1 });
  expect((await readAll(await bucket.open(uploaded), TWO.size)).toString()).toBe("the second");
  expect(await bucket.usage()).toEqual({ objects: 3, bytes: 16 });
});

test("version 2 gets a count of the keys with a query", async () => {
  lay(2);
  const catalogue = openSqlite(join(dir, "catalogue.db"));
  catalogue.exec("UPDATE entries SET key = key || '?w=1' WHERE key IN ('mirrored.jpg', 'deleted.jpg')");
  catalogue.close();
  await open();
  expect([await bucket.queryKeys(), await bucket.usage()]).toEqual([1, { objects: 3, bytes: 16 }]);
});

test("version 2 then stores the data of version 3: validations and tombstones that expire", async () => {
  await openVersion2();
  const validated = { at: 8_000, life: { cacheControl: "max-age=1" } };
  const renewal = { etag: etagOf(ONE.hashes), epoch: 1, originEtag: '"2"', originLastModified: undefined, validated };
  expect(await bucket.renew(toKey("purged.jpg"), renewal)).toBe(true);
  await bucket.delete(toKey("uploaded.jpg"), { deletedAt: 1, reason: "", expiresAt: 8_000 });
  await store.close();
  await open(0);
  expect(await bucket.lookup(toKey("purged.jpg"))).toMatchObject({
    isStale: false,
    info: { provenance: { validated } },
  });
  expect(await bucket.lookup(toKey("uploaded.jpg"))).toEqual({ state: "absent", epoch: 2 });
  expect(await store.forgetTombstones()).toBe(1);
  expect(await bucket.lookup(toKey("uploaded.jpg"))).toEqual({ state: "absent", epoch: 0 });
  expect(await bucket.lookup(toKey("deleted.jpg"))).toMatchObject({ state: "tombstone" });
});

test("version 4 keeps its packs, spent tokens and freshness data, and then stores the data of version 5", async () => {
  lay(4);
  layFile(OWN);
  mkdirSync(join(dir, "packs"));
  const pack = Buffer.alloc(8_202);
  for (const [at, text] of [
    [0, "one"],
    [4_096, "dead"],
    [8_192, "the second"],
  ] as const)
    pack.write(text, at);
  writeFileSync(join(dir, "packs", "1"), pack);
  await open(0);

  // No digest was computed when it was stored.
  const bare = infoOf("mirrored.jpg", {
    ...ONE,
    hashes: { sha256: ONE.hashes.sha256, sha1: undefined, md5: undefined },
  });
  expect(await bucket.lookup(bare.key)).toEqual({ state: "object", info: bare, epoch: 1, isStale: true });
  const uploaded = infoOf("uploaded.jpg", TWO, "upload");
  expect(await bucket.lookup(uploaded.key)).toEqual({ state: "object", info: uploaded, epoch: 1, isStale: false });
  expect(await bucket.lookup(toKey("own.jpg"))).toMatchObject({ info: infoOf("own.jpg", OWN), epoch: 0 });
  expect(await bucket.lookup(toKey("dead.jpg"))).toMatchObject({ state: "tombstone", reason: "by hand", epoch: 1 });
  const texts = [await textOf("mirrored.jpg", 3), await textOf("uploaded.jpg", 10), await textOf("own.jpg", 20)];
  expect(texts).toEqual(["one", "the second", "in a file of its own"]);
  expect(await bucket.usage()).toEqual({ objects: 3, bytes: 33 });
  const mac = Buffer.from("0102030405060708090a0b0c0d0e0f1011121314", "hex");
  expect(await store.once.spend({ secretId: "AKID", mac, issuedAt: 1_000 }, 1_000)).toBe(false);

  expect(await bucket.findBySha1(TWO.hashes.sha1 ?? "")).toMatchObject({ key: "uploaded.jpg" });
  expect(await bucket.findBySha1(ONE.hashes.sha1 ?? "")).toBeUndefined();
  expect(await bucket.put(infoOf("again.jpg", ONE, "upload"), ONE, { when: "vacant" })).toBe("stored");
  expect(await bucket.findBySha1(ONE.hashes.sha1 ?? "")).toBeDefined();
  // The dead blobs of the pack are removed, and no other.
  expect(await store.sweep()).toEqual({ blobs: 1, bytes: 4 });
  expect([await textOf("again.jpg", 3), await textOf("uploaded.jpg", 10)]).toEqual(["one", "the second"]);
});
