// Checks the invariants of a data folder after a crash or fault. It opens, is in an allowed state, and counts
// correctly. Every row has a whole blob, and every file has a row.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { toKey } from "../../../src/core/object.ts";
import { firstValue, openSqlite } from "../../../src/core/sqlite.ts";
import { ownFileNames, readSha256, storedBlobs } from "../../helpers/stored-blobs.ts";
import { readAll } from "../../helpers/whole-body.ts";
import { type OpenStore, openStore } from "./open-store.ts";
import { type Cell, cellOf, type Model, numberOfBytes, usageOf } from "./store-model.ts";

/** The keys that the crash lab uses. */
export const STORE_KEYS = ["a", "b", "c", "d", "e", "f"] as const;

/** Opens and closes the store; fails unless it is in one of the `allowed` states. Returns that state. */
export async function checkStore(dir: string, allowed: readonly Model[]): Promise<Model> {
  const model = await checkState(dir, allowed);
  // Not in a `finally`: if the state is wrong, unswept files would hide that failure.
  checkFiles(dir);
  return model;
}

async function checkState(dir: string, allowed: readonly Model[]): Promise<Model> {
  const open = await openStore(dir);
  try {
    const found = await readModel(open);
    const match = allowed.find((model) => isSame(model, found));
    if (match === undefined) expect(show(found), "none of the allowed states").toEqual(allowed.map(show).join(" or "));
    expect(await open.stored.bucket.usage()).toEqual(usageOf(found));
    await open.store.scanOrphans();
    await open.store.sweep();
    expect(show(await readModel(open)), "after the sweep").toEqual(show(found));
    return match ?? found;
  } finally {
    await open.store.close();
  }
}

/** Returns the store's content under every key; reads each object from the first byte to the last. */
export async function readModel({ stored: { bucket } }: OpenStore): Promise<Model> {
  const cells = new Map<string, Cell>();
  for (const name of STORE_KEYS) {
    const key = toKey(name);
    const entry = await bucket.lookup(key);
    const { state, epoch } = entry;
    if (entry.state !== "object") {
      cells.set(key, { state, epoch });
      continue;
    }
    const { info, isStale } = entry;
    const body = numberOfBytes(await readAll(await bucket.open(info), info.size));
    const via = info.provenance.via === "upload" ? "upload" : "mirror";
    cells.set(key, { state, epoch, body, via, isStale });
  }
  return cells;
}

function isSame(one: Model, other: Model): boolean {
  return show(one) === show(other);
}

/** The model in one line, to compare and to print. */
export function show(model: Model): string {
  return STORE_KEYS.map((key) => {
    const { state, epoch, body = "", via = "", isStale = false } = cellOf(model, key);
    return `${key}: ${state} ${epoch} ${body} ${via}${isStale ? " stale" : ""}`;
  }).join("; ");
}

/** Checks the folder of a closed store directly. */
function checkFiles(dir: string): void {
  for (const name of ["temp", "spool", "quarantine"]) expect(readdirSync(join(dir, name)), name).toEqual([]);
  expect(existsSync(join(dir, "catalogue.db-wal")), "a log that was not folded in").toBe(false);
  const database = openSqlite(join(dir, "catalogue.db"), { readonly: true });
  try {
    expect(firstValue(database, "PRAGMA integrity_check")).toBe("ok");
    const blobs = database
      .prepare<[], BlobRow & { refs: number; used: number; unused: number | null }>(
        `SELECT sha256, size, pack, refs, unused_since AS unused,
           (SELECT count(*) FROM entries WHERE blob = blobs.id) AS used FROM blobs`,
      )
      .all();
    for (const blob of blobs) expect(blob.refs, blob.sha256).toBe(blob.used);
    // The sweep has run, so every remaining blob is in use.
    for (const blob of blobs) expect(blob.unused, blob.sha256).toBeNull();
    const totals = database.prepare<[], { blobs: number }>("SELECT blobs FROM totals").get();
    expect(totals?.blobs).toBe(blobs.length);
    checkBytes(dir);
    const packs = database.prepare<[], PackRow>("SELECT id, bytes, live_bytes FROM packs").all();
    checkPackRows(dir, packs, blobs);
  } finally {
    database.close();
  }
}

interface BlobRow {
  readonly sha256: string;
  readonly size: number;
  readonly pack: number | null;
}

interface PackRow {
  readonly id: number;
  readonly bytes: number;
  readonly live_bytes: number;
}

/** Checks that each blob's bytes are at its row's location, and that every file has a row. */
function checkBytes(dir: string): void {
  const blobs = storedBlobs(dir);
  const own = blobs.filter(({ pack }) => pack === undefined).map(({ sha256 }) => sha256);
  expect([...ownFileNames(dir)].sort()).toEqual(own.sort());
  for (const blob of blobs) expect(readSha256(blob), `from ${blob.at} of ${blob.path}`).toBe(blob.sha256);
}

/** Checks that no pack is mostly dead, that only the newest may lack a row, and that the sums are right. */
function checkPackRows(dir: string, packs: readonly PackRow[], blobs: readonly BlobRow[]): void {
  const numbers = readdirSync(join(dir, "packs")).map(Number);
  const newest = Math.max(0, ...numbers);
  const known = new Set(packs.map(({ id }) => id));
  expect(numbers.filter((pack) => !known.has(pack) && pack !== newest)).toEqual([]);
  for (const { id, bytes, live_bytes: live } of packs) {
    const inside = blobs.filter(({ pack }) => pack === id).reduce((sum, { size }) => sum + size, 0);
    expect(live, `live bytes of pack ${id}`).toBe(inside);
    expect(live * 3 >= bytes * 2 || id === newest, `pack ${id}: ${live} of ${bytes} live`).toBe(true);
  }
}
