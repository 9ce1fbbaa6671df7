// Reads the keys that the embedded store of a running server holds, from its catalogue.
import { join } from "node:path";
import { openSqlite } from "../../src/core/sqlite.ts";

/** Keys of the bucket's objects, sorted. `data`: the data folder; `bucketId`: `<appid>/<name>`. */
export function keysIn(data: string, bucketId: string): readonly string[] {
  const database = openSqlite(join(data, "catalogue.db"), { readonly: true });
  try {
    const rows = database
      .prepare(
        "SELECT key FROM entries JOIN buckets ON buckets.id = entries.bucket WHERE name = ? AND state = 'object' ORDER BY key",
      )
      .all(bucketId) as { key: string }[];
    return rows.map(({ key }) => key);
  } finally {
    database.close();
  }
}
