-- Takes a catalogue of format 8 back to format 7, so that the version before can open it. Images that wait for their
-- upload to an S3 store become rows of `queue/...` buckets again. Stop huiyuan first; see docs/install/upgrade.md.
BEGIN IMMEDIATE;
CREATE TEMP TABLE moved AS
  SELECT id AS source, 'queue/' || substr(name, 6) AS name FROM buckets
  WHERE id IN (SELECT bucket FROM entries WHERE certainty IS NOT NULL);
INSERT OR IGNORE INTO buckets (name) SELECT name FROM moved;
INSERT INTO entries (bucket, key, state, epoch, blob, is_stale, is_suspect, headers, via,
    origin_url, origin_etag, origin_last_modified, fetched_at, validated_at, life, modified_at, stored_at)
  SELECT buckets.id, key, state, 0, blob, is_stale, is_suspect, headers, via,
    origin_url, origin_etag, origin_last_modified, fetched_at, validated_at, life, modified_at, stored_at
  FROM moved JOIN buckets USING (name) JOIN entries ON bucket = source WHERE certainty IS NOT NULL;
DELETE FROM entries WHERE certainty IS NOT NULL AND epoch = 0;
UPDATE entries SET state = 'absent', blob = NULL, sum = NULL, certainty = NULL WHERE certainty IS NOT NULL;
UPDATE buckets SET (objects, bytes, query_keys) =
  (SELECT count(*), coalesce(sum(size), 0), coalesce(sum(instr(key, '?') > 0), 0)
   FROM entries JOIN blobs ON blobs.id = blob WHERE bucket = buckets.id)
  WHERE id IN (SELECT source FROM moved) OR name IN (SELECT name FROM moved);
DROP TABLE moved;
DROP INDEX entries_pending;
ALTER TABLE entries DROP COLUMN certainty;
PRAGMA user_version = 7;
COMMIT;
