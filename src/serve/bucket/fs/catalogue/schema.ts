// The tables of the catalogue, their migrations, and how its file is opened. Only the writer opens it for writing.
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { errorCodeOf, isDamage, storeFailure } from "../../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../../core/errors.ts";
import { openSqlite, type Sqlite } from "../../../../core/sqlite.ts";
import { openDatabase } from "../../../../sqlite/open-database.ts";
import { ONCE_SCHEMA } from "../../../sign/once.ts";

/** Raised with every change of the tables, together with a new step in `STEPS`. */
export const SCHEMA_VERSION = 8;

// Times are Unix milliseconds.
// - `blobs.id` never leaves the catalogue. A blob with refs = 0 has `unused_since`, and the sweep may remove it.
// - `blobs.sha1`, `md5`: empty until a digest was computed.
// - `blobs.pack`, `pack_at`: NULL for a blob that has a file of its own.
// - `blobs.damaged_at`: the bytes were found damaged and quarantined, but an entry that cannot be fetched again uses
//   them. Such a blob has neither a file nor a place in a pack.
// - `buckets.query_keys`: objects whose key has a query.
// - `entries.key`: compared by UTF-8 bytes (BINARY collation), which is the order of listings.
// - `entries.sum`: entrySum(); NULL in rows from before that column.
// - `entries.certainty`: as in Entry, of an object that a remote store lacks yet; NULL for all others.
// - `entries.life`: a DeclaredLife as JSON; NULL if it is empty.
const SCHEMA = `
  CREATE TABLE buckets (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    objects INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    query_keys INTEGER NOT NULL DEFAULT 0
  ) STRICT;

  CREATE TABLE blobs (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    sha1 TEXT NOT NULL,
    md5 TEXT NOT NULL,
    size INTEGER NOT NULL,
    format TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    block_sums BLOB NOT NULL,
    refs INTEGER NOT NULL DEFAULT 0,
    unused_since INTEGER,
    pack INTEGER,
    pack_at INTEGER
  ) STRICT;
  CREATE INDEX blobs_unused ON blobs (unused_since) WHERE unused_since IS NOT NULL;

  CREATE TABLE entries (
    bucket INTEGER NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('object', 'tombstone', 'absent')),
    epoch INTEGER NOT NULL,
    blob INTEGER,
    sum INTEGER,
    certainty TEXT CHECK (certainty IN ('pending', 'unknown')),
    is_stale INTEGER NOT NULL DEFAULT 0,
    is_suspect INTEGER NOT NULL DEFAULT 0,
    headers TEXT,
    via TEXT,
    origin_url TEXT,
    origin_etag TEXT,
    origin_last_modified TEXT,
    fetched_at INTEGER,
    validated_at INTEGER,
    life TEXT,
    modified_at INTEGER,
    stored_at INTEGER,
    deleted_at INTEGER,
    reason TEXT,
    expires_at INTEGER,
    PRIMARY KEY (bucket, key),
    CHECK ((state = 'object') = (blob IS NOT NULL))
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX entries_blob ON entries (blob) WHERE blob IS NOT NULL;
  CREATE INDEX entries_expiring ON entries (expires_at) WHERE expires_at IS NOT NULL;

  CREATE TABLE totals (blobs INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
  INSERT INTO totals VALUES (0, 0);
  CREATE TRIGGER blob_added AFTER INSERT ON blobs BEGIN
    UPDATE totals SET blobs = blobs + 1, bytes = bytes + new.size;
  END;
  CREATE TRIGGER blob_removed AFTER DELETE ON blobs BEGIN
    UPDATE totals SET blobs = blobs - 1, bytes = bytes - old.size;
  END;

  CREATE TABLE probes (at INTEGER NOT NULL) STRICT;
  INSERT INTO probes VALUES (0);
`;

// `packs.bytes`: all bytes that rows ever placed in the pack. `live_bytes`: the bytes of blobs that are still in it.
const PACKS = `
  CREATE INDEX blobs_pack ON blobs (pack) WHERE pack IS NOT NULL;

  CREATE TABLE packs (id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, live_bytes INTEGER NOT NULL) STRICT;
  CREATE TRIGGER blob_packed AFTER INSERT ON blobs WHEN new.pack IS NOT NULL BEGIN
    INSERT INTO packs VALUES (new.pack, new.size, new.size)
      ON CONFLICT (id) DO UPDATE SET bytes = bytes + new.size, live_bytes = live_bytes + new.size;
  END;
  CREATE TRIGGER blob_left_pack AFTER DELETE ON blobs WHEN old.pack IS NOT NULL BEGIN
    UPDATE packs SET live_bytes = live_bytes - old.size WHERE id = old.pack;
  END;
  CREATE TRIGGER blob_moved AFTER UPDATE OF pack ON blobs WHEN new.pack IS NOT old.pack BEGIN
    UPDATE packs SET live_bytes = live_bytes - old.size WHERE id = old.pack;
    INSERT INTO packs SELECT new.pack, new.size, new.size WHERE new.pack IS NOT NULL
      ON CONFLICT (id) DO UPDATE SET bytes = bytes + new.size, live_bytes = live_bytes + new.size;
  END;
`;

/** Only rows of uploads are in the index, so mirrored objects do not pay for it. */
const BY_SHA1 = "CREATE INDEX blobs_sha1 ON blobs (sha1) WHERE sha1 <> '';";

const DAMAGED = `
  ALTER TABLE blobs ADD COLUMN damaged_at INTEGER;
  CREATE INDEX blobs_damaged ON blobs (damaged_at) WHERE damaged_at IS NOT NULL;
`;

/** Few rows: listings of the pending objects read no others. */
const PENDING = "CREATE INDEX entries_pending ON entries (bucket, key) WHERE certainty IS NOT NULL;";

/**
 * Up to version 7, pending objects were rows of buckets of their own, `queue/<store>/<appid>/<bucket>`. They become
 * rows of the bucket that has the epochs and copies of the same keys. config/downgrade/catalogue-7.sql is the way back.
 */
const QUEUE_TO_PENDING = `
  ALTER TABLE entries ADD COLUMN certainty TEXT CHECK (certainty IN ('pending', 'unknown'));
  ${PENDING}
  INSERT OR IGNORE INTO buckets (name)
    SELECT 'edge/' || substr(name, 7) FROM buckets WHERE name LIKE 'queue/%/%/%';
  CREATE TEMP TABLE moved AS
    SELECT queue.id AS source, edge.id AS target
    FROM buckets AS queue JOIN buckets AS edge ON edge.name = 'edge/' || substr(queue.name, 7)
    WHERE queue.name LIKE 'queue/%/%/%';
  CREATE TEMP TABLE replaced AS
    SELECT copy.blob AS blob FROM moved JOIN entries AS queued ON queued.bucket = source
      JOIN entries AS copy ON copy.bucket = target AND copy.key = queued.key
    WHERE queued.state = 'object' AND copy.blob IS NOT NULL;
  INSERT OR REPLACE INTO entries (bucket, key, state, epoch, certainty, blob, is_stale, is_suspect, headers, via,
      origin_url, origin_etag, origin_last_modified, fetched_at, validated_at, life, modified_at, stored_at)
    SELECT target, key, state,
      coalesce((SELECT epoch FROM entries AS old WHERE old.bucket = target AND old.key = queued.key), 0),
      'unknown', blob, is_stale, is_suspect, headers, via,
      origin_url, origin_etag, origin_last_modified, fetched_at, validated_at, life, modified_at, stored_at
    FROM moved JOIN entries AS queued ON queued.bucket = source WHERE state = 'object';
  DELETE FROM entries WHERE bucket IN (SELECT source FROM moved);
  DELETE FROM buckets WHERE id IN (SELECT source FROM moved);
  UPDATE buckets SET (objects, bytes, query_keys) =
    (SELECT count(*), coalesce(sum(size), 0), coalesce(sum(instr(key, '?') > 0), 0)
     FROM entries JOIN blobs ON blobs.id = blob WHERE bucket = buckets.id)
    WHERE id IN (SELECT target FROM moved);
  UPDATE blobs SET refs = (SELECT count(*) FROM entries WHERE blob = blobs.id)
    WHERE id IN (SELECT blob FROM replaced);
  UPDATE blobs SET unused_since = unixepoch() * 1000 WHERE refs = 0 AND id IN (SELECT blob FROM replaced);
  DROP TABLE replaced;
  DROP TABLE moved;
`;

/** The SQL that migrates a catalogue of version N to N + 1, at index N. */
const STEPS: readonly string[] = [
  SCHEMA + PENDING + PACKS + BY_SHA1 + DAMAGED + ONCE_SCHEMA,
  "ALTER TABLE entries ADD COLUMN sum INTEGER",
  `ALTER TABLE entries ADD COLUMN validated_at INTEGER;
   ALTER TABLE entries ADD COLUMN life TEXT;
   ALTER TABLE entries ADD COLUMN expires_at INTEGER;
   CREATE INDEX entries_expiring ON entries (expires_at) WHERE expires_at IS NOT NULL;`,
  `ALTER TABLE blobs ADD COLUMN pack INTEGER;
   ALTER TABLE blobs ADD COLUMN pack_at INTEGER;
   ${PACKS}`,
  BY_SHA1,
  DAMAGED,
  `ALTER TABLE buckets ADD COLUMN query_keys INTEGER NOT NULL DEFAULT 0;
   UPDATE buckets SET query_keys =
     (SELECT count(*) FROM entries WHERE bucket = buckets.id AND state = 'object' AND instr(key, '?') > 0);`,
  QUEUE_TO_PENDING,
];

// A check reads the whole file: about 0.2 s for this size, which is the catalogue of some 200,000 objects.
const CHECKED_AT_START_BYTES = 96 * 1_048_576;

/**
 * Opens the writer's connection: creates or migrates the tables, WAL, every commit synced. Throws store_failed, with
 * the operator's next step, if the file is damaged, newer than this program, or not writable.
 */
export function openCatalogue(path: string): Sqlite {
  try {
    refuseEmptied(path);
    return openDatabase(path, {
      name: `the catalogue "${path}"`,
      version: SCHEMA_VERSION,
      // A new catalogue gets the current tables at once.
      stepsFrom: (version) => (version === 0 ? STEPS.slice(0, 1) : STEPS.slice(version)),
      maxCheckedBytes: CHECKED_AT_START_BYTES,
      maxLogBytes: 67_108_864,
    });
  } catch (error) {
    throw openingFailure(path, error);
  }
}

/** Prepares statements on a catalogue that was just opened. Throws store_failed as openCatalogue() does. */
export function prepareOn<Prepared>(path: string, prepare: () => Prepared): Prepared {
  try {
    return prepare();
  } catch (error) {
    throw openingFailure(path, error);
  }
}

/** Our statements fit our tables, so an SQLITE_ERROR means that the tables are not the ones that were created. */
function openingFailure(path: string, error: unknown): HuiyuanError {
  if (isDamage(error) || errorCodeOf(error) === "SQLITE_ERROR") return damaged(path, error);
  return storeFailure(error, `open the catalogue "${path}"`);
}

/** Opens a read-only connection. The writer has opened the file before. */
export function openCatalogueForReading(path: string): Sqlite {
  // Readers never wait in WAL mode. The time-out is for the recovery of the log after a crash.
  return openSqlite(path, { readonly: true, timeout: 200 });
}

/**
 * Refuses an empty catalogue beside blobs: it is what remained of a real one. SQLite would take it for a new database,
 * and the sweep would remove all blobs.
 */
function refuseEmptied(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.size !== 0) return;
  const hasBlobs = ["blobs", "packs"].some((name) => readdirSync(join(dirname(path), name)).length > 0);
  if (hasBlobs) throw damaged(path, new Error("the file is empty, but there are blobs"));
}

function damaged(path: string, cause: unknown): HuiyuanError {
  // SQLite's message may have several lines.
  const found = (cause instanceof Error ? cause.message : String(cause)).replaceAll("\n", " ");
  return new HuiyuanError(
    "store_failed",
    `Cannot open the catalogue "${path}": it is damaged (${found}); restore the data folder from a backup, or move ` +
      "catalogue.db, catalogue.db-wal and catalogue.db-shm away to begin with an empty bucket that fills from the origin again",
    { cause },
  );
}

/**
 * The checksum that ties an entry to its blob: CRC-32 of bucket number, key and the blob's SHA-256 (lower-case hex).
 * SQLite has no checksums: one wrong bit in a key or a blob number would give a key the image of another one.
 */
export function entrySum(bucket: number, key: string, sha256: string): number {
  return crc32(`${bucket}\n${key}\n${sha256}`);
}
