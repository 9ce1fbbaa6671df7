// The embedded store: content-addressed blobs, a SQLite catalogue, and one thread that writes both. This file opens,
// connects and closes them, and runs the periodic tasks. It does not implement a bucket: bucket.ts does.
import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { storeFailure } from "../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import { removeFile, syncDirectory, writeSyncedFile } from "../../../core/files.ts";
import type { Log } from "../../../core/log.ts";
import type { Sqlite } from "../../../core/sqlite.ts";
import { createOnceLedger, isInLedger, type OnceLedger } from "../../sign/once.ts";
import type { Store } from "../contract/driver.ts";
import { createFsBucket, type FsBucket } from "./bucket.ts";
import { createEntryCache, type EntryCache } from "./catalogue/entry-cache.ts";
import { prepareCatalogueReads } from "./catalogue/reads.ts";
import { openCatalogueForReading, prepareOn } from "./catalogue/schema.ts";
import type { SweptBlob } from "./catalogue/write-operations.ts";
import { createFreeSpace, type FreeSpace } from "./free-space.ts";
import { lockData, refuseUnfinished, SWEEP_LOCK, tryLock } from "./lock.ts";
import { createBlobReaders, type Damage } from "./packs/blob-reader.ts";
import { removeOrphans } from "./packs/orphans.ts";
import { startPeriodicTasks } from "./periodic-tasks.ts";
import { startWriter, type Writer } from "./writer/writer.ts";

export interface FsStoreOptions {
  /** The data folder, created if it is missing. */
  readonly dir: string;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
  /** With less free disk space no new object is stored. 0 disables the check. */
  readonly minFreeBytes: number;
  /** Grace time of files without a row, expired tombstones and unused blobs. Milliseconds. */
  readonly graceMs?: number;
  /** Grace time of unused blobs, if it is shorter. Milliseconds. */
  readonly blobGraceMs?: number;
  /** Milliseconds between sweeps. 0: only explicit calls of `sweep()` and `scanOrphans()`. */
  readonly sweepEveryMs?: number;
  /** Prefixes of the ids of cache buckets, whose objects can all be fetched again. Damaged ones become absent. */
  readonly cacheBucketPrefixes?: readonly string[];
  /** A pack of this size is closed and the next one is begun. Bytes. */
  readonly packBytes?: number;
}

export interface FsStore extends Store {
  /** The ledger of one-time tokens; the same writer records spent tokens. */
  readonly once: OnceLedger;
  /**
   * The folder for spool files, on the same file system, so that a rename makes a body a blob. Created by the store.
   */
  readonly spoolDir: string;
  /** Below its minimum no new object is stored. */
  readonly freeSpace: FreeSpace;
  /** Ids of all buckets that were ever written to, sorted. */
  listBuckets(): string[];
  bucket(id: string): FsBucket;
  /** Number of objects with damaged bytes that cannot be fetched again. Each read of them throws store_corrupt. */
  damaged(): number;
  /**
   * Removes blobs that were unused for the grace time, and packs whose blobs are mostly dead. Removes nothing while a
   * backup links the files.
   */
  sweep(): Promise<{ readonly blobs: number; readonly bytes: number }>;
  /** Removes the rows of tombstones that expired longer ago than the grace time. Returns their number. */
  forgetTombstones(): Promise<number>;
  /** Removes files without a row that are older than the grace time. Returns their number. Scans slowly on purpose. */
  scanOrphans(): Promise<number>;
}

const HOUR_MS = 3_600_000;
const GRACE_MS = HOUR_MS;
const SWEEP_EVERY_MS = 300_000;
const SWEEP_AT_ONCE = 200;
const TOMBSTONES_AT_ONCE = 1_000;
// The writer thread does nothing else while it copies them.
const MOVED_AT_ONCE_BYTES = 2_097_152;
const SCAN_EVERY_MS = 6 * HOUR_MS;
const PRUNE_EVERY_MS = 24 * HOUR_MS;

/**
 * Opens the store of a data folder. Throws data_locked if another process uses it. Throws store_failed, with the
 * operator's next step, if the folder cannot be written or the catalogue is damaged or of a newer version.
 */
export async function createFsStore(options: FsStoreOptions): Promise<FsStore> {
  const dir = resolve(options.dir);
  const unlock = lockData(dir);
  let writer: Writer | undefined;
  let database: Sqlite | undefined;
  try {
    refuseUnfinished(dir);
    prepareFolders(dir);
    const entryCache = createEntryCache();
    const { now, packBytes } = options;
    writer = await startWriter({ dataDir: dir, now, packBytes, onEnded: entryCache.invalidate });
    database = openCatalogueForReading(join(dir, "catalogue.db"));
    syncDirectory(dir);
    return wireStore({ ...options, dir, unlock, writer, entryCache, database });
  } catch (error) {
    database?.close();
    await writer?.close();
    unlock();
    throw storeFailure(error, `open the store in "${dir}"`);
  }
}

function prepareFolders(dir: string): void {
  // A crash may have left partial files. The folder holds only files that are being written.
  rmSync(join(dir, "temp"), { recursive: true, force: true });
  for (const name of ["blobs", "packs", "spool", "quarantine", "temp"]) mkdirSync(join(dir, name), { recursive: true });
  syncDirectory(dirname(dir));
  const device = statSync(join(dir, "blobs")).dev;
  for (const name of ["spool", "quarantine", "temp"]) {
    if (statSync(join(dir, name)).dev === device) continue;
    throw new HuiyuanError(
      "store_failed",
      `Cannot use "${join(dir, name)}": it lies on another file system than "${join(dir, "blobs")}", both must be on one`,
    );
  }
}

interface StoreParts extends FsStoreOptions {
  readonly unlock: () => void;
  readonly writer: Writer;
  readonly entryCache: EntryCache;
  readonly database: Sqlite;
}

function wireStore(parts: StoreParts): FsStore {
  const { dir, now, log, minFreeBytes, unlock, writer, entryCache, database, cacheBucketPrefixes = [] } = parts;
  const { graceMs = GRACE_MS, blobGraceMs = graceMs } = parts;
  const reads = prepareOn(join(dir, "catalogue.db"), () => prepareCatalogueReads(database, now));
  const freeSpace = createFreeSpace(dir, minFreeBytes);
  const buckets = new Map<string, FsBucket>();
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
    if (!existsSync(dir))
      throw new HuiyuanError("store_failed", `the data folder "${dir}" is gone: stop the server and restore it`);
    const unlock = tryLock(join(dir, SWEEP_LOCK));
    if (unlock === undefined) return { blobs: 0, bytes: 0 };
    try {
      return await removeUnused();
    } finally {
      unlock();
    }
  }

  async function removeUnused(): Promise<{ blobs: number; bytes: number }> {
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

  /** A tombstone's epoch goes with it. After the grace time each fill that began under that epoch has ended. */
  async function forgetTombstones(): Promise<number> {
    let total = 0;
    for (;;) {
      const request = { expiredBefore: now() - graceMs, limit: TOMBSTONES_AT_ONCE };
      const forgotten = await writer.submit("forgetTombstones", request);
      total += forgotten;
      if (forgotten < TOMBSTONES_AT_ONCE) return total;
    }
  }

  /** Reclaims the space of dead blobs: moves the live blobs out of sparse packs and removes the emptied packs. */
  async function compactPacks(): Promise<void> {
    await removeEmptyPacks();
    for (const pack of reads.sparsePacks()) {
      try {
        await compactPack(pack);
        await removeEmptyPacks();
      } catch (error) {
        log.warn({ err: error, pack }, "cannot compact a pack; will retry");
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
      reads,
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
    listBuckets: () => reads.buckets(),
    damaged: () => reads.damaged(),
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
      // The last connection that closes checkpoints the log into the catalogue. That must be the writer's.
      database.close();
      await writer.close();
      unlock();
    },
  };
}

/** Quarantines the damaged blob. Objects that can be fetched again become absent, and the next request fetches them. */
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
    if (!isOnlyCopy) log.warn(fields, "a stored image is damaged; it was quarantined and will be fetched again");
    else log.error({ ...fields, via }, "a stored image is damaged and no origin has it; upload it again, or delete it");
  }
}
