// One group commit: many operations, one fsync of the catalogue. Bytes come before rows: files are renamed into place
// and their folders synced; then one transaction writes every row, each operation in a savepoint of its own, and before
// it commits the pack is written and synced. Knows nothing of threads.
import type Database from "better-sqlite3";
import { pruneSpent, spendOnce } from "../../sign/once.ts";
import { type BlobFolder, type Placement, unlinkIfThere } from "./blob-folder.ts";
import { type CatalogueWrites, type NewPlace, prepareCatalogueWrites } from "./catalogue-writes.ts";
import { isDamage, storeFailure } from "./failure.ts";
import type { PackFolder } from "./pack-folder.ts";
import type { AnswerOf, Batch, Operation, OperationName, Outcome, RequestOf, SharedSpan } from "./write-operations.ts";

/** Runs a batch and returns how each operation ended, in order. Never throws. */
export type RunBatch = (batch: Batch) => Outcome[];

export interface BatchParts {
  readonly database: Database.Database;
  readonly blobs: BlobFolder;
  readonly openPacks: (newestKnown: number) => PackFolder;
  /** Where the bodies of operations lie while their batch runs. */
  readonly shared: SharedArrayBuffer;
}

// These take files away. They go before the others and in a transaction of their own, so that no put of the same batch
// believes in a file that is about to vanish.
const TAKES_FILES_AWAY: ReadonlySet<OperationName> = new Set([
  "sweep",
  "setAside",
  "removeOrphans",
  "removeEmptyPacks",
]);

const MAX_MOVED_BLOBS = 256;

type Handlers = {
  [Name in OperationName]: (request: RequestOf<Name>, now: number, body?: SharedSpan) => AnswerOf<Name>;
};

/** What the operations work on. */
interface Place {
  readonly database: Database.Database;
  readonly writes: CatalogueWrites;
  readonly blobs: BlobFolder;
  readonly packs: PackFolder;
  readonly shared: SharedArrayBuffer;
  /** A commit failed and may yet come to life, so that nothing says which packs are empty. */
  readonly isUnsettled: () => boolean;
}

export function prepareBatches({ database, blobs, openPacks, shared }: BatchParts): RunBatch {
  const writes = prepareCatalogueWrites(database);
  const packs = openPacks(writes.newestPack());
  const place: Place = { database, writes, blobs, packs, shared, isUnsettled: () => isUnsettled };
  const handlers = operationHandlers(place);
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const rollback = database.prepare("ROLLBACK");
  const save = database.prepare("SAVEPOINT operation");
  const keep = database.prepare("RELEASE operation");
  const undo = database.prepare("ROLLBACK TO operation");
  const changes = database.prepare<[], { count: number }>("SELECT total_changes() AS count");
  /** Blobs of commits that failed, until the next that succeeds; as many as there are such files without a row. */
  const unsettled = new Set<string>();
  let isUnsettled = false;

  function runOne({ name, request, body }: Operation, now: number): Outcome {
    save.run();
    try {
      // The table's type ties the request to the name; the compiler cannot follow that through a union.
      const handler = handlers[name] as (request: unknown, now: number, body?: SharedSpan) => unknown;
      const answer = handler(request, now, body);
      keep.run();
      return { ok: true, answer };
    } catch (error) {
      // SQLite has rolled everything back by itself (disk full, I/O error): no operation of the batch stands.
      if (!database.inTransaction) throw error;
      undo.run();
      keep.run();
      return failure(error);
    }
  }

  function runGroup(group: readonly Operation[], now: number): Outcome[] {
    const files = placeFiles(group, place);
    let step: "rows" | "pack" | "commit" = "rows";
    let outcomes: Outcome[];
    try {
      const changesBefore = isUnsettled ? changes.get()?.count : 0;
      begin.run();
      outcomes = group.map((operation, index) => files.outcomes[index] ?? runOne(operation, now));
      step = "pack";
      packs.flush();
      step = "commit";
      commit.run();
      if (isUnsettled && changes.get()?.count !== changesBefore) settle();
    } catch (error) {
      if (database.inTransaction) rollback.run();
      packs.dropAppended();
      if (step === "commit") leaveInPlace(files.placements);
      else takeBack(files.placements, blobs);
      const outcome = failure(error);
      if (step !== "pack") return group.map(() => outcome);
      // The others have no part in what the disk refused.
      const others = runGroup(
        group.filter((operation) => !isPacked(operation)),
        now,
      );
      return group.map((operation) => (isPacked(operation) ? outcome : others.shift()!));
    }
    for (const path of files.leftOver) dropLeftOver(path);
    return outcomes;
  }

  /**
   * The log may hold the whole transaction although its fsync failed, and a crash now would bring it to life: its blobs
   * must be where its rows would look for them.
   */
  function leaveInPlace(placements: readonly Placement[]): void {
    isUnsettled = true;
    for (const placement of placements) {
      giveBack(placement, blobs);
      unsettled.add(placement.sha256);
    }
  }

  /** A later commit has overwritten the failed ones in the log: what has no row now will never have one. */
  function settle(): void {
    for (const sha256 of unsettled) {
      try {
        if (!writes.hasFile(sha256)) blobs.remove(sha256);
      } catch {
        // The commit stands all the same, and the scan for orphans finds the file.
      }
    }
    unsettled.clear();
    isUnsettled = false;
  }

  return ({ now, operations }) => {
    const outcomes = new Map<Operation, Outcome>();
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

/** What became of the files of a batch, before any row. `outcomes`: of the operations that have ended already. */
interface PlacedFiles {
  readonly outcomes: (Outcome | undefined)[];
  readonly placements: readonly Placement[];
  /** Sources that were not needed, to be removed once the rows are written. */
  readonly leftOver: readonly string[];
}

/** Operations whose bytes go into a pack. */
function isPacked({ name, body }: Operation): boolean {
  return body !== undefined || name === "emptyPack";
}

/** True when the catalogue and the disk both have the blob. */
function isThere(sha256: string, { writes, blobs, packs }: Place): boolean {
  const known = writes.placeOf(sha256);
  if (known === undefined) return false;
  const { place, size } = known;
  return place === undefined ? blobs.has(sha256, size) : packs.has(place, size);
}

function placeFiles(group: readonly Operation[], place: Place): PlacedFiles {
  const { blobs } = place;
  const outcomes: (Outcome | undefined)[] = group.map(() => undefined);
  const placedBy = new Map<string, Placement>();
  const leftOver: string[] = [];
  const waiting: [index: number, sha256: string][] = [];
  group.forEach(({ name, request, body }, index) => {
    if (name !== "put" || body !== undefined) return;
    const { source, info } = request;
    const { sha256 } = info.hashes;
    try {
      if (placedBy.has(sha256) || isThere(sha256, place)) {
        if (source !== undefined) leftOver.push(source.path);
      } else if (source?.isSynced === true) {
        // Also over a file without a row, which may be what an earlier crash left.
        placedBy.set(sha256, blobs.place(sha256, source.path));
      } else {
        outcomes[index] = { ok: true, answer: "blob-missing" };
        return;
      }
      waiting.push([index, sha256]);
    } catch (error) {
      outcomes[index] = failure(error);
    }
  });
  const failed = blobs.sync([...placedBy.values()]);
  takeBack([...failed.keys()], blobs);
  for (const [index, sha256] of waiting) {
    const placement = placedBy.get(sha256);
    if (placement !== undefined && failed.has(placement)) outcomes[index] = failure(failed.get(placement));
  }
  return { outcomes, placements: [...placedBy.values()].filter((placement) => !failed.has(placement)), leftOver };
}

/** So that the caller, who still holds the body, can try again. */
function takeBack(placements: readonly Placement[], blobs: BlobFolder): void {
  for (const placement of placements) {
    try {
      blobs.takeBack(placement);
    } catch {
      // The disk is failing: the file stays as one without a row, and the scan for orphans removes it.
    }
  }
}

function giveBack(placement: Placement, blobs: BlobFolder): void {
  try {
    blobs.giveBack(placement);
  } catch {
    // Without hard links the caller has lost its file, and the image is fetched again.
  }
}

function dropLeftOver(path: string): void {
  try {
    unlinkIfThere(path);
  } catch {
    // The rows are written and stand; a stray file is removed at the next start.
  }
}

function operationHandlers(at: Place): Handlers {
  const { database, writes, blobs, packs, shared } = at;
  const viewOf = ({ at: from, size }: SharedSpan) => new Uint8Array(shared, from, size);

  function placeOf(sha256: string, body: SharedSpan | undefined): NewPlace {
    if (isThere(sha256, at)) return { kind: "there" };
    return body === undefined ? { kind: "file" } : { kind: "pack", append: () => packs.append(viewOf(body)) };
  }

  return {
    put: (request, now, body) => writes.put(request, placeOf(request.info.hashes.sha256, body), now),
    copy: (request, now) => writes.copy(request, now),
    delete: (request, now) => writes.delete(request, now),
    undelete: (request, now) => writes.undelete(request, now),
    renew: (request, now) => writes.renew(request, now),
    purge: (request, now) => writes.purge(request, now),
    forget: (request, now) => writes.forget(request, now),
    move: (request, now) => writes.move(request, now),
    spend: (request) => spendOnce(database, request),
    pruneSpent: ({ now }) => pruneSpent(database, now),
    forgetTombstones: (request) => writes.forgetTombstones(request),
    probe({ at: time }) {
      writes.probe(time);
      return true;
    },
    setAside: (request, now) => setAside(request, now, at),
    sweep(request) {
      const swept = writes.forgetUnused(request);
      for (const { sha256 } of swept) blobs.remove(sha256);
      return swept;
    },
    removeOrphans: (request) => removeOrphans(request, at),
    emptyPack({ pack, maxBytes }) {
      const moved: string[] = [];
      let bytes = 0;
      for (const blob of pack < packs.newest ? writes.blobsIn(pack, MAX_MOVED_BLOBS) : []) {
        if (bytes > 0 && bytes + blob.size > maxBytes) break;
        // Not judged here: a wrong byte stays one for the block sums, which readers check.
        writes.movePacked(blob.id, packs.append(packs.read({ pack, at: blob.at }, blob.size)));
        bytes += blob.size;
        moved.push(blob.sha256);
      }
      return moved;
    },
    removeEmptyPacks() {
      const empty = at.isUnsettled() ? [] : writes.forgetEmptyPacks(packs.newest);
      for (const pack of empty) packs.remove(pack);
      return empty.length;
    },
  };
}

/** Other bytes than those that were read wrongly are good ones that were stored since. */
function setAside({ sha256, place, inode }: RequestOf<"setAside">, now: number, at: Place): AnswerOf<"setAside"> {
  const { writes, blobs, packs } = at;
  const known = writes.placeOf(sha256);
  if (known === undefined || known.place?.pack !== place?.pack || known.place?.at !== place?.at) return [];
  if (place === undefined && blobs.stat(sha256)?.ino !== inode) return [];
  const entries = writes.forgetDamaged(sha256);
  if (place === undefined) blobs.setAside(sha256, now);
  else blobs.keepDamaged(sha256, now, () => packs.read(place, known.size));
  return entries;
}

function removeOrphans({ sha256s, packs: numbers, changedBefore }: RequestOf<"removeOrphans">, at: Place): number {
  const { writes, blobs, packs } = at;
  const isOld = (file: { readonly ctimeMs: number } | undefined) => file !== undefined && file.ctimeMs < changedBefore;
  const orphans = sha256s.filter((sha256) => isOld(blobs.stat(sha256)) && !writes.hasFile(sha256));
  for (const sha256 of orphans) blobs.remove(sha256);
  const lone = numbers.filter((pack) => pack < packs.newest && isOld(packs.stat(pack)) && !writes.hasPack(pack));
  for (const pack of lone) packs.remove(pack);
  return orphans.length + lone.length;
}

function failure(error: unknown): Outcome {
  const action = isDamage(error)
    ? "write the catalogue, which is damaged: restore the data folder from a backup"
    : "write";
  const { code, message } = storeFailure(error, action);
  return { ok: false, code, message };
}
