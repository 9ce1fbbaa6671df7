// One ledger's database, on its thread: opened and migrated on first use, quarantined if it is damaged. Each batch is
// one synced transaction. It does not queue or batch statements: ledger.ts does.
import { renameSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { isDamage, storeFailure } from "../bucket/fs/failure.ts";
import { HuiyuanError } from "../core/errors.ts";
import type { LedgerAnswer, LedgerPlan, LedgerRow, LedgerStatement } from "./ledger.ts";

export interface LedgerDatabase {
  /** Runs all statements, or none. Throws store_failed, store_full. */
  run(batch: readonly LedgerStatement[]): readonly LedgerAnswer[];
  close(): void;
}

export interface LedgerDatabaseOptions {
  readonly dir: string;
  readonly plan: LedgerPlan<string>;
  /** A damaged file was renamed to `movedTo`, and a new one continues. Its rows are lost until someone repairs it. */
  readonly onDamage: (movedTo: string, found: string) => void;
}

type Statement = Database.Statement<[LedgerRow]>;

// A check reads the whole file.
const CHECKED_AT_OPEN_BYTES = 32 * 1_048_576;
const LOG_KEPT_BYTES = 8 * 1_048_576;

export function createDatabase({ dir, plan, onDamage }: LedgerDatabaseOptions): LedgerDatabase {
  const path = join(dir, `${plan.name}.db`);
  let opened: { readonly database: Database.Database; readonly statements: Map<string, Statement> } | undefined;

  function runAll(batch: readonly LedgerStatement[]): LedgerAnswer[] {
    opened ??= open(path, plan);
    const { database, statements } = opened;
    return database.transaction(() => batch.map((item) => runStatement(statements.get(item.statement)!, item)))();
  }

  function close(): void {
    opened?.database.close();
    opened = undefined;
  }

  function quarantine(error: unknown): void {
    close();
    const movedTo = `${path}.damaged-${Date.now()}`;
    for (const end of ["-wal", "-shm", ""]) renameIfThere(`${path}${end}`, `${movedTo}${end}`);
    onDamage(movedTo, (error instanceof Error ? error.message : String(error)).replaceAll("\n", " "));
  }

  return {
    run(batch) {
      try {
        try {
          return runAll(batch);
        } catch (error) {
          if (!isDamage(error)) throw error;
          quarantine(error);
          return runAll(batch);
        }
      } catch (error) {
        throw storeFailure(error, `write "${path}"`);
      }
    },
    close,
  };
}

function runStatement(statement: Statement, { rows }: LedgerStatement): LedgerAnswer {
  if (!statement.reader) {
    let changes = 0;
    for (const row of rows) changes += statement.run(row).changes;
    return { changes, rows: [] };
  }
  // better-sqlite3 types rows as `unknown`; our own SQL names the columns.
  const found = rows.flatMap((row) => statement.all(row) as LedgerRow[]);
  return { changes: 0, rows: found };
}

function open(path: string, { steps, statements }: LedgerPlan<string>) {
  const database = new Database(path, { timeout: 1_000 });
  try {
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma(`journal_size_limit = ${LOG_KEPT_BYTES}`);
    checkWhole(database, path);
    migrate(database, { path, steps });
    const prepared = Object.entries(statements).map(([name, sql]): [string, Statement] => [
      name,
      database.prepare<[LedgerRow]>(sql),
    ]);
    return { database, statements: new Map(prepared) };
  } catch (error) {
    database.close();
    throw error;
  }
}

function checkWhole(database: Database.Database, path: string): void {
  if (statSync(path).size > CHECKED_AT_OPEN_BYTES) return;
  const verdict = database.pragma("quick_check(1)", { simple: true });
  if (verdict !== "ok") throw Object.assign(new Error(String(verdict)), { code: "SQLITE_CORRUPT" });
}

function migrate(
  database: Database.Database,
  { path, steps }: { readonly path: string; readonly steps: readonly string[] },
): void {
  const version = Number(database.pragma("user_version", { simple: true }));
  if (version > steps.length) {
    const found = `it was written by a newer huiyuan (version ${version}, this one knows ${steps.length})`;
    throw new HuiyuanError("store_failed", `Cannot open "${path}": ${found}; run the newer one`);
  }
  if (version === steps.length) return;
  database.transaction(() => {
    for (const step of steps.slice(version)) database.exec(step);
    database.pragma(`user_version = ${steps.length}`);
  })();
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOENT") throw error;
  }
}
