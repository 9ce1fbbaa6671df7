// The catalogue's rows of blobs and packs: the place of the bytes, the number of entries that use them, and dead bytes.
// Runs inside the writer's transaction, as writes.ts does. It touches no files. Triggers count the bytes of packs
// (schema.ts).
import type { Sqlite } from "../../../../core/sqlite.ts";
import type { PackPlace, PutRequest, RequestOf, SweptBlob } from "./write-operations.ts";

export type BlobRows = ReturnType<typeof prepareBlobRows>;

/** `place`: undefined if the blob has a file of its own, or if it `isDamaged` and has no bytes. */
export interface BlobRow {
  readonly id: number;
  readonly size: number;
  readonly place: PackPlace | undefined;
  readonly isDamaged: boolean;
}

/** The columns of a blob's row beside its place. */
export type BlobFacts = Pick<PutRequest, "info" | "blockSums">;

/**
 * The place of a put's bytes. `id`: of the blob's row; undefined if there is none yet. `move`: moves the bytes to a
 * pack, or to a file of their own (undefined). It is missing if the bytes are where the row says.
 */
export type NewPlace =
  | { readonly id: number; readonly move?: undefined }
  | { readonly id: number; readonly move: () => PackPlace | undefined }
  | { readonly id: undefined; readonly move: () => PackPlace | undefined };

interface PackedBlob extends SweptBlob {
  readonly id: number;
  /** Offset in the pack. Bytes. */
  readonly at: number;
}

/** `now` is in Unix milliseconds everywhere. */
export function prepareBlobRows(database: Sqlite) {
  const statements = {
    find: database.prepare<
      [string],
      { id: number; size: number; pack: number | null; at: number; damaged_at: number | null }
    >("SELECT id, size, pack, pack_at AS at, damaged_at FROM blobs WHERE sha256 = ?"),
    add: database.prepare(
      `INSERT INTO blobs (sha256, sha1, md5, size, format, width, height, block_sums, refs, pack, pack_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)`,
    ),
    learn: database.prepare("UPDATE blobs SET sha1 = ?, md5 = ? WHERE id = ? AND sha1 = ''"),
    move: database.prepare("UPDATE blobs SET pack = ?, pack_at = ?, damaged_at = NULL WHERE id = ?"),
    markDamaged: database.prepare(
      "UPDATE blobs SET pack = NULL, pack_at = NULL, damaged_at = ?, refs = ? WHERE id = ?",
    ),
    use: database.prepare("UPDATE blobs SET refs = refs + 1, unused_since = NULL WHERE id = ?"),
    unuse: database.prepare(
      "UPDATE blobs SET refs = refs - 1, unused_since = CASE WHEN refs = 1 THEN ? END WHERE id = ?",
    ),
    remove: database.prepare("DELETE FROM blobs WHERE id = ?"),
    unused: database.prepare<[number, number], SweptBlob & { id: number }>(
      "SELECT id, sha256, size FROM blobs WHERE unused_since < ? AND refs = 0 ORDER BY unused_since LIMIT ?",
    ),
    inPack: database.prepare<[number, number], PackedBlob>(
      "SELECT id, sha256, size, pack_at AS at FROM blobs WHERE pack = ? ORDER BY id LIMIT ?",
    ),
    emptyPacks: database.prepare<[number], { id: number }>("SELECT id FROM packs WHERE live_bytes = 0 AND id < ?"),
    removePack: database.prepare("DELETE FROM packs WHERE id = ?"),
    pack: database.prepare<[number], { id: number }>("SELECT id FROM packs WHERE id = ?"),
    newestPack: database.prepare<[], { id: number | null }>("SELECT max(id) AS id FROM packs"),
  };

  function add({ info, blockSums }: BlobFacts, place: PackPlace | undefined): number {
    const { hashes, size, image } = info;
    const { width = null, height = null, format } = image;
    const sums = Buffer.from(blockSums, "latin1");
    const facts = [hashes.sha256, hashes.sha1 ?? "", hashes.md5 ?? "", size, format, width, height, sums];
    return Number(statements.add.run(...facts, place?.pack ?? null, place?.at ?? null).lastInsertRowid);
  }

  return {
    /** The blob's row. Only the folders know whether the bytes really are at that place. */
    find(sha256: string): BlobRow | undefined {
      const row = statements.find.get(sha256);
      if (row === undefined) return undefined;
      const { id, size, pack, at } = row;
      return { id, size, place: pack === null ? undefined : { pack, at }, isDamaged: row.damaged_at !== null };
    },
    /** True if the blob has a row that names a file of its own. */
    hasFile: (sha256: string) => statements.find.get(sha256)?.pack === null,
    /** Counts one more entry that uses the blob of a put. Moves its bytes if there is no row yet. Returns the id. */
    take(put: BlobFacts, { id, move }: NewPlace): number {
      if (id === undefined) return add(put, move());
      const { sha1, md5 } = put.info.hashes;
      if (sha1 !== undefined && md5 !== undefined) statements.learn.run(sha1, md5, id);
      statements.use.run(id);
      return id;
    },
    /** Counts one more entry that uses the blob. Returns the id. */
    use(id: number): number {
      statements.use.run(id);
      return id;
    },
    /** Counts one entry less. At zero, the blob's unused time begins. */
    unuse: (id: number, now: number) => void statements.unuse.run(now, id),
    /** Records that the blob's bytes are damaged and that it has no place. `refs` entries still use it. */
    markDamaged: (id: number, refs: number, now: number) => void statements.markDamaged.run(now, refs, id),
    remove: (id: number) => void statements.remove.run(id),
    /** Removes rows of blobs that are unused since before `unusedBefore`, oldest first. */
    forgetUnused({ unusedBefore, limit }: RequestOf<"sweep">): SweptBlob[] {
      const blobs = statements.unused.all(unusedBefore, limit);
      for (const { id } of blobs) statements.remove.run(id);
      return blobs.map(({ sha256, size }) => ({ sha256, size }));
    },
    /** The live blobs of a pack, oldest first. */
    inPack: (pack: number, limit: number) => statements.inPack.all(pack, limit),
    /** Undefined: to a file of its own. The blob is no longer damaged. */
    move: (id: number, place: PackPlace | undefined) =>
      void statements.move.run(place?.pack ?? null, place?.at ?? null, id),
    /** Removes rows of packs that are older than `newest` and have no live blob. Returns the packs. */
    forgetEmptyPacks(newest: number): number[] {
      const packs = statements.emptyPacks.all(newest).map(({ id }) => id);
      for (const pack of packs) statements.removePack.run(pack);
      return packs;
    },
    hasPack: (pack: number) => statements.pack.get(pack) !== undefined,
    /** The highest pack number; 0 if there is no pack. */
    newestPack: () => statements.newestPack.get()?.id ?? 0,
  };
}
