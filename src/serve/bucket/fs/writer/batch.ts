// One group commit: many operations share one fsync of the catalogue. One transaction runs all operations, each in its
// own savepoint. Bytes become durable before rows: files are renamed into place and bodies written to packs, and both
// are synced before the commit. It does not know threads.
import { isDamage, storeFailure } from "../../../../core/disk-failure.ts";
import type { Sqlite } from "../../../../core/sqlite.ts";
import type { Batch, OperationResult, SharedSpan } from "../../../../sqlite/batch-worker.ts";
import { prepareBlobRows } from "../catalogue/blob-rows.ts";
import type { Operation } from "../catalogue/write-operations.ts";
import { prepareCatalogueWrites } from "../catalogue/writes.ts";
import type { BlobFolder } from "../packs/blob-folder.ts";
import type { PackFolder } from "../packs/pack-folder.ts";
import { type OperationContext, operationHandlers } from "./operations.ts";

/** Runs a batch and returns the outcome of each operation, in order. Never throws. */
export type RunBatch = (batch: Batch<Operation>) => OperationResult[];

export interface BatchParts {
  readonly database: Sqlite;
  readonly blobs: BlobFolder;
  readonly openPacks: (newestKnown: number) => PackFolder;
  /** Holds the bodies of operations while their batch runs. */
  readonly shared: SharedArrayBuffer;
}

export function prepareBatches({ database, blobs, openPacks, shared }: BatchParts): RunBatch {
  const rows = prepareBlobRows(database);
  const writes = prepareCatalogueWrites(database, rows);
  const packs = openPacks(rows.newestPack());
  const context: OperationContext = { database, writes, rows, blobs, packs, shared, placements: [], afterCommit: [] };
  const { placements, afterCommit } = context;
  const handlers = operationHandlers(context);
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const rollback = database.prepare("ROLLBACK");
  const save = database.prepare("SAVEPOINT operation");
  const keep = database.prepare("RELEASE operation");
  const undo = database.prepare("ROLLBACK TO operation");

  function runOne({ name, request, body }: Operation, now: number): OperationResult {
    const placed = placements.length;
    save.run();
    try {
      // The type of the table ties the request to the name, but the compiler cannot follow that through a union.
      const handler = handlers[name] as (request: unknown, now: number, body?: SharedSpan) => unknown;
      const answer = handler(request, now, body);
      keep.run();
      return { ok: true, answer };
    } catch (error) {
      // SQLite has rolled back the whole transaction (disk full, I/O error), so every operation of the batch fails.
      if (!database.inTransaction) throw error;
      undo.run();
      keep.run();
      for (const placement of placements.splice(placed)) attempt(() => blobs.undoPlace(placement));
      return failure(error);
    }
  }

  /** `refusal`: the error of a disk that takes no bodies. Operations with bytes then fail with it; the others run. */
  function runAll({ now, operations }: Batch<Operation>, refusal?: unknown): OperationResult[] {
    placements.length = 0;
    afterCommit.length = 0;
    let step: "rows" | "bytes" | "commit" = "rows";
    try {
      begin.run();
      const outcomes = operations.map((operation) =>
        refusal !== undefined && hasBytes(operation) ? failure(refusal) : runOne(operation, now),
      );
      step = "bytes";
      blobs.sync(placements);
      packs.flush();
      step = "commit";
      commit.run();
      for (const remove of afterCommit) attempt(remove);
      return outcomes;
    } catch (error) {
      if (database.inTransaction) rollback.run();
      packs.dropAppended();
      // After a failed fsync the log may hold the whole transaction, and recovery after a crash would then apply it. So
      // its blobs stay where its rows name them, and the scan for orphans removes those without a row.
      const giveBack = step === "commit" ? blobs.relinkSource : blobs.undoPlace;
      for (const placement of placements) attempt(() => giveBack(placement));
      if (step === "bytes" && refusal === undefined) return runAll({ now, operations }, error);
      const outcome = failure(error);
      return operations.map(() => outcome);
    }
  }

  return (batch) => runAll(batch);
}

/** Whether the operation stores or moves bytes. */
function hasBytes({ name }: Operation): boolean {
  return name === "put" || name === "compactPack";
}

/**
 * For files only. If the disk is failing, or cannot link, a file without a row stays for the scan for orphans, or a
 * caller loses its file and the image is fetched again.
 */
function attempt(change: () => void): void {
  try {
    change();
  } catch {
    // As described above.
  }
}

function failure(error: unknown): OperationResult {
  const action = isDamage(error)
    ? "write the catalogue, which is damaged: restore the data folder from a backup"
    : "write";
  const { code, message } = storeFailure(error, action);
  return { ok: false, code, message };
}
