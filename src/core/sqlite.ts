// The one door to SQLite: node's own module on Node 24 and later, better-sqlite3 before. Both write the same files. It
// opens a database as it is: sqlite/open-database.ts checks and migrates one.
import type BetterSqlite from "better-sqlite3";
import { HuiyuanError } from "./errors.ts";

export type SqliteValue = string | number | Uint8Array | null;

/**
 * A prepared statement: the library's own object, so a call costs nothing more. `Row`: columns by name. Integers must
 * be below 2^53. A BLOB is read as a Uint8Array: bufferOf() makes it a Buffer.
 */
export interface SqliteStatement<Values extends unknown[] = SqliteValue[], Row = unknown> {
  get(...values: Values): Row | undefined;
  all(...values: Values): Row[];
  iterate(...values: Values): Iterable<Row>;
  /** For statements that return no rows. */
  run(...values: Values): { readonly changes: number; readonly lastInsertRowid: number | bigint };
}

/** A connection. Values are given in order, or as one object for named parameters such as `@size`. */
export interface Sqlite {
  /** False also after SQLite has rolled back by itself (disk full, I/O error). */
  readonly inTransaction: boolean;
  /** Runs SQL without values, PRAGMA included. Rows are dropped. */
  exec(sql: string): void;
  prepare<Values extends unknown[] = SqliteValue[], Row = unknown>(sql: string): SqliteStatement<Values, Row>;
  /** Its rows are arrays: the values of the columns in order. */
  prepareArrays<Values extends unknown[] = SqliteValue[], Row = unknown>(sql: string): SqliteStatement<Values, Row>;
  /** Throws if it is closed already. */
  close(): void;
}

export interface SqliteOptions {
  /** The file must exist. */
  readonly readonly?: boolean;
  /** A call waits this long for another connection's lock. Milliseconds. */
  readonly timeout?: number;
}

type Open = (path: string, options: Required<SqliteOptions>) => Sqlite;

/** The caller's SQL decides the types. */
type AnyStatement = SqliteStatement<never, never>;

/** The part of node:sqlite that is used here; the types of Node 20 do not have it. */
interface NodeStatement extends AnyStatement {
  setReturnArrays(isOn: boolean): void;
  setAllowUnknownNamedParameters(isOn: boolean): void;
  columns(): readonly unknown[];
}
interface NodeDatabase extends Pick<Sqlite, "exec" | "close"> {
  readonly isTransaction: boolean;
  prepare(sql: string): NodeStatement;
}
interface NodeSqlite {
  readonly DatabaseSync: new (path: string, options: { readOnly: boolean; timeout: number }) => NodeDatabase;
}

const hasNodeSqlite = Number.parseInt(process.versions.node, 10) >= 24;
const open: Open = hasNodeSqlite ? nodeSqlite() : await betterSqlite();

/** Throws errors of SQLite, whose code errorCodeOf() reads, and store_failed if this Node has no SQLite. */
export function openSqlite(path: string, { readonly = false, timeout = 5_000 }: SqliteOptions = {}): Sqlite {
  return open(path, { readonly, timeout });
}

/** Runs the work in one transaction, which is rolled back if the work or the commit throws. */
export function transaction<T>(database: Sqlite, work: () => T): T {
  database.exec("BEGIN");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.inTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** The only value of a query, such as `PRAGMA user_version`. Undefined if it returns no row. */
export function firstValue(database: Sqlite, sql: string): unknown {
  return database.prepareArrays<[], [unknown]>(sql).get()?.[0];
}

/** Whether the statement returns rows, as SELECT and RETURNING do. */
export function returnsRows(statement: object): boolean {
  const { reader, columns } = statement as Partial<BetterSqlite.Statement>;
  return reader ?? columns!.call(statement).length > 0;
}

/** The same memory. */
export function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function nodeSqlite(): Open {
  const { DatabaseSync } = withoutWarning(() => process.getBuiltinModule("node:sqlite") as NodeSqlite);
  return (path, { readonly, timeout }) => {
    const database = new DatabaseSync(path, { readOnly: readonly, timeout });
    const prepare = (sql: string, isArray: boolean) => {
      const statement = database.prepare(sql);
      statement.setAllowUnknownNamedParameters(true);
      statement.setReturnArrays(isArray);
      return statement;
    };
    return {
      get inTransaction() {
        return database.isTransaction;
      },
      exec: (sql) => database.exec(sql),
      prepare: (sql) => prepare(sql, false),
      prepareArrays: (sql) => prepare(sql, true),
      close: () => database.close(),
    };
  };
}

/** Early versions of Node 24 warn on stderr that the module is experimental, when it is loaded. */
function withoutWarning<T>(load: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}

async function betterSqlite(): Promise<Open> {
  try {
    const { default: Database } = await import("better-sqlite3");
    // Loads the binary.
    new Database(":memory:").close();
    return (path, { readonly, timeout }) => {
      const database = new Database(path, { readonly, timeout });
      return {
        get inTransaction() {
          return database.inTransaction;
        },
        exec: (sql) => void database.exec(sql),
        prepare: (sql) => database.prepare<[], never>(sql),
        prepareArrays: (sql) => database.prepare<[], never>(sql).raw(),
        close: () => void database.close(),
      };
    };
  } catch (cause) {
    const found = `Cannot open a database on Node ${process.versions.node}: better-sqlite3 is not installed for it`;
    const message = `${found}; use Node 24 or later, or install g++, make and python3 and then huiyuan again`;
    return () => {
      throw new HuiyuanError("store_failed", message, { cause });
    };
  }
}
