// Queries of the catalogue for the event loop. The prepared statements run on a read-only connection, take a few
// microseconds each, and never wait for the writer's fsync.
import type Database from "better-sqlite3";
import { isDamage, storeFailure } from "../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { DeclaredLife, Key, ObjectFormat, ObjectInfo, Provenance } from "../../../core/object.ts";
import { hasExpired } from "../../contract/conditions.ts";
import type { Entry, ListPage } from "../../contract/driver.ts";
import type { PackPlace } from "../writer/write-operations.ts";
import { entrySum } from "./schema.ts";

/** Every method throws store_failed if the catalogue cannot be read. */
export interface CatalogueReads {
  entry(bucket: string, key: Key): Entry;
  /** SHA-256 of the object under the key, lower-case hex; undefined if there is none. */
  sha256Of(bucket: string, key: Key): string | undefined;
  /** Any object of the bucket whose blob has this SHA-1 in its row. */
  findBySha1(bucket: string, sha1: string): ObjectInfo | undefined;
  list(bucket: string, options: { prefix: string; after: Key | undefined; limit: number }): ListPage;
  usage(bucket: string): { objects: number; bytes: number };
  buckets(): string[];
  /** Undefined if the blob has no row (any more). */
  blob(sha256: string): StoredBlob | undefined;
  hasPack(pack: number): boolean;
  /** Packs with more than a third of their bytes dead, oldest first. May include the newest. */
  sparsePacks(): number[];
  /** Number of objects with damaged bytes that cannot be fetched again. */
  damaged(): number;
  /** Number of blobs and their bytes on the disk, including unused ones in their grace time. */
  totals(): { blobs: number; bytes: number };
}

export interface StoredBlob {
  /** CRC-32 of each block, 4 bytes each, big-endian. */
  readonly sums: Buffer;
  /** Undefined: the blob has a file of its own, or is damaged. */
  readonly place: PackPlace | undefined;
  /** The bytes were found damaged and were quarantined. */
  readonly isDamaged: boolean;
}

interface ObjectRow {
  readonly key: Key;
  readonly size: number;
  readonly sha256: string;
  readonly sha1: string;
  readonly md5: string;
  readonly format: ObjectFormat;
  readonly width: number | null;
  readonly height: number | null;
  readonly is_suspect: number;
  readonly headers: string | null;
  readonly via: Provenance["via"];
  readonly origin_url: string | null;
  readonly origin_etag: string | null;
  readonly origin_last_modified: string | null;
  readonly fetched_at: number;
  readonly validated_at: number | null;
  readonly life: string | null;
  readonly modified_at: number;
  readonly stored_at: number;
  readonly sum: number | null;
  readonly damaged_at: number | null;
}

type EntryRow = { readonly epoch: number } & (
  | ({ readonly state: "object"; readonly is_stale: number } & ObjectRow)
  | {
      readonly state: "tombstone";
      readonly deleted_at: number;
      readonly reason: string;
      readonly expires_at: number | null;
    }
  | { readonly state: "absent" }
);

const OBJECT_COLUMNS = `key, size, sha256, sha1, md5, format, width, height, is_suspect, headers, via,
  origin_url, origin_etag, origin_last_modified, fetched_at, validated_at, life, modified_at, stored_at, sum, damaged_at`;

const UNTOUCHED: Entry = { state: "absent", epoch: 0 };
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});
const NO_LIFE: DeclaredLife = Object.freeze({});

/** `now`: Unix milliseconds. An expired tombstone is read as absent. */
export function prepareCatalogueReads(database: Database.Database, now: () => number): CatalogueReads {
  const statements = {
    bucketId: database.prepare<[string], { id: number }>("SELECT id FROM buckets WHERE name = ?"),
    buckets: database.prepare<[], { name: string }>("SELECT name FROM buckets ORDER BY name"),
    usage: database.prepare<[string], { objects: number; bytes: number }>(
      "SELECT objects, bytes FROM buckets WHERE name = ?",
    ),
    // Rows as arrays: building objects with names costs more than reading the values.
    entry: database
      .prepare<[number, string], RowValues>(
        `SELECT state, epoch, is_stale, deleted_at, reason, expires_at, ${OBJECT_COLUMNS}
         FROM entries LEFT JOIN blobs ON blobs.id = blob WHERE bucket = ? AND key = ?`,
      )
      .raw(),
    sha256: database.prepare<[number, string], { sha256: string }>(
      "SELECT sha256 FROM entries JOIN blobs ON blobs.id = blob WHERE bucket = ? AND key = ?",
    ),
    bySha1: database.prepare<[string, number], ObjectRow>(
      `SELECT ${OBJECT_COLUMNS} FROM blobs JOIN entries ON entries.blob = blobs.id
       WHERE sha1 = ? AND sha1 <> '' AND bucket = ? LIMIT 1`,
    ),
    listFrom: database.prepare<[number, string], ObjectRow>(
      `SELECT ${OBJECT_COLUMNS} FROM entries JOIN blobs ON blobs.id = blob WHERE bucket = ? AND key >= ? ORDER BY key`,
    ),
    listAfter: database.prepare<[number, string], ObjectRow>(
      `SELECT ${OBJECT_COLUMNS} FROM entries JOIN blobs ON blobs.id = blob WHERE bucket = ? AND key > ? ORDER BY key`,
    ),
    blob: database.prepare<[string], { sums: Buffer; pack: number | null; at: number; damaged_at: number | null }>(
      "SELECT block_sums AS sums, pack, pack_at AS at, damaged_at FROM blobs WHERE sha256 = ?",
    ),
    pack: database.prepare<[number], { id: number }>("SELECT id FROM packs WHERE id = ?"),
    sparsePacks: database.prepare<[], { id: number }>(
      "SELECT id FROM packs WHERE live_bytes * 3 < bytes * 2 ORDER BY id",
    ),
    damaged: database.prepare<[], { count: number }>(
      "SELECT coalesce(sum(refs), 0) AS count FROM blobs WHERE damaged_at IS NOT NULL",
    ),
    totals: database.prepare<[], { blobs: number; bytes: number }>("SELECT blobs, bytes FROM totals"),
  };
  // Ids of buckets, which never change. Bounded by the buckets that the settings name.
  const bucketIds = new Map<string, number>();

  function bucketOf(name: string): number | undefined {
    const known = bucketIds.get(name) ?? statements.bucketId.get(name)?.id;
    if (known !== undefined) bucketIds.set(name, known);
    return known;
  }

  return {
    entry: (bucket, key) =>
      guarded(() => {
        const id = bucketOf(bucket);
        if (id === undefined) return UNTOUCHED;
        const values = statements.entry.get(id, key);
        if (values === undefined) return UNTOUCHED;
        const row = rowOf(values);
        if (row.state === "object") checkSum(row, id);
        return entryOf(row, now);
      }),
    sha256Of: (bucket, key) =>
      guarded(() => {
        const id = bucketOf(bucket);
        return id === undefined ? undefined : statements.sha256.get(id, key)?.sha256;
      }),
    findBySha1: (bucket, sha1) =>
      guarded(() => {
        const id = bucketOf(bucket);
        const row = id === undefined ? undefined : statements.bySha1.get(sha1, id);
        if (id === undefined || row === undefined) return undefined;
        checkSum(row, id);
        return infoOf(row);
      }),
    list: (bucket, { prefix, after, limit }) =>
      guarded(() => {
        const id = bucketOf(bucket);
        if (id === undefined) return { objects: [], next: undefined };
        const isPastPrefix = after !== undefined && Buffer.compare(Buffer.from(after), Buffer.from(prefix)) >= 0;
        const rows = isPastPrefix ? statements.listAfter.iterate(id, after) : statements.listFrom.iterate(id, prefix);
        return pageOf(rows, { bucket: id, prefix, limit });
      }),
    usage: (bucket) => guarded(() => statements.usage.get(bucket) ?? { objects: 0, bytes: 0 }),
    buckets: () => guarded(() => statements.buckets.all().map(({ name }) => name)),
    blob: (sha256) =>
      guarded(() => {
        const row = statements.blob.get(sha256);
        if (row === undefined) return undefined;
        const { sums, pack, at } = row;
        return { sums, place: pack === null ? undefined : { pack, at }, isDamaged: row.damaged_at !== null };
      }),
    hasPack: (pack) => guarded(() => statements.pack.get(pack) !== undefined),
    sparsePacks: () => guarded(() => statements.sparsePacks.all().map(({ id }) => id)),
    damaged: () => guarded(() => statements.damaged.get()?.count ?? 0),
    totals: () => guarded(() => statements.totals.get() ?? { blobs: 0, bytes: 0 }),
  };
}

type RowValues = readonly (string | number | null)[];

/** `values` have the order of the statement's columns; the tables are STRICT and so enforce their types. */
function rowOf(values: RowValues): EntryRow {
  return {
    state: values[0],
    epoch: values[1],
    is_stale: values[2],
    deleted_at: values[3],
    reason: values[4],
    expires_at: values[5],
    key: values[6],
    size: values[7],
    sha256: values[8],
    sha1: values[9],
    md5: values[10],
    format: values[11],
    width: values[12],
    height: values[13],
    is_suspect: values[14],
    headers: values[15],
    via: values[16],
    origin_url: values[17],
    origin_etag: values[18],
    origin_last_modified: values[19],
    fetched_at: values[20],
    validated_at: values[21],
    life: values[22],
    modified_at: values[23],
    stored_at: values[24],
    sum: values[25],
    damaged_at: values[26],
  } satisfies Record<
    keyof ObjectRow | "state" | "epoch" | "is_stale" | "deleted_at" | "reason" | "expires_at",
    unknown
  > as EntryRow;
}

/** Keys with the same prefix are adjacent, so the first key without it ends the listing. */
function pageOf(
  rows: Iterable<ObjectRow>,
  { bucket, prefix, limit }: { readonly bucket: number; readonly prefix: string; readonly limit: number },
): ListPage {
  const objects: ObjectInfo[] = [];
  for (const row of rows) {
    if (!row.key.startsWith(prefix)) break;
    if (objects.length === limit) return { objects, next: objects.at(-1)?.key };
    checkSum(row, bucket);
    objects.push(infoOf(row));
  }
  return { objects, next: undefined };
}

function entryOf(row: EntryRow, now: () => number): Entry {
  const { epoch } = row;
  if (row.state === "object") return { state: "object", info: infoOf(row), epoch, isStale: row.is_stale === 1 };
  if (row.state === "absent") return { state: "absent", epoch };
  const expiresAt = row.expires_at ?? undefined;
  if (hasExpired({ expiresAt }, now())) return { state: "absent", epoch };
  return { state: "tombstone", deletedAt: row.deleted_at, reason: row.reason, expiresAt, epoch };
}

function infoOf(row: ObjectRow): ObjectInfo {
  const info: ObjectInfo = {
    key: row.key,
    size: row.size,
    hashes: { sha256: row.sha256, sha1: row.sha1 || undefined, md5: row.md5 || undefined },
    image: { format: row.format, width: row.width ?? undefined, height: row.height ?? undefined },
    headers: row.headers === null ? NO_HEADERS : (JSON.parse(row.headers) as Record<string, string>), // written by us
    provenance: {
      via: row.via,
      originUrl: row.origin_url ?? undefined,
      originEtag: row.origin_etag ?? undefined,
      originLastModified: row.origin_last_modified ?? undefined,
      fetchedAt: row.fetched_at,
      validated: row.validated_at === null ? undefined : { at: row.validated_at, life: lifeOf(row) },
    },
    modifiedAt: row.modified_at,
    storedAt: row.stored_at,
    isSuspect: row.is_suspect === 1,
  };
  return row.damaged_at === null ? info : { ...info, isDamaged: true };
}

function lifeOf({ life }: ObjectRow): DeclaredLife {
  return life === null ? NO_LIFE : (JSON.parse(life) as DeclaredLife); // written by us
}

/** Throws store_failed if the row names a blob that is not its own. */
function checkSum({ key, sha256, sum }: ObjectRow, bucket: number): void {
  if (sum !== null && sum !== entrySum(bucket, key, sha256)) throw damaged(undefined);
}

function guarded<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isDamage(error)) throw storeFailure(error, "read the catalogue");
    throw damaged(error);
  }
}

function damaged(cause: unknown): HuiyuanError {
  return new HuiyuanError(
    "store_failed",
    "Cannot read the catalogue: it is damaged; stop huiyuan and restore the data folder from a backup",
    { cause },
  );
}
