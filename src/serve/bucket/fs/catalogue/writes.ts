// All changes of the catalogue's entries, as functions on a database. The writer calls each inside its transaction
// (batch.ts), so each is atomic. They touch no files. The rows of blobs are in blob-rows.ts.
import type { DeclaredLife, ObjectInfo } from "../../../../core/object.ts";
import type { Sqlite } from "../../../../core/sqlite.ts";
import { type CurrentEntry, decidePut, epochAfterPut, hasExpired, holdsVersion } from "../../contract/conditions.ts";
import type { PendingCertainty, PutResult } from "../../contract/driver.ts";
import type { BlobRows, NewPlace } from "./blob-rows.ts";
import { entrySum } from "./schema.ts";
import type { Handlers, PutRequest, QuarantinedEntry, RequestOf } from "./write-operations.ts";

/** The operations of the writer that change nothing but rows of entries, and two that the others need. */
export interface CatalogueWrites
  extends Pick<
    Handlers,
    "copy" | "delete" | "undelete" | "renew" | "purge" | "forget" | "confirm" | "forgetTombstones" | "probe"
  > {
  put(request: Omit<PutRequest, "source">, place: NewPlace, now: number): PutResult;
  /**
   * Makes entries of the blob absent if they can be fetched again: mirrored objects, and all of cache buckets. The
   * other entries keep the blob, which is marked as damaged. If none is left, the blob is removed.
   */
  quarantine(request: Pick<RequestOf<"quarantine">, "sha256" | "cacheBucketPrefixes">, now: number): QuarantinedEntry[];
}

interface EntryRow extends CurrentEntry {
  readonly blob: number | null;
  readonly size: number | null;
  readonly via: string | null;
  readonly certainty: PendingCertainty | null;
  readonly expires_at: number | null;
}

const UNTOUCHED: EntryRow = {
  state: "absent",
  epoch: 0,
  sha256: null,
  blob: null,
  size: null,
  via: null,
  certainty: null,
  expires_at: null,
};

const OBJECT_COLUMNS =
  "is_suspect, headers, via, origin_url, origin_etag, origin_last_modified, fetched_at, validated_at, life, modified_at, stored_at";

export function prepareCatalogueWrites(database: Sqlite, blobs: BlobRows): CatalogueWrites {
  const statements = {
    bucketId: database.prepare<[string], { id: number }>("SELECT id FROM buckets WHERE name = ?"),
    addBucket: database.prepare("INSERT INTO buckets (name) VALUES (?)"),
    count: database.prepare(
      "UPDATE buckets SET objects = objects + ?, bytes = bytes + ?, query_keys = query_keys + ? WHERE id = ?",
    ),
    entry: database.prepare<[number, string], EntryRow>(
      `SELECT state, epoch, via, certainty, expires_at, blob, blobs.sha256 AS sha256, blobs.size AS size
       FROM entries LEFT JOIN blobs ON blobs.id = blob WHERE bucket = ? AND key = ?`,
    ),
    entriesOf: database.prepare<
      [number],
      Omit<QuarantinedEntry, "isOnlyCopy"> & { bucketId: number; epoch: number; size: number; isPending: number }
    >(
      `SELECT buckets.name AS bucket, key, via, bucket AS bucketId, epoch, blobs.size AS size,
         certainty IS NOT NULL AS isPending
       FROM entries JOIN buckets ON buckets.id = bucket JOIN blobs ON blobs.id = blob WHERE blob = ?`,
    ),
    setObject: database.prepare(
      `INSERT OR REPLACE INTO entries (bucket, key, state, epoch, blob, sum, certainty, ${OBJECT_COLUMNS})
       VALUES (?, ?, 'object', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    setTombstone: database.prepare(
      `INSERT OR REPLACE INTO entries (bucket, key, state, epoch, deleted_at, reason, expires_at)
       VALUES (?, ?, 'tombstone', ?, ?, ?, ?)`,
    ),
    setAbsent: database.prepare(
      "INSERT OR REPLACE INTO entries (bucket, key, state, epoch) VALUES (?, ?, 'absent', ?)",
    ),
    setEpoch: database.prepare("UPDATE entries SET epoch = ?, is_stale = ? WHERE bucket = ? AND key = ?"),
    renew: database.prepare(
      `UPDATE entries SET is_stale = is_stale AND ?, origin_etag = ?, origin_last_modified = ?, validated_at = ?, life = ?
       WHERE bucket = ? AND key = ?`,
    ),
    forgetTombstones: database.prepare(
      `DELETE FROM entries WHERE (bucket, key) IN (
         SELECT bucket, key FROM entries WHERE expires_at < ? AND state = 'tombstone' LIMIT ?)`,
    ),
    removeEntry: database.prepare("DELETE FROM entries WHERE bucket = ? AND key = ?"),
    confirm: database.prepare("UPDATE entries SET certainty = NULL WHERE bucket = ? AND key = ?"),
    probe: database.prepare("UPDATE probes SET at = ?"),
  };

  // No cache: an id that was cached in a transaction that failed would name no bucket.
  function bucketOf(name: string): number {
    return statements.bucketId.get(name)?.id ?? Number(statements.addBucket.run(name).lastInsertRowid);
  }

  /** An expired tombstone counts as absent, but its epoch stays. */
  function entryOf(bucket: number, key: string, now: number): EntryRow {
    const row = statements.entry.get(bucket, key) ?? UNTOUCHED;
    const isExpired = row.state === "tombstone" && hasExpired({ expiresAt: row.expires_at ?? undefined }, now);
    return isExpired ? { ...row, state: "absent" } : row;
  }

  function count(bucket: number, key: string, by: 1 | -1, size: number): void {
    statements.count.run(by, by * size, key.includes("?") ? by : 0, bucket);
  }

  function release(bucket: number, key: string, entry: EntryRow, now: number): void {
    if (entry.blob === null) return;
    blobs.unuse(entry.blob, now);
    count(bucket, key, -1, entry.size ?? 0);
  }

  function storeObject(
    target: Pick<PutRequest, "info" | "condition"> & {
      readonly bucket: number;
      readonly useBlob: () => number;
      readonly certainty?: PendingCertainty | undefined;
      readonly isRepair?: boolean;
    },
    now: number,
  ) {
    const { bucket, info, condition, certainty = null, isRepair = false } = target;
    const entry = entryOf(bucket, info.key, now);
    // A client may upload the bytes of its damaged object again.
    const isVacant = isRepair && condition.when === "vacant" && entry.sha256 === info.hashes.sha256;
    const result = decidePut(isVacant ? { ...entry, state: "absent" } : entry, condition);
    if (result !== "stored") return result;
    // Before the old blob is released: equal bytes must not look unused in between.
    const blob = target.useBlob();
    count(bucket, info.key, 1, info.size);
    release(bucket, info.key, entry, now);
    const sum = entrySum(bucket, info.key, info.hashes.sha256);
    const epoch = epochAfterPut(entry, condition);
    statements.setObject.run(bucket, info.key, epoch, blob, sum, certainty, ...objectColumns(info));
    return result;
  }

  return {
    put(request, place, now) {
      const { bucket, info, condition, certainty } = request;
      const { id, move } = place;
      const isRepair = id !== undefined && move !== undefined;
      // Repeated bytes repair every entry that uses the damaged blob, even if the put is refused.
      if (isRepair) blobs.move(id, move());
      const useBlob = () => blobs.take(request, place);
      return storeObject({ bucket: bucketOf(bucket), info, useBlob, condition, certainty, isRepair }, now);
    },
    copy({ bucket, from, to, condition }, now) {
      const id = bucketOf(bucket);
      const source = entryOf(id, from, now);
      const { blob } = source;
      if (blob === null || source.sha256 !== to.hashes.sha256) return undefined;
      return storeObject({ bucket: id, info: to, useBlob: () => blobs.use(blob), condition }, now);
    },
    delete({ bucket, key, deletedAt, reason, expiresAt }, now) {
      const id = bucketOf(bucket);
      const entry = entryOf(id, key, now);
      release(id, key, entry, now);
      statements.setTombstone.run(id, key, entry.epoch + 1, deletedAt, reason, expiresAt ?? null);
      return entry.state === "object";
    },
    undelete({ bucket, key }, now) {
      const id = bucketOf(bucket);
      const entry = entryOf(id, key, now);
      if (entry.state !== "tombstone") return false;
      statements.setAbsent.run(id, key, entry.epoch);
      return true;
    },
    renew({ bucket, key, renewal }, now) {
      const id = bucketOf(bucket);
      if (!holdsVersion(entryOf(id, key, now), renewal)) return false;
      const { originEtag = null, originLastModified = null, validated, staysStale = false } = renewal;
      const life = lifeText(validated.life);
      statements.renew.run(Number(staysStale), originEtag, originLastModified, validated.at, life, id, key);
      return true;
    },
    purge({ bucket, key, hard, only }, now) {
      const id = bucketOf(bucket);
      const entry = entryOf(id, key, now);
      if (only !== undefined && !holdsVersion(entry, only)) return false;
      const epoch = entry.epoch + 1;
      const isMirrored = entry.state === "object" && entry.via === "mirror";
      if (isMirrored && hard) release(id, key, entry, now);
      // A key without a row gets one: the epoch must invalidate fills that are running.
      if (entry === UNTOUCHED || (isMirrored && hard)) statements.setAbsent.run(id, key, epoch);
      else statements.setEpoch.run(epoch, isMirrored ? 1 : 0, id, key);
      return isMirrored;
    },
    forget({ bucket, key, sha256, evenPending }, now) {
      const id = bucketOf(bucket);
      const entry = entryOf(id, key, now);
      if (entry.sha256 !== sha256 || (entry.certainty !== null && !evenPending)) return false;
      release(id, key, entry, now);
      // A key with epoch 0 needs no row.
      if (entry.epoch === 0) statements.removeEntry.run(id, key);
      else statements.setAbsent.run(id, key, entry.epoch);
      return true;
    },
    confirm({ bucket, key, sha256 }, now) {
      const id = bucketOf(bucket);
      if (entryOf(id, key, now).sha256 !== sha256) return false;
      statements.confirm.run(id, key);
      return true;
    },
    quarantine({ sha256, cacheBucketPrefixes }, now) {
      const blob = blobs.find(sha256);
      if (blob === undefined) return [];
      const entries = statements.entriesOf.all(blob.id).map((entry) => {
        const isOnlyCopy =
          entry.via !== "mirror" &&
          (entry.isPending === 1 || !cacheBucketPrefixes.some((folder) => entry.bucket.startsWith(folder)));
        return { ...entry, isOnlyCopy };
      });
      for (const entry of entries) {
        if (entry.isOnlyCopy) continue;
        statements.setAbsent.run(entry.bucketId, entry.key, entry.epoch);
        count(entry.bucketId, entry.key, -1, entry.size);
      }
      const onlyCopies = entries.filter(({ isOnlyCopy }) => isOnlyCopy).length;
      if (onlyCopies === 0) blobs.remove(blob.id);
      else blobs.markDamaged(blob.id, onlyCopies, now);
      return entries.map(({ bucket, key, via, isOnlyCopy }) => ({ bucket, key, via, isOnlyCopy }));
    },
    forgetTombstones: ({ expiredBefore, limit }) => statements.forgetTombstones.run(expiredBefore, limit).changes,
    probe({ at }) {
      statements.probe.run(at);
      return true;
    },
  };
}

function objectColumns(info: ObjectInfo): (string | number | null)[] {
  const { provenance, headers } = info;
  let hasHeaders = false;
  for (const _name in headers) hasHeaders = true;
  return [
    info.isSuspect ? 1 : 0,
    hasHeaders ? JSON.stringify(headers) : null,
    provenance.via,
    provenance.originUrl ?? null,
    provenance.originEtag ?? null,
    provenance.originLastModified ?? null,
    provenance.fetchedAt,
    provenance.validated?.at ?? null,
    provenance.validated === undefined ? null : lifeText(provenance.validated.life),
    info.modifiedAt,
    info.storedAt,
  ];
}

function lifeText(life: DeclaredLife): string | null {
  for (const _name in life) return JSON.stringify(life);
  return null;
}
