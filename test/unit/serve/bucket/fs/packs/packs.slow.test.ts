import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Log } from "../../../../../../src/core/log.ts";
import { toKey } from "../../../../../../src/core/object.ts";
import type { PutCondition } from "../../../../../../src/serve/bucket/contract/driver.ts";
import { blobPath, packPath } from "../../../../../../src/serve/bucket/fs/blob-places.ts";
import { createFsStore, type FsStore } from "../../../../../../src/serve/bucket/fs/fs-store.ts";
import { openPackFolder } from "../../../../../../src/serve/bucket/fs/packs/pack-folder.ts";
import { catalogueRows } from "../../../../../helpers/catalogue.ts";
import { eventually } from "../../../../../helpers/program.ts";
import { infoOf, randomBytes, readAll, wholeBody, wholeBodyInFile } from "../../../../../helpers/whole-body.ts";

const PAGE = 4_096;
const GRACE_MS = 60_000;
const ALWAYS: PutCondition = { when: "always" };

let dir: string;
let store: FsStore;
let clock: number;
let warnings: string[];

const log: Log = { debug() {}, info() {}, warn: (_, text) => void warnings.push(text), error() {} };

const openStore = () =>
  createFsStore({ dir, now: () => clock, log, minFreeBytes: 0, graceMs: GRACE_MS, sweepEveryMs: 0 });

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-packs-"));
  clock = Date.now();
  warnings = [];
  store = await openStore();
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

const photos = () => store.bucket("10001234/photos");

async function put(key: string, bytes: Buffer, condition = ALWAYS) {
  const body = wholeBody(bytes);
  return photos().put(infoOf(key, body), body, condition);
}

async function get(key: string): Promise<Buffer | undefined> {
  const entry = await photos().lookup(toKey(key));
  return entry.state === "object" ? readAll(await photos().open(entry.info), entry.info.size) : undefined;
}

async function remove(key: string): Promise<void> {
  await photos().delete(toKey(key), { deletedAt: clock, reason: "x" });
}

async function reopen(): Promise<void> {
  await store.close();
  store = await openStore();
}

const packs = () => readdirSync(join(dir, "packs")).sort();
/** The pack files that this process has open. */
function openPacks(): string[] {
  const paths = readdirSync("/proc/self/fd").map((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      return ""; // closed in between
    }
  });
  return paths.filter((path) => path.startsWith(join(dir, "packs")));
}

const blobFiles = () => readdirSync(join(dir, "blobs"), { recursive: true });

/** Reads the place of the bytes directly from the catalogue. */
function placeOf(bytes: Buffer): { pack: number | null; at: number | null } {
  const [row] = catalogueRows(
    dir,
    "SELECT pack, pack_at AS at FROM blobs WHERE sha256 = ?",
    wholeBody(bytes).hashes.sha256,
  );
  return row as { pack: number | null; at: number | null };
}

const blobUsage = () => catalogueRows(dir, "SELECT blobs, bytes FROM totals")[0];

/** Makes a pack look full, so that the next run begins another. */
function pretendFull(pack: number): void {
  truncateSync(packPath(dir, pack), 67_108_864);
}

describe("a small body", () => {
  test("is stored in a pack with others, and is found after a restart", async () => {
    const bodies = Array.from({ length: 30 }, (_, index) => randomBytes(1 + index * 1_000));
    await Promise.all(bodies.map((bytes, index) => put(`${index}`, bytes)));
    expect([packs(), blobFiles()]).toEqual([["1"], []]);
    await reopen();
    for (const [index, bytes] of bodies.entries()) expect((await get(`${index}`))?.equals(bytes)).toBe(true);
    expect(blobUsage()).toMatchObject({ blobs: 30 });
  });

  test("is not written if its put is refused", async () => {
    await put("a", randomBytes(100));
    const { size } = statSync(packPath(dir, 1));
    expect(await put("a", randomBytes(100), { when: "absent" })).toBe("exists");
    expect([statSync(packPath(dir, 1)).size, blobUsage()]).toEqual([size, { blobs: 1, bytes: 100 }]);
  });

  test("is written once for equal bytes, in one batch, later, or with a file of its own", async () => {
    const bytes = randomBytes(5_000);
    await Promise.all([put("a", bytes), put("b", bytes), put("c", bytes)]);
    await put("d", bytes);
    const path = join(store.spoolDir, "1.spool");
    await writeFile(path, bytes);
    const body = wholeBodyInFile(bytes, path);
    expect(await photos().put(infoOf("e", body), body, ALWAYS)).toBe("stored");
    expect([existsSync(path), blobFiles(), statSync(packPath(dir, 1)).size]).toEqual([false, [], 5_000]);
  });

  test("is stored in a pack up to 256 KiB, and in a file above", async () => {
    const [small, large] = [randomBytes(262_144), randomBytes(262_145)];
    await put("small", small);
    await put("large", large);
    expect(statSync(packPath(dir, 1)).size).toBe(262_144);
    expect(existsSync(blobPath(dir, wholeBody(large).hashes.sha256))).toBe(true);
    for (const [key, bytes] of [
      ["small", small],
      ["large", large],
    ] as const) {
      expect((await get(key))?.equals(bytes)).toBe(true);
    }
  });

  test("is stored with a hundred others that together exceed the shared memory", async () => {
    const bodies = Array.from({ length: 100 }, () => randomBytes(200_000));
    const results = await Promise.all(bodies.map((bytes, index) => put(`${index}`, bytes)));
    expect(new Set(results)).toEqual(new Set(["stored"]));
    for (const [index, bytes] of bodies.entries()) expect((await get(`${index}`))?.equals(bytes)).toBe(true);
  });

  test("is stored in a new place if the pack of its known blob is missing, and repairs its other keys", async () => {
    const bytes = randomBytes(100);
    await put("a", bytes);
    await reopen();
    rmSync(packPath(dir, 1));
    expect(await put("b", bytes)).toBe("stored");
    expect(placeOf(bytes)).toEqual({ pack: 2, at: 0 });
    expect((await get("a"))?.equals(bytes)).toBe(true);
  });
});

describe("bytes that a crash left at the end of a pack", () => {
  test("are never served, and the next bytes begin behind them on a new page", async () => {
    const [before, after] = [randomBytes(100), randomBytes(100)];
    await put("a", before);
    await store.close();
    writeFileSync(packPath(dir, 1), randomBytes(7_000), { flag: "a" });
    store = await openStore();
    await put("b", after);
    expect(placeOf(after)).toEqual({ pack: 1, at: 2 * PAGE });
    expect((await get("a"))?.equals(before)).toBe(true);
    expect((await get("b"))?.equals(after)).toBe(true);
  });
});

describe("sweep()", () => {
  /** Stores ten bodies in pack 1, which is full then. */
  async function fillPack(): Promise<Buffer[]> {
    const bodies = Array.from({ length: 10 }, () => randomBytes(10_000));
    for (const [index, bytes] of bodies.entries()) await put(`${index}`, bytes);
    await store.close();
    pretendFull(1);
    store = await openStore();
    await put("next", randomBytes(10));
    expect(packs()).toEqual(["1", "2"]);
    return bodies;
  }

  async function sweepAfterDeleting(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) await remove(`${index}`);
    clock += GRACE_MS + 1;
    expect(await store.sweep()).toEqual({ blobs: count, bytes: count * 10_000 });
  }

  test("moves the live blobs out of a pack with more than a third dead, and removes it", async () => {
    const bodies = await fillPack();
    // A reader that was opened before keeps its bytes.
    const reader = await photos().open(infoOf("9", wholeBody(bodies[9]!)));
    await sweepAfterDeleting(4);
    expect(packs()).toEqual(["2"]);
    for (let index = 4; index < 10; index += 1) expect((await get(`${index}`))?.equals(bodies[index]!)).toBe(true);
    expect((await readAll(reader, 10_000)).equals(bodies[9]!)).toBe(true);
    await reopen();
    for (let index = 4; index < 10; index += 1) expect((await get(`${index}`))?.equals(bodies[index]!)).toBe(true);
  });

  test("keeps a pack with a third dead, and the newest in any case", async () => {
    await fillPack();
    await remove("next");
    await sweepAfterDeleting(0).catch(() => undefined);
    await sweepAfterDeleting(3);
    expect(packs()).toEqual(["1", "2"]);
  });

  test("removes a pack without live blobs", async () => {
    await fillPack();
    await sweepAfterDeleting(10);
    expect(packs()).toEqual(["2"]);
    expect(blobUsage()).toEqual({ blobs: 1, bytes: 10 });
  });

  test.runIf(process.platform === "linux")("holds no removed pack open, which would keep its room", async () => {
    const bodies = await fillPack();
    for (let index = 0; index < 10; index += 1) expect((await get(`${index}`))?.equals(bodies[index]!)).toBe(true);
    expect(openPacks()).toContain(packPath(dir, 1));
    await sweepAfterDeleting(4);
    expect(packs()).toEqual(["2"]);
    await eventually(() => !openPacks().some((path) => path.includes("(deleted)")), "the removed pack is closed");
  });

  test("moves damaged bytes as they are, and logs a pack that cannot be read", async () => {
    const bodies = await fillPack();
    const { at } = placeOf(bodies[5]!);
    flip(packPath(dir, 1), at! + 9);
    await sweepAfterDeleting(4);
    await expect(get("5")).rejects.toMatchObject({ code: "store_corrupt" });
    expect((await get("6"))?.equals(bodies[6]!)).toBe(true);
    expect(warnings.filter((text) => text.includes("damaged"))).toHaveLength(1);
  });

  test("continues if a pack is missing", async () => {
    await fillPack();
    rmSync(packPath(dir, 1));
    await sweepAfterDeleting(4);
    expect(warnings).toContain("cannot compact a pack; will retry");
  });
});

describe("scanOrphans()", () => {
  test("removes old packs without a row, never the newest", async () => {
    await put("a", randomBytes(10));
    await store.close();
    for (const name of ["7", "8", "note"]) writeFileSync(join(dir, "packs", name), "x");
    store = await openStore();
    expect(await store.scanOrphans()).toBe(0);
    clock += GRACE_MS + 1_000;
    expect(await store.scanOrphans()).toBe(1);
    expect(packs()).toEqual(["1", "8", "note"]);
  });
});

describe("a damaged blob in a pack", () => {
  test.each([
    ["one wrong bit", (path: string, at: number) => flip(path, at + 50)],
    ["a pack that ends before the blob", (path: string, at: number) => truncateSync(path, at)],
    ["a pack that ends inside the blob", (path: string, at: number) => truncateSync(path, at + 60)],
    ["no pack", (path: string) => rmSync(path)],
  ])("%s: is never served, its keys become absent, its neighbours stay", async (what, damage) => {
    const [neighbour, bytes] = [randomBytes(100), randomBytes(100)];
    await put("neighbour", neighbour);
    await put("a", bytes);
    await photos().copy(toKey("a"), infoOf("b", wholeBody(bytes)), ALWAYS);
    const { pack, at } = placeOf(bytes);
    await reopen();
    damage(packPath(dir, pack!), at!);
    await expect(get("a")).rejects.toThrow();
    for (const key of ["a", "b"]) expect(await photos().lookup(toKey(key))).toMatchObject({ state: "absent" });
    expect(await put("a", bytes, { when: "absent" })).toBe("stored");
    expect((await get("a"))?.equals(bytes)).toBe(true);
    if (what !== "no pack") expect((await get("neighbour"))?.equals(neighbour)).toBe(true);
  });

  test("is moved to quarantine", async () => {
    const bytes = randomBytes(100);
    await put("a", bytes);
    flip(packPath(dir, 1), 5);
    await expect(get("a")).rejects.toMatchObject({ code: "store_corrupt" });
    const name = `${wholeBody(bytes).hashes.sha256}.${clock}`;
    expect(
      readFileSync(join(dir, "quarantine", name))
        .subarray(6)
        .equals(bytes.subarray(6)),
    ).toBe(true);
  });

  test("does not affect good bytes that were stored since", async () => {
    const bytes = randomBytes(100);
    await put("a", bytes);
    const info = infoOf("a", wholeBody(bytes));
    const [first, second] = [(await photos().open(info))!, (await photos().open(info))!];
    flip(packPath(dir, 1), 5);
    await expect(first.read(0, 99)).rejects.toMatchObject({ code: "store_corrupt" });
    await put("a", bytes);
    await expect(second.read(0, 99)).rejects.toMatchObject({ code: "store_corrupt" });
    first.close();
    second.close();
    expect((await get("a"))?.equals(bytes)).toBe(true);
  });
});

describe("openPackFolder()", () => {
  test("never gives a known number to a new pack", () => {
    const folder = openPackFolder(dir, 41);
    expect(folder.append(Buffer.from("x"))).toEqual({ pack: 42, at: 0 });
    folder.flush();
    expect(folder.newest).toBe(42);
    folder.close();
  });

  test("begins a new pack at its size, and never splits a batch", () => {
    const folder = openPackFolder(dir, 0, 2 * PAGE);
    const places = ["a", "b", "c", "d"].map((text) => {
      const place = folder.append(Buffer.from(text.repeat(100)));
      folder.flush();
      return place;
    });
    expect(places).toEqual([
      { pack: 1, at: 0 },
      { pack: 1, at: PAGE },
      { pack: 2, at: 0 },
      { pack: 2, at: PAGE },
    ]);
    for (const [index, text] of ["a", "b", "c", "d"].entries()) {
      expect(folder.read(places[index]!, 100).toString()).toBe(text.repeat(100));
    }
    folder.close();
  });

  test("flush() writes adjacent and other bodies, each to its place", () => {
    const folder = openPackFolder(dir, 0);
    const memory = Buffer.from("abcdef");
    const pieces = [memory.subarray(0, 2), memory.subarray(2, 3), memory.subarray(4, 6), Buffer.from("zz")];
    const places = pieces.map((piece) => folder.append(piece));
    folder.flush();
    expect(places.map((place, index) => folder.read(place, pieces[index]!.length).toString())).toEqual([
      "ab",
      "c",
      "ef",
      "zz",
    ]);
    folder.close();
  });
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
}
