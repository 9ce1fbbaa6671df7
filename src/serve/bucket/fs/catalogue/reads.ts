// Queries of the catalogue for the event loop. The prepared statements run on a read-only connection, take a few
// microseconds each, and never wait for the writer's fsync. It is long because the rows have many columns.
import { isDamage, storeFailure } from "../../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../../core/errors.ts";
import type { DeclaredLife, Key, ObjectFormat, ObjectInfo, Provenance } from "../../../../core/object.ts";
import { bufferOf, type Sqlite } from "../../../../core/sqlite.ts";
import { hasExpired } from "../../contract/conditions.ts";
import type { Entry, ListOptions, PendingCertainty } from "../../contract/driver.ts";
import { entrySum } from "./schema.ts";
import type { PackPlace } from "./write-operations.ts";

/** Every method throws store_failed if the catalogue cannot be read. */
export interface CatalogueReads {
  entry(bucket: string, key: Key): Entry;
  /** SHA-256 of the object under the key, lower-case hex; undefined if there is none. */
  sha256Of(bucket: string, key: Key): string | undefined;
  /** Any object of the bucket whose blob has this SHA-1 in its row. */
  findBySha1(bucket: string, sha1: string): ObjectInfo | undefined;
  /** Whether another key of the bucket has these bytes. */
  hasTwin(bucket: string, key: Key, sha256: string): boolean;
  list(bucket: string, options: ListOptions, only: ListedState): ListedRows;
  /** A page of rows behind a key. Damaged rows are in it too, so that one of them hides no others. */
  rows(bucket: string, state: RowState, after: string): RowFacts[];
  usage(bucket: string): { objects: number; bytes: number };
  queryKeys(bucket: string): number;
  buckets(): string[];
  /** Undefined if the blob has no row (any more). */
  blob(sha256: string): StoredBlob | undefined;
  hasPack(pack: number): boolean;
  /** Packs with more than a third of their bytes dead, oldest first. May include the newest. */
  sparsePacks(): number[];
  /** Number of objects with damaged bytes that cannot be fetched again. */
  damaged(): number;
}

/** The objects of a listing: all, or those that wait for their upload. */
export type ListedState = "any" | "pending";

/** The objects that wait for their upload, or the others. */
export type RowState = "pending" | "confirmed";

/** The facts of a row, unproven. `storedAt`: Unix milliseconds. */
export type RowFacts = Pick<ObjectInfo, "key" | "size" | "storedAt"> & Pick<ObjectInfo["hashes"], "sha256">;

/** Rows that a listing reads in one turn, in some 4 ms. All may be tombstones, which it passes over. */
const MAX_PASSED = 50_000;

export interface ListedRows {
  readonly objects: readonly ObjectInfo[];
  /** More objects follow than the limit. */
  readonly isCut: boolean;
  /** The last of MAX_PASSED rows, if it came so far: the listing goes on behind this key. */
  readonly passed?: Key | undefined;
}

/** SQLite takes the primary key for the pending rows too, unless it is told. */
const ROWS_OF = {
  any: ["entries", ""],
  pending: ["entries INDEXED BY entries_pending", "AND certainty IS NOT NULL"],
  confirmed: ["entries", "AND certainty IS NULL"],
} as const satisfies Record<ListedState | RowState, readonly [source: string, filter: string]>;

export interface StoredBlob {
  /** CRC-32 of each block, 4 bytes each, big-endian. */
  readonly sums: Buffer;
  /** Undefined: the blob has a file of its own, or is damaged. */
  readonly place: PackPlace | undefined;
  /** The bytes were found damaged and were quarantined. */
  readonly isDamaged: boolean;
}

/** The values of OBJECT_COLUMNS. Rows are arrays: building objects with names costs more than reading the values. */
type ObjectRow = [
  key: Key,
  size: number,
  sha256: string,
  sha1: string,
  md5: string,
  format: ObjectFormat,
  width: number | null,
  height: number | null,
  isSuspect: number,
  headers: string | null,
  via: Provenance["via"],
  originUrl: string | null,
  originEtag: string | null,
  originLastModified: string | null,
  fetchedAt: number,
  validatedAt: number | null,
  life: string | null,
  modifiedAt: number,
  storedAt: number,
  sum: number | null,
  damagedAt: number | null,
];

const OBJECT_COLUMNS = `key, size, sha256, sha1, md5, format, width, height, is_suspect, headers, via,
  origin_url, origin_etag, origin_last_modified, fetched_at, validated_at, life, modified_at, stored_at, sum, damaged_at`;

type EntryRow =
  | [
      state: "object",
      epoch: number,
      isStale: number,
      certainty: PendingCertainty | null,
      deletedAt: null,
      reason: null,
      expiresAt: null,
      ...object: ObjectRow,
    ]
  | [
      state: "tombstone",
      epoch: number,
      isStale: number,
      certainty: null,
      deletedAt: number,
      reason: string,
      expiresAt: number | null,
    ]
  | [state: "absent", epoch: number];

const UNTOUCHED: Entry = { state: "absent", epoch: 0 };
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});
const NO_LIFE: DeclaredLife = Object.freeze({});

/** `now`: Unix milliseconds. An expired tombstone is read as absent. */
export function prepareCatalogueReads(database: Sqlite, now: () => number): CatalogueReads {
  const statements = {
    bucketId: database.prepare<[string], { id: number }>("SELECT id FROM buckets WHERE name = ?"),
    buckets: database.prepare<[], { name: string }>("SELECT name FROM buckets ORDER BY name"),
    usage: database.prepare<[string], { objects: number; bytes: number }>(
      "SELECT objects, bytes FROM buckets WHERE name = ?",
    ),
    queryKeys: database.prepare<[string], { count: number }>("SELECT query_keys AS count FROM buckets WHERE name = ?"),
    entry: database.prepareArrays<[number, string], EntryRow>(
      `SELECT state, epoch, is_stale, certainty, deleted_at, reason, expires_at, ${OBJECT_COLUMNS}
       FROM entries LEFT JOIN blobs ON blobs.id = blob WHERE bucket = ? AND key = ?`,
    ),
    sha256: database.prepare<[number, string], { sha256: string }>(
      "SELECT sha256 FROM entries JOIN blobs ON blobs.id = blob WHERE bucket = ? AND key = ?",
    ),
    bySha1: database.prepareArrays<[string, number], ObjectRow>(
      `SELECT ${OBJECT_COLUMNS} FROM blobs JOIN entries ON entries.blob = blobs.id
       WHERE sha1 = ? AND sha1 <> '' AND bucket = ? LIMIT 1`,
    ),
    twin: database.prepare<[string, string, string], object>(
      `SELECT 1 FROM entries WHERE blob = (SELECT id FROM blobs WHERE sha256 = ?)
       AND bucket = (SELECT id FROM buckets WHERE name = ?) AND key <> ? LIMIT 1`,
    ),
    rows: { pending: prepareRows("pending"), confirmed: prepareRows("confirmed") },
    list: { any: prepareList("any"), pending: prepareList("pending") },
    blob: database.prepare<[string], { sums: Uint8Array; pack: number | null; at: number; damaged_at: number | null }>(
      "SELECT block_sums AS sums, pack, pack_at AS at, damaged_at FROM blobs WHERE sha256 = ?",
    ),
    pack: database.prepare<[number], { id: number }>("SELECT id FROM packs WHERE id = ?"),
    sparsePacks: database.prepare<[], { id: number }>(
      "SELECT id FROM packs WHERE live_bytes * 3 < bytes * 2 ORDER BY id",
    ),
    damaged: database.prepare<[], { count: number }>(
      "SELECT coalesce(sum(refs), 0) AS count FROM blobs WHERE damaged_at IS NOT NULL",
    ),
  };
  function prepareRows(state: RowState) {
    const [entries, filter] = ROWS_OF[state];
    return database.prepare<[number, string], RowFacts>(
      `SELECT key, size, sha256, stored_at AS storedAt FROM ${entries} CROSS JOIN blobs ON blobs.id = blob
       WHERE bucket = ? AND key > ? ${filter} ORDER BY key LIMIT 1000`,
    );
  }

  function prepareList(only: ListedState) {
    const [entries, filter] = ROWS_OF[only];
    const prepare = (comparison: ">=" | ">") => {
      const rows = (columns: string, count: string) =>
        `SELECT ${columns} FROM ${entries} WHERE bucket = ? AND key ${comparison} ? ${filter} ORDER BY key LIMIT ${count}`;
      return {
        // CROSS: the rows are read one by one, in their order, until enough objects are found.
        objects: database.prepareArrays<[number, string], ObjectRow>(
          `SELECT ${OBJECT_COLUMNS} FROM (${rows("*", `${MAX_PASSED}`)}) CROSS JOIN blobs ON blobs.id = blob`,
        ),
        last: database.prepare<[number, string], { key: Key }>(rows("key", `1 OFFSET ${MAX_PASSED - 1}`)),
      };
    };
    return { from: prepare(">="), after: prepare(">") };
  }

  // Ids of buckets, which never change. Bounded by the buckets that the settings name.
  const bucketIds = new Map<string, number>();

  function bucketOf(name: string): number | undefined {
    const known = bucketIds.get(name) ?? statements.bucketId.get(name)?.id;
    if (known !== undefined) bucketIds.set(name, known);
    return known;
  }

  /** Reads from a bucket; `absent` if nothing was ever written to it. */
  function readIn<Result>(bucket: string, absent: Result, read: (id: number) => Result): Result {
    return guarded(() => {
      const id = bucketOf(bucket);
      return id === undefined ? absent : read(id);
    });
  }

  return {
    entry: (bucket, key) =>
      readIn(bucket, UNTOUCHED, (id) => {
        const row = statements.entry.get(id, key);
        return row === undefined ? UNTOUCHED : entryOf(row, id, now);
      }),
    sha256Of: (bucket, key) => readIn(bucket, undefined, (id) => statements.sha256.get(id, key)?.sha256),
    findBySha1: (bucket, sha1) =>
      readIn(bucket, undefined, (id) => {
        const row = statements.bySha1.get(sha1, id);
        return row && infoOf(row, id);
      }),
    hasTwin: (bucket, key, sha256) => guarded(() => statements.twin.get(sha256, bucket, key) !== undefined),
    list: (bucket, { prefix, after, limit }, only) =>
      readIn<ListedRows>(bucket, { objects: [], isCut: false }, (id) => {
        const isPastPrefix = after !== undefined && Buffer.compare(Buffer.from(after), Buffer.from(prefix)) >= 0;
        const [list, from] = isPastPrefix ? [statements.list[only].after, after] : [statements.list[only].from, prefix];
        const objects: ObjectInfo[] = [];
        for (const row of list.objects.iterate(id, from)) {
          // Keys with the same prefix are adjacent.
          if (!row[0].startsWith(prefix)) return { objects, isCut: false };
          if (objects.length === limit) return { objects, isCut: true };
          objects.push(infoOf(row, id));
        }
        const passed = list.last.get(id, from)?.key;
        return { objects, isCut: false, passed: passed?.startsWith(prefix) === true ? passed : undefined };
      }),
    rows: (bucket, state, after) => readIn(bucket, [], (id) => statements.rows[state].all(id, after)),
    usage: (bucket) => guarded(() => statements.usage.get(bucket) ?? { objects: 0, bytes: 0 }),
    queryKeys: (bucket) => guarded(() => statements.queryKeys.get(bucket)?.count ?? 0),
    buckets: () => guarded(() => statements.buckets.all().map(({ name }) => name)),
    blob: (sha256) =>
      guarded(() => {
        const row = statements.blob.get(sha256);
        if (row === undefined) return undefined;
        const { sums, pack, at } = row;
        return {
          sums: bufferOf(sums),
          place: pack === null ? undefined : { pack, at },
          isDamaged: row.damaged_at !== null,
        };
      }),
    hasPack: (pack) => guarded(() => statements.pack.get(pack) !== undefined),
    sparsePacks: () => guarded(() => statements.sparsePacks.all().map(({ id }) => id)),
    damaged: () => guarded(() => statements.damaged.get()?.count ?? 0),
  };
}

function entryOf(row: EntryRow, bucket: number, now: () => number): Entry {
  const epoch = row[1];
  if (row[0] === "absent") return { state: "absent", epoch };
  if (row[0] === "object") {
    const [, , isStale, certainty, , , , ...object] = row;
    const entry: Entry = { state: "object", info: infoOf(object, bucket), epoch, isStale: isStale === 1 };
    return certainty === null ? entry : { ...entry, certainty };
  }
  const [, , , , deletedAt, reason, expires] = row;
  const expiresAt = expires ?? undefined;
  if (hasExpired({ expiresAt }, now())) return { state: "absent", epoch };
  return { state: "tombstone", deletedAt, reason, expiresAt, epoch };
}

/** Throws store_failed if the row names a blob that is not its own. The JSON was written by us. */
function infoOf(row: ObjectRow, bucket: number): ObjectInfo {
  const [key, size, sha256, sha1, md5, format, width, height, isSuspect, headers, via, originUrl, ...more] = row;
  const [originEtag, originLastModified, fetchedAt, validatedAt, life, modifiedAt, storedAt, sum, damagedAt] = more;
  if (sum !== null && sum !== entrySum(bucket, key, sha256)) throw damaged(undefined);
  const declared = life === null ? NO_LIFE : (JSON.parse(life) as DeclaredLife);
  const info: ObjectInfo = {
    key,
    size,
    hashes: { sha256, sha1: sha1 || undefined, md5: md5 || undefined },
    image: { format, width: width ?? undefined, height: height ?? undefined },
    headers: headers === null ? NO_HEADERS : (JSON.parse(headers) as Record<string, string>),
    provenance: {
      via,
      originUrl: originUrl ?? undefined,
      originEtag: originEtag ?? undefined,
      originLastModified: originLastModified ?? undefined,
      fetchedAt,
      validated: validatedAt === null ? undefined : { at: validatedAt, life: declared },
    },
    modifiedAt,
    storedAt,
    isSuspect: isSuspect === 1,
  };
  return damagedAt === null ? info : { ...info, isDamaged: true };
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
