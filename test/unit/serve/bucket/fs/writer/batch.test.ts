import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toKey } from "../../../../../../src/core/object.ts";
import { firstValue, type Sqlite } from "../../../../../../src/core/sqlite.ts";
import { blobPath, packPath } from "../../../../../../src/serve/bucket/fs/blob-places.ts";
import { openCatalogue } from "../../../../../../src/serve/bucket/fs/catalogue/schema.ts";
import type { Operation } from "../../../../../../src/serve/bucket/fs/catalogue/write-operations.ts";
import { openBlobFolder } from "../../../../../../src/serve/bucket/fs/packs/blob-folder.ts";
import { openPackFolder } from "../../../../../../src/serve/bucket/fs/packs/pack-folder.ts";
import { prepareBatches, type RunBatch } from "../../../../../../src/serve/bucket/fs/writer/batch.ts";
import { infoOf, randomBytes, wholeBody } from "../../../../../helpers/whole-body.ts";

const BUCKET = "10001234/photos";
let dir: string;
let database: Sqlite;
let run: RunBatch;
const shared = new SharedArrayBuffer(65_536);

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-batch-"));
  for (const name of ["blobs", "packs", "temp", "quarantine"]) mkdirSync(join(dir, name));
  database = openCatalogue(join(dir, "catalogue.db"));
  run = prepareBatches({
    database,
    blobs: openBlobFolder(dir),
    openPacks: (newestKnown) => openPackFolder(dir, newestKnown),
    shared,
  });
});

afterEach(async () => {
  database.close();
  await rm(dir, { recursive: true });
});

/** A put whose source lies in temp/ under the key's name. */
function putOf(key: string, bytes: Buffer): Operation {
  const body = wholeBody(bytes);
  const path = join(dir, "temp", key);
  writeFileSync(path, bytes);
  const request = {
    bucket: BUCKET,
    info: infoOf(key, body),
    blockSums: body.blockSums.toString("latin1"),
    condition: { when: "always" },
    source: path,
  } as const;
  return { name: "put", request };
}

const answers = (operations: Operation[]) =>
  run({ now: 1_000, operations }).map((outcome) => (outcome.ok ? outcome.answer : outcome.code));
const rows = (table: string) => database.prepare<[], { n: number }>(`SELECT count(*) AS n FROM ${table}`).get()?.n;
const pathOf = (bytes: Buffer) => blobPath(dir, wholeBody(bytes).hashes.sha256);

test("runBatch() returns the outcomes in order, also of operations that remove files", () => {
  const operations: Operation[] = [
    putOf("a", Buffer.from("a")),
    { name: "sweep", request: { unusedBefore: 1_000, limit: 9 } },
    { name: "delete", request: { bucket: BUCKET, key: toKey("a"), deletedAt: 1, reason: "x" } },
    { name: "undelete", request: { bucket: BUCKET, key: toKey("b") } },
  ];
  expect(answers(operations)).toEqual(["stored", [], true, false]);
});

test("runBatch() fails a single operation alone if only that one is impossible", () => {
  const lost = putOf("lost", Buffer.from("lost"));
  rmSync(join(dir, "temp", "lost"));
  // The catalogue refuses a key that is not text.
  const broken = {
    name: "delete",
    request: { bucket: BUCKET, key: null, deletedAt: 1, reason: "x" },
  } as unknown as Operation;
  expect(answers([putOf("a", Buffer.from("a")), lost, broken, putOf("b", Buffer.from("b"))])).toEqual([
    "stored",
    "store_failed",
    "store_failed",
    "stored",
  ]);
  expect([rows("entries"), rows("blobs")]).toEqual([2, 2]);
});

test("runBatch() stores nothing and returns every body if the catalogue is full; a retry stores all", () => {
  const bodies = Array.from({ length: 200 }, () => randomBytes(50));
  expect(answers([putOf("first", Buffer.from("first"))])).toEqual(["stored"]);
  const pages = Number(firstValue(database, "PRAGMA page_count"));
  database.exec(`PRAGMA max_page_count = ${pages + 2}`);
  const operations = bodies.map((bytes, index) => putOf(`${index}`, bytes));
  expect(new Set(answers(operations))).toEqual(new Set(["store_full"]));
  expect([rows("entries"), rows("blobs"), database.inTransaction]).toEqual([1, 1, false]);
  bodies.forEach((bytes, index) => {
    expect(existsSync(pathOf(bytes))).toBe(false);
    expect(readFileSync(join(dir, "temp", `${index}`)).equals(bytes)).toBe(true);
  });
  database.exec("PRAGMA max_page_count = 1000000");
  expect(new Set(answers(operations))).toEqual(new Set(["stored"]));
  expect(rows("blobs")).toBe(201);
});

test("runBatch() places equal bytes of one batch once and removes the other source", () => {
  const bytes = Buffer.from("equal");
  expect(answers([putOf("a", bytes), putOf("b", bytes), putOf("c", bytes)])).toEqual(["stored", "stored", "stored"]);
  expect([rows("entries"), rows("blobs"), existsSync(pathOf(bytes))]).toEqual([3, 1, true]);
  for (const key of ["a", "b", "c"]) expect(existsSync(join(dir, "temp", key))).toBe(false);
});

test("runBatch() runs a sweep among puts in order, so that a put finds its blob removed or in use", () => {
  const bytes = Buffer.from("bytes");
  answers([putOf("a", bytes)]);
  answers([{ name: "delete", request: { bucket: BUCKET, key: toKey("a"), deletedAt: 1, reason: "x" } }]);
  const sweep: Operation = { name: "sweep", request: { unusedBefore: 2_000, limit: 9 } };
  const [swept, put] = answers([sweep, putOf("b", bytes)]);
  expect(put).toBe("stored");
  expect(swept).toHaveLength(1);
  expect(existsSync(pathOf(bytes))).toBe(true);
  expect(answers([putOf("c", bytes), sweep])).toEqual(["stored", []]);
  expect(existsSync(pathOf(bytes))).toBe(true);
});

test("runBatch() stores nothing of a refused put, and leaves its file to its holder", () => {
  const bytes = Buffer.from("refused");
  answers([putOf("a", Buffer.from("a"))]);
  const { name, request } = putOf("a", bytes) as Extract<Operation, { name: "put" }>;
  expect(answers([{ name, request: { ...request, condition: { when: "absent" } } }])).toEqual(["exists"]);
  expect([rows("blobs"), existsSync(pathOf(bytes)), existsSync(request.source!)]).toEqual([1, false, true]);
});

/** The disk takes no bytes for packs, once. */
function refuseBytesOnce(): void {
  const failures = [Object.assign(new Error("no space"), { code: "ENOSPC" })];
  const openPacks = (newestKnown: number) => {
    const packs = openPackFolder(dir, newestKnown);
    return {
      ...packs,
      flush() {
        const error = failures.pop();
        if (error !== undefined) throw error;
        packs.flush();
      },
    };
  };
  run = prepareBatches({ database, blobs: openBlobFolder(dir), openPacks, shared });
}

/** A put of bytes that go into a pack. */
function packedPut(): Operation {
  const packed = randomBytes(100);
  Buffer.from(shared).set(packed);
  const { name, request } = putOf("a", packed) as Extract<Operation, { name: "put" }>;
  return { name, request: { ...request, source: undefined }, body: { at: 0, size: 100 } };
}

test("runBatch() fails only operations with bytes if the disk takes none, and a retry stores them", () => {
  refuseBytesOnce();
  const inFile = putOf("b", Buffer.from("in a file"));
  const put = packedPut();
  const remove: Operation = { name: "delete", request: { bucket: BUCKET, key: toKey("c"), deletedAt: 1, reason: "x" } };
  expect(answers([put, inFile, remove])).toEqual(["store_full", "store_full", false]);
  expect([rows("entries"), rows("blobs")]).toEqual([1, 0]);
  expect(answers([put, inFile])).toEqual(["stored", "stored"]);
});

test("runBatch() quarantines a damaged file also if the disk takes no bytes of the same batch", () => {
  const bytes = Buffer.from("damaged later");
  answers([putOf("b", bytes)]);
  const { sha256 } = wholeBody(bytes).hashes;
  const { ino: inode } = statSync(pathOf(bytes));
  refuseBytesOnce();
  const request = { sha256, place: undefined, inode, cacheBucketPrefixes: [] };
  const [entries, refused] = answers([{ name: "quarantine", request }, packedPut()]);
  expect([entries, refused]).toEqual([[expect.objectContaining({ key: "b" })], "store_full"]);
  expect([existsSync(pathOf(bytes)), readdirSync(join(dir, "quarantine")).length]).toEqual([false, 1]);
});

test.each(["a path", `${"a".repeat(64)}\0/../../outside`, "A".repeat(64), ""])(
  "no operation touches a file for a row with the hash %j",
  (given) => {
    const outside = join(dir, "mine");
    writeFileSync(outside, "mine");
    // blobs/.. and // before it lead to the folder above.
    const hash = given === "a path" ? `..//${basename(dir)}/mine` : given;
    expect(() => blobPath(dir, hash)).toThrow("wanted 64 hex digits");
    answers([putOf("a", Buffer.from("a")), putOf("b", randomBytes(300_000))]);
    database.prepare("UPDATE blobs SET sha256 = ?, refs = 0, unused_since = 1 WHERE id = 1").run(hash);
    const quarantined = { sha256: hash, place: undefined, inode: statSync(outside).ino, cacheBucketPrefixes: [] };
    const operations: Operation[] = [
      { name: "quarantine", request: quarantined },
      { name: "removeOrphans", request: { sha256s: [hash], packs: [], changedBefore: Date.now() + 9_000 } },
    ];
    expect(answers(operations)).toEqual(["store_corrupt", "store_corrupt"]);
    // The row goes, and the sweep of all others goes on.
    expect(answers([{ name: "sweep", request: { unusedBefore: 1_000, limit: 9 } }])).toEqual([
      [{ sha256: hash, size: 1 }],
    ]);
    expect([rows("blobs"), readFileSync(outside, "utf8"), readdirSync(join(dir, "quarantine"))]).toEqual([
      1,
      "mine",
      [],
    ]);
  },
);

test("packPath() refuses what is no whole number", () => {
  for (const pack of ["../../x", 1.5, Number.NaN, null])
    expect(() => packPath(dir, pack as number)).toThrow("a number");
});
