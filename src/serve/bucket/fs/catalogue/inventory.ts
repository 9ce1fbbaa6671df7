// Lists the blobs that a copy of a catalogue names, and where their bytes are: for a backup, its verification and a
// restore. Reads a file that nobody writes.
import { dirname } from "node:path";
import { isDamage, storeFailure } from "../../../../core/disk-failure.ts";
import { checkWhole } from "../../../../sqlite/open-database.ts";
import { isBlobName } from "../blob-places.ts";
import { openCatalogueForReading, SCHEMA_VERSION } from "./schema.ts";

export interface ListedBlob {
  /** Lower-case hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** `end`: the offset behind the last blob of the pack. */
export interface ListedPack {
  readonly pack: number;
  readonly end: number;
}

/** Blobs that are known to be damaged have no bytes and are not listed. All methods throw store_failed. */
export interface Inventory {
  /** The version of the tables, and the one that this program writes. */
  readonly version: number;
  readonly ownVersion: number;
  /** Reads all of the file. Throws store_failed if it is damaged, or if a row leads to no blob: it names the row. */
  check(): void;
  totals(): { readonly objects: number; readonly bytes: number };
  /** The next thousand blobs with a file of their own, by SHA-256; empty behind the last one. */
  filesAfter(sha256: string): readonly ListedBlob[];
  /** Every pack that has a blob, by number. */
  packs(): readonly ListedPack[];
  /** The blobs of a pack that begin at or behind the offset, in the order of their places. */
  inPack(pack: number, from: number): readonly (ListedBlob & { readonly at: number })[];
  /** True if each blob of the pack that begins before `end` has the same place in the previous catalogue. */
  continues(pack: number, end: number): boolean;
  /** Some objects with the blob's bytes, as `<appid>/<bucket> <key>`. */
  objectsOf(sha256: string): readonly string[];
  close(): void;
}

const PAGE = 1_000;
const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0;
const FEW = 5;

/** `previous`: the copy of an earlier catalogue; without it, `continues` must not be called. Throws store_failed. */
export function openInventory(path: string, previous?: string): Inventory {
  const guarded = <Result>(run: () => Result, damaged = path): Result => {
    try {
      return run();
    } catch (error) {
      const next = damaged === path ? "" : `; move the folder "${dirname(damaged)}" away, then back up again`;
      throw storeFailure(error, `read the catalogue "${damaged}"${isDamage(error) ? ", which is damaged" : ""}${next}`);
    }
  };
  return guarded(() => {
    const database = openCatalogueForReading(path);
    const all = <Row>(sql: string, ...values: readonly (string | number)[]) =>
      guarded(() => database.prepare<(string | number)[], Row>(sql).all(...values));
    // The first read of the file: SQLite would take its damage for that of an attached one.
    const version = all<{ user_version: number }>("SELECT user_version FROM pragma_user_version")[0]?.user_version ?? 0;
    if (previous !== undefined) guarded(() => database.prepare("ATTACH ? AS previous").run(previous), previous);
    return {
      version,
      ownVersion: SCHEMA_VERSION,
      check: () =>
        guarded(() => {
          checkWhole(database);
          // A query of a view may never end.
          const [view] = all<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'view' LIMIT 1");
          if (view !== undefined) throw new Error(`it has the view ${JSON.stringify(view.name)}, wanted tables only`);
          const rows = database.prepare<[], Record<"id" | "sha256" | "size" | "pack" | "pack_at", unknown>>(
            "SELECT id, sha256, size, pack, pack_at FROM blobs",
          );
          for (const { id, sha256, size, pack, pack_at } of rows.iterate())
            if (!isBlobName(sha256) || !isCount(size) || (pack !== null && !(isCount(pack) && isCount(pack_at))))
              throw new Error(`row ${id} of its table "blobs" leads to no blob`);
        }),
      totals() {
        const [objects] = all<{ sum: number }>("SELECT coalesce(sum(objects), 0) AS sum FROM buckets");
        const [bytes] = all<{ sum: number }>(
          "SELECT coalesce(sum(size), 0) AS sum FROM blobs WHERE damaged_at IS NULL",
        );
        return { objects: objects?.sum ?? 0, bytes: bytes?.sum ?? 0 };
      },
      filesAfter: (sha256) =>
        all(
          `SELECT sha256, size FROM blobs WHERE sha256 > ? AND pack IS NULL AND damaged_at IS NULL
           ORDER BY sha256 LIMIT ${PAGE}`,
          sha256,
        ),
      packs: () =>
        all("SELECT pack, max(pack_at + size) AS end FROM blobs WHERE pack IS NOT NULL GROUP BY pack ORDER BY pack"),
      inPack: (pack, from) =>
        all(
          "SELECT sha256, size, pack_at AS at FROM blobs WHERE pack = ? AND pack_at >= ? ORDER BY pack_at",
          pack,
          from,
        ),
      continues: (pack, end) =>
        guarded(
          () =>
            database
              .prepare<number[]>(
                `SELECT 1 FROM main.blobs AS blob WHERE pack = ? AND pack_at < ? AND NOT EXISTS (
             SELECT 1 FROM previous.blobs AS known
             WHERE known.sha256 = blob.sha256 AND known.pack = blob.pack AND known.pack_at = blob.pack_at) LIMIT 1`,
              )
              .all(pack, end),
          previous,
        ).length === 0,
      objectsOf: (sha256) =>
        all<{ name: string }>(
          `SELECT buckets.name || ' ' || key AS name FROM blobs JOIN entries ON entries.blob = blobs.id
           JOIN buckets ON buckets.id = entries.bucket WHERE sha256 = ? LIMIT ${FEW}`,
          sha256,
        ).map(({ name }) => name),
      close: () => void database.close(),
    };
  });
}
