// The embedded store: content-addressed blobs, a SQLite catalogue, and one thread that writes both. This file opens,
// wires, tends (sweeping, scanning) and closes; what a bucket does is in bucket.ts.
import { mkdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type Database from "better-sqlite3";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key } from "../../core/object.ts";
import { createOnceLedger, isInLedger, type OnceLedger } from "../../sign/once.ts";
import type { BucketDriver, Store } from "../contract/driver.ts";
import { createFsBucket } from "./bucket.ts";
import { createEntryCache, type EntryCache } from "./catalogue/entry-cache.ts";
import { prepareCatalogueReads } from "./catalogue/reads.ts";
import { openCatalogueForReading, prepareOn } from "./catalogue/schema.ts";
import { storeFailure } from "./failure.ts";
import { removeFile, writeSyncedFile } from "./files.ts";
import { createFreeSpace, type FreeSpace } from "./free-space.ts";
import { type DataLock, lockData } from "./lock.ts";
import { syncDirectory } from "./packs/blob-folder.ts";
import { createBlobReaders, type Damage } from "./packs/blob-reader.ts";
import { removeOrphans } from "./packs/orphans.ts";
import { startPeriodicTasks } from "./periodic-tasks.ts";
import type { SweptBlob } from "./writer/write-operations.ts";
import { startWriter, type Writer } from "./writer/writer.ts";

export interface FsStoreOptions {
  /** The data folder; made where it is missing. */
  readonly dir: string;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
  /** Below this much free disk nothing new is stored; 0 turns the check off. */
  readonly minFreeBytes: number;
  /** How long a file without a row is kept, an expired tombstone, and a blob that no object uses. Milliseconds. */
  readonly graceMs?: number;
  /** The last of these, where it is shorter. Milliseconds. */
  readonly blobGraceMs?: number;
  /** Milliseconds between sweeps; 0: only `sweep()` and `scanOrphans()` by hand. */
  readonly sweepEveryMs?: number;
  /** How the ids of buckets begin whose objects can be had again, however they came: damaged ones are forgotten. */
  readonly cacheBucketPrefixes?: readonly string[];
  /** Bytes at which a pack is closed and the next one begun. */
  readonly packBytes?: number;
}

export interface FsStore extends Store {
  /** One-time tokens, spent by the same writer. */
  readonly once: OnceLedger;
  /** Where spools put their files, so that a body becomes a blob by renaming. Made by the store. */
  readonly spoolDir: string;
  /** Nothing new is stored below its minimum. */
  readonly freeSpace: FreeSpace;
  /** Ids of all buckets that have ever been written to, in order. */
  listBuckets(): string[];
  /** Lets go of an object that is kept elsewhere: no tombstone, the epoch stands. False where another one, or none, is there. */
  forget(bucketId: string, key: Key, sha256: string): Promise<boolean>;
  /** Gives an object to the same key of another bucket, whose epoch stands; one durable step. False where it is not there. */
  move(fromId: string, toId: string, key: Key, sha256: string): Promise<boolean>;
  /** Objects whose bytes were found wrong and that nobody else has: each is answered with store_corrupt. */
  damaged(): number;
  /** Distinct blobs and the bytes that they take, unused ones in their grace time included. */
  blobUsage(): { readonly blobs: number; readonly bytes: number };
  /** Removes blobs that nothing has used for the grace time, and packs in which little is left. */
  sweep(): Promise<{ readonly blobs: number; readonly bytes: number }>;
  /** Removes the rows of tombstones that expired the grace time ago. Returns how many. */
  forgetTombstones(): Promise<number>;
  /** Removes files without a row that are older than the grace time. Returns how many; walks slowly on purpose. */
  scanOrphans(): Promise<number>;
}

const HOUR_MS = 3_600_000;
const GRACE_MS = HOUR_MS;
const SWEEP_EVERY_MS = 300_000;
const SWEEP_AT_ONCE = 200;
const TOMBSTONES_AT_ONCE = 1_000;
// The writer does nothing else meanwhile.
const MOVED_AT_ONCE_BYTES = 2_097_152;
const SCAN_EVERY_MS = 6 * HOUR_MS;
const PRUNE_EVERY_MS = 24 * HOUR_MS;

/**
 * Opens the store of a data folder. Throws data_locked when another process has it, and store_failed with what to do
 * when the folder cannot be written or the catalogue is damaged or of a newer version.
 */
export async function createFsStore(options: FsStoreOptions): Promise<FsStore> {
  const dir = resolve(options.dir);
  const lock = lockData(dir);
  let writer: Writer | undefined;
  let database: Database.Database | undefined;
  try {
    prepareFolders(dir);
    const entryCache = createEntryCache();
    const { now, packBytes } = options;
    writer = await startWriter({ dataDir: dir, now, packBytes, onEnded: entryCache.invalidate });
    database = openCatalogueForReading(join(dir, "catalogue.db"));
    syncDirectory(dir);
    return wireStore({ ...options, dir, lock, writer, entryCache, database });
  } catch (error) {
    database?.close();
    await writer?.close();
    lock.release();
    throw storeFailure(error, `open the store in "${dir}"`);
  }
}

function prepareFolders(dir: string): void {
  // What a crash left half-written; the folder holds only what is being written at the moment.
  rmSync(join(dir, "temp"), { recursive: true, force: true });
  for (const name of ["blobs", "packs", "spool", "quarantine", "temp"]) mkdirSync(join(dir, name), { recursive: true });
  syncDirectory(dirname(dir));
  const device = statSync(join(dir, "blobs")).dev;
  for (const name of ["spool", "quarantine", "temp"]) {
    if (statSync(join(dir, name)).dev === device) continue;
    throw new HuiyuanError(
      "store_failed",
      `Cannot use "${join(dir, name)}": it lies on another file system than "${join(dir, "blobs")}", files are renamed between them`,
    );
  }
}

interface StoreParts extends FsStoreOptions {
  readonly lock: DataLock;
  readonly writer: Writer;
  readonly entryCache: EntryCache;
  readonly database: Database.Database;
}

function wireStore(parts: StoreParts): FsStore {
  const { dir, now, log, minFreeBytes, lock, writer, entryCache, database, cacheBucketPrefixes = [] } = parts;
  const { graceMs = GRACE_MS, blobGraceMs = graceMs } = parts;
  const reads = prepareOn(join(dir, "catalogue.db"), () => prepareCatalogueReads(database, now));
  const freeSpace = createFreeSpace({ dir, minFreeBytes });
  const buckets = new Map<string, BucketDriver>();
  const closing = new AbortController();
  let filesMade = 0;

  const readers = createBlobReaders({
    dataDir: dir,
    blob: (sha256) => reads.blob(sha256),
    onDamage: (damage) => quarantine(damage, { writer, log, cacheBucketPrefixes }),
  });
  const newFilePath = () => {
    filesMade += 1;
    return `${dir}/temp/${filesMade}`;
  };

  async function sweep(): Promise<{ blobs: number; bytes: number }> {
    const total = { blobs: 0, bytes: 0 };
    let swept: readonly SweptBlob[];
    do {
      swept = await writer.submit("sweep", { unusedBefore: now() - blobGraceMs, limit: SWEEP_AT_ONCE });
      readers.forget(swept.map(({ sha256 }) => sha256));
      total.blobs += swept.length;
      for (const { size } of swept) total.bytes += size;
    } while (swept.length === SWEEP_AT_ONCE);
    await compactPacks();
    return total;
  }

  /** With their epochs, so not before every fill that began under them has ended and been stored or given up. */
  async function forgetTombstones(): Promise<number> {
    let total = 0;
    for (;;) {
      const request = { expiredBefore: now() - graceMs, limit: TOMBSTONES_AT_ONCE };
      const forgotten = await writer.submit("forgetTombstones", request);
      total += forgotten;
      if (forgotten < TOMBSTONES_AT_ONCE) return total;
    }
  }

  /** Gives the room of dead blobs back: what lives in packs that are mostly dead moves away, and they are removed. */
  async function compactPacks(): Promise<void> {
    await removeEmptyPacks();
    for (const pack of reads.sparsePacks()) {
      try {
        await compactPack(pack);
        await removeEmptyPacks();
      } catch (error) {
        log.warn({ err: error, pack }, "cannot move images out of a pack; will try again");
      }
    }
  }

  async function removeEmptyPacks(): Promise<void> {
    const removed = await writer.submit("removeEmptyPacks", {});
    if (removed > 0) readers.forgetPacks();
  }

  async function compactPack(pack: number): Promise<void> {
    let moved: readonly string[];
    do {
      if (closing.signal.aborted) return;
      moved = await writer.submit("compactPack", { pack, maxBytes: MOVED_AT_ONCE_BYTES });
      readers.forget(moved);
    } while (moved.length > 0);
  }

  function scanOrphans(): Promise<number> {
    return removeOrphans({
      dataDir: dir,
      hasFile(sha256) {
        const blob = reads.blob(sha256);
        return blob !== undefined && blob.place === undefined;
      },
      hasPack: (pack) => reads.hasPack(pack),
      remove: (found) => writer.submit("removeOrphans", { ...found, changedBefore: now() - graceMs }),
      signal: closing.signal,
    });
  }

  const stopTasks = startPeriodicTasks(parts.sweepEveryMs ?? SWEEP_EVERY_MS, { log }, [
    { action: "sweep unused blobs", everyMs: 0, run: sweep },
    { action: "forget expired tombstones", everyMs: 0, run: forgetTombstones },
    { action: "scan for orphans", everyMs: SCAN_EVERY_MS, run: scanOrphans },
    {
      action: "forget old one-time tokens",
      everyMs: PRUNE_EVERY_MS,
      run: () => writer.submit("pruneSpent", { now: Math.floor(now() / 1_000) }),
    },
  ]);

  return {
    bucket(id) {
      const known =
        buckets.get(id) ?? createFsBucket(id, { reads, entryCache, writer, readers, freeSpace, newFilePath });
      buckets.set(id, known);
      return known;
    },
    once: createOnceLedger(
      (request) => writer.submit("spend", request),
      (request) => isInLedger(database, request),
    ),
    spoolDir: join(dir, "spool"),
    freeSpace,
    forget: (bucket, key, sha256) => writer.submit("forget", { bucket, key, sha256 }),
    move: (from, to, key, sha256) => writer.submit("move", { from, to, key, sha256 }),
    listBuckets: () => reads.buckets(),
    damaged: () => reads.damaged(),
    blobUsage: () => reads.totals(),
    sweep,
    forgetTombstones,
    scanOrphans,
    async probe() {
      await freeSpace.check();
      const path = newFilePath();
      await writeSyncedFile(path, Buffer.from("probe")).catch((error: unknown) => {
        throw storeFailure(error, `write "${path}"`);
      });
      await removeFile(path);
      await writer.submit("probe", { at: now() });
    },
    async close() {
      if (closing.signal.aborted) return;
      closing.abort();
      await stopTasks();
      readers.close();
      // Before the writer, whose connection as the last one folds the log into the catalogue.
      database.close();
      await writer.close();
      lock.release();
    },
  };
}

/** The damaged blob goes to quarantine. What can be had again is absent from now on, and the next request fetches it. */
async function quarantine(
  { found, ...damage }: Damage,
  { writer, log, cacheBucketPrefixes }: { writer: Writer; log: Log; cacheBucketPrefixes: readonly string[] },
): Promise<void> {
  const { sha256 } = damage;
  for (const { bucket, key, via, isOnlyCopy } of await writer.submit("quarantine", {
    ...damage,
    cacheBucketPrefixes,
  })) {
    const fields = { bucket, key, sha256, found };
    if (!isOnlyCopy) log.warn(fields, "a stored image is damaged; it was set aside and will be fetched again");
    else log.error({ ...fields, via }, "a stored image is damaged and no origin has it; upload it again, or delete it");
  }
}
