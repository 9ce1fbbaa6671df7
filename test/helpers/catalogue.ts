// Rows of an embedded store's catalogue, read beside the store. For tests only.
import { join } from "node:path";
import { openSqlite, type SqliteValue } from "../../src/core/sqlite.ts";

/** `dir`: the data folder. */
export function catalogueRows(dir: string, sql: string, ...values: SqliteValue[]): unknown[] {
  const database = openSqlite(join(dir, "catalogue.db"), { readonly: true });
  try {
    return database.prepare(sql).all(...values);
  } finally {
    database.close();
  }
}
