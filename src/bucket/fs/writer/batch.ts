// One group commit: many operations share one fsync of the catalogue. Bytes become durable before rows. First files are
// renamed into place and their folders synced. Then one transaction writes all rows, each operation in its own
// savepoint; the packs are synced before it commits. It does not know threads.
import type Database from "better-sqlite3";
import { isDamage, storeFailure } from "../../../core/disk-failure.ts";
import type { Batch, OperationResult, SharedSpan } from "../../../sqlite/batch-worker.ts";
import { prepareBlobRows } from "../catalogue/blob-rows.ts";
import { prepareCatalogueWrites } from "../catalogue/writes.ts";
import { type BlobFolder, type Placement, unlinkIfThere } from "../packs/blob-folder.ts";
import type { PackFolder } from "../packs/pack-folder.ts";
import { isThere, type OperationContext, operationHandlers } from "./operations.ts";
import type { Operation, OperationName } from "./write-operations.ts";

/** Runs a batch and returns the outcome of each operation, in order. Never throws. */
export type RunBatch = (batch: Batch<Operation>) => OperationResult[];

export interface BatchParts {
  readonly database: Database.Database;
  readonly blobs: BlobFolder;
  readonly openPacks: (newestKnown: number) => PackFolder;
  /** Holds the bodies of operations while their batch runs. */
  readonly shared: SharedArrayBuffer;
}

// These operations remove files. They run before the others and in a transaction of their own, so that no put of the
// same batch relies on a vanishing file.
const TAKES_FILES_AWAY: ReadonlySet<OperationName> = new Set([
  "sweep",
  "quarantine",
  "removeOrphans",
  "removeEmptyPacks",
]);

export function prepareBatches({ database, blobs, openPacks, shared }: BatchParts): RunBatch {
  const rows = prepareBlobRows(database);
  const writes = prepareCatalogueWrites(database, rows);
  const packs = openPacks(rows.newestPack());
  const afterCommit: (() => void)[] = [];
  const context: OperationContext = { database, writes, rows, blobs, packs, shared, afterCommit };
  const handlers = operationHandlers(context);
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const rollback = database.prepare("ROLLBACK");
  const save = database.prepare("SAVEPOINT operation");
  const keep = database.prepare("RELEASE operation");
  const undo = database.prepare("ROLLBACK TO operation");

  function runOne({ name, request, body }: Operation, now: number): OperationResult {
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
      return failure(error);
    }
  }

  function runGroup(group: readonly Operation[], now: number): OperationResult[] {
    const { outcomes: early, placements } = placeFiles(group, context);
    let isCommitting = false;
    try {
      begin.run();
      const outcomes = group.map((operation, index) => early[index] ?? runOne(operation, now));
      packs.flush();
      isCommitting = true;
      commit.run();
      for (const remove of afterCommit) attempt(remove);
      return outcomes;
    } catch (error) {
      if (database.inTransaction) rollback.run();
      packs.dropAppended();
      // The log may hold the whole transaction although its fsync failed, and recovery after a crash would then apply
      // it. So its blobs stay where its rows name them, and the scan for orphans removes those without a row.
      if (isCommitting) for (const placement of placements) attempt(() => blobs.relinkSource(placement));
      else undoPlace(placements, blobs);
      const outcome = failure(error);
      return group.map(() => outcome);
    } finally {
      afterCommit.length = 0;
    }
  }

  return ({ now, operations }) => {
    const outcomes = new Map<Operation, OperationResult>();
    for (const isFirst of [true, false]) {
      const group = operations.filter(({ name }) => TAKES_FILES_AWAY.has(name) === isFirst);
      if (group.length === 0) continue;
      runGroup(group, now).forEach((outcome, index) => {
        outcomes.set(group[index]!, outcome);
      });
    }
    return operations.map((operation) => outcomes.get(operation)!);
  };
}

/** The files of a batch before any row is written. `outcomes`: set for operations that have ended already. */
interface PlacedFiles {
  readonly outcomes: (OperationResult | undefined)[];
  readonly placements: readonly Placement[];
}

function placeFiles(group: readonly Operation[], context: OperationContext): PlacedFiles {
  const { blobs, afterCommit } = context;
  const outcomes: (OperationResult | undefined)[] = group.map(() => undefined);
  const placedBy = new Map<string, Placement>();
  const placed: [index: number, sha256: string][] = [];
  group.forEach(({ name, request }, index) => {
    if (name !== "put" || request.source === undefined) return;
    const { source } = request;
    const { sha256 } = request.info.hashes;
    try {
      if (placedBy.has(sha256) || isThere(sha256, context)) {
        afterCommit.push(() => unlinkIfThere(source));
      } else {
        // This may replace a file without a row, which an earlier crash left.
        placedBy.set(sha256, blobs.place(sha256, source));
      }
      placed.push([index, sha256]);
    } catch (error) {
      outcomes[index] = failure(error);
    }
  });
  const failed = blobs.sync([...placedBy.values()]);
  undoPlace([...failed.keys()], blobs);
  for (const [index, sha256] of placed) {
    const placement = placedBy.get(sha256);
    if (placement !== undefined && failed.has(placement)) outcomes[index] = failure(failed.get(placement));
  }
  return { outcomes, placements: [...placedBy.values()].filter((placement) => !failed.has(placement)) };
}

/** Returns the files to the callers, who can then retry. */
function undoPlace(placements: readonly Placement[], blobs: BlobFolder): void {
  for (const placement of placements) attempt(() => blobs.undoPlace(placement));
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
