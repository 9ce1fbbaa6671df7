// Implements each operation of the writer, inside the transaction and savepoint of batch.ts. It opens neither.
import type { Sqlite } from "../../../../core/sqlite.ts";
import type { SharedSpan } from "../../../../sqlite/batch-worker.ts";
import { pruneSpent, spendOnce } from "../../../sign/once.ts";
import { isBlobName } from "../blob-places.ts";
import type { BlobRows, NewPlace } from "../catalogue/blob-rows.ts";
import type { AnswerOf, Handlers, PutRequest, RequestOf } from "../catalogue/write-operations.ts";
import type { CatalogueWrites } from "../catalogue/writes.ts";
import { type BlobFolder, type Placement, unlinkIfThere } from "../packs/blob-folder.ts";
import type { PackFolder } from "../packs/pack-folder.ts";

const MAX_MOVED_BLOBS = 256;

/** The database and the folders that the operations change. */
export interface OperationContext {
  readonly database: Sqlite;
  readonly writes: CatalogueWrites;
  readonly rows: BlobRows;
  readonly blobs: BlobFolder;
  readonly packs: PackFolder;
  readonly shared: SharedArrayBuffer;
  /** Files that the batch has renamed into place. */
  readonly placements: Placement[];
  /** Removals of files. They follow the commit, because recovery may still apply an earlier commit that failed. */
  readonly afterCommit: (() => void)[];
}

export function operationHandlers(context: OperationContext): Handlers {
  const { database, writes, rows, blobs, packs, shared, placements, afterCommit } = context;

  /** Returns the place of a put's bytes. */
  function placeOf({ info, source }: PutRequest, body: SharedSpan | undefined): NewPlace {
    const { sha256 } = info.hashes;
    const known = rows.find(sha256);
    if (known !== undefined && !known.isDamaged) {
      const { place, size } = known;
      if (place === undefined ? blobs.has(sha256, size) : packs.has(place, size)) return { id: known.id };
    }
    const move = () => {
      if (body !== undefined) return packs.append(new Uint8Array(shared, body.at, body.size));
      if (source === undefined) throw new Error("the put has no bytes");
      // This may replace a file without a row, which an earlier crash left.
      placements.push(blobs.place(sha256, source));
      return undefined;
    };
    return { id: known?.id, move };
  }

  return {
    ...writes,
    put(request, now, body) {
      const result = writes.put(request, placeOf(request, body), now);
      const { source } = request;
      if (source !== undefined && result === "stored") afterCommit.push(() => unlinkIfThere(source));
      return result;
    },
    spend: (request) => spendOnce(database, request),
    pruneSpent: ({ now }) => pruneSpent(database, now),
    quarantine: (request, now) => quarantine(request, now, context),
    sweep(request) {
      const swept = rows.forgetUnused(request);
      for (const { sha256 } of swept) if (isBlobName(sha256)) blobs.remove(sha256);
      return swept;
    },
    removeOrphans: (request) => removeOrphans(request, context),
    compactPack({ pack, maxBytes }) {
      const moved: string[] = [];
      let bytes = 0;
      for (const blob of pack < packs.newest ? rows.inPack(pack, MAX_MOVED_BLOBS) : []) {
        if (bytes > 0 && bytes + blob.size > maxBytes) break;
        // Moved without a check: readers compare the block sums, so damage is still detected.
        rows.move(blob.id, packs.append(packs.read({ pack, at: blob.at }, blob.size)));
        bytes += blob.size;
        moved.push(blob.sha256);
      }
      return moved;
    },
    removeEmptyPacks() {
      const empty = rows.forgetEmptyPacks(packs.newest);
      for (const pack of empty) afterCommit.push(() => packs.remove(pack));
      return empty.length;
    },
  };
}

/** Does nothing if the blob was stored again since the damaged read: its bytes are then other ones, and good. */
function quarantine(request: RequestOf<"quarantine">, now: number, context: OperationContext): AnswerOf<"quarantine"> {
  const { sha256, place, inode } = request;
  const { writes, rows, blobs, packs } = context;
  const known = rows.find(sha256);
  if (known === undefined || known.isDamaged || known.place?.pack !== place?.pack || known.place?.at !== place?.at)
    return [];
  const file = place === undefined ? blobs.stat(sha256) : undefined;
  // Without a file: the run of this batch that was rolled back has moved it.
  if (file !== undefined && file.ino !== inode) return [];
  const entries = writes.quarantine(request, now);
  if (place === undefined) blobs.quarantine(sha256, now);
  else blobs.keepDamaged(sha256, now, () => packs.read(place, known.size));
  return entries;
}

function removeOrphans(
  { sha256s, packs: numbers, changedBefore }: RequestOf<"removeOrphans">,
  context: OperationContext,
): number {
  const { rows, blobs, packs } = context;
  const isOld = (file: { readonly ctimeMs: number } | undefined) => file !== undefined && file.ctimeMs < changedBefore;
  const orphans = sha256s.filter((sha256) => isOld(blobs.stat(sha256)) && !rows.hasFile(sha256));
  for (const sha256 of orphans) blobs.remove(sha256);
  const orphanPacks = numbers.filter((pack) => pack < packs.newest && isOld(packs.stat(pack)) && !rows.hasPack(pack));
  for (const pack of orphanPacks) packs.remove(pack);
  return orphans.length + orphanPacks.length;
}
