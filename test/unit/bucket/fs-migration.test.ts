// A catalogue of an earlier version is brought up to date when it is opened, and nothing in it is lost.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BucketDriver } from "../../../src/bucket/driver.ts";
import { createFsStore, type FsStore } from "../../../src/bucket/fs/store.ts";
import { SILENT_LOG } from "../../../src/log.ts";
import { etagOf, toKey } from "../../../src/object.ts";
import { infoOf, readAll, wholeBody } from "../../helpers/whole-body.ts";

const DUMP = fileURLToPath(new URL("../../fixtures/catalogue-2.sql", import.meta.url));
const ONE = wholeBody(Buffer.from("one"));
const TWO = wholeBody(Buffer.from("the second"));

let dir: string;
let store: FsStore;
let bucket: BucketDriver;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-migration-"));
  const catalogue = new Database(join(dir, "catalogue.db"));
  catalogue.exec(readFileSync(DUMP, "utf8"));
  catalogue.close();
  for (const { hashes, content } of [ONE, TWO]) {
    const folder = join(dir, "blobs", hashes.sha256.slice(0, 2), hashes.sha256.slice(2, 4));
    mkdirSync(folder, { recursive: true });
    if (content.kind === "buffer") writeFileSync(join(folder, hashes.sha256), content.buffer);
  }
  store = await createFsStore({ dir, now: () => 9_000, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0 });
  bucket = store.bucket("10001234/photos");
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

test("version 2 keeps its objects, tombstones and marks, with nothing known of their freshness", async () => {
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

test("version 2 takes what came with version 3: validations and tombstones that expire", async () => {
  const validated = { at: 8_000, life: { cacheControl: "max-age=1" } };
  const renewal = { etag: etagOf(ONE.hashes), epoch: 1, originEtag: '"2"', originLastModified: undefined, validated };
  expect(await bucket.renew(toKey("purged.jpg"), renewal)).toBe(true);
  await bucket.delete(toKey("uploaded.jpg"), { deletedAt: 1, reason: "", expiresAt: 8_000 });
  await store.close();
  store = await createFsStore({ dir, now: () => 9_000, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0, graceMs: 0 });
  bucket = store.bucket("10001234/photos");
  expect(await bucket.lookup(toKey("purged.jpg"))).toMatchObject({
    isStale: false,
    info: { provenance: { validated } },
  });
  expect(await bucket.lookup(toKey("uploaded.jpg"))).toEqual({ state: "absent", epoch: 2 });
  expect(await store.forgetTombstones()).toBe(1);
  expect(await bucket.lookup(toKey("uploaded.jpg"))).toEqual({ state: "absent", epoch: 0 });
  expect(await bucket.lookup(toKey("deleted.jpg"))).toMatchObject({ state: "tombstone" });
});
