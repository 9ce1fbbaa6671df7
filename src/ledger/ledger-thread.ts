// The thread of one ledger, which alone opens its database and waits for its fsyncs. It opens and migrates the file on
// first use, and quarantines a damaged one. Each batch is one transaction. ledger.ts starts it.
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { isDamage, storeFailure } from "../core/disk-failure.ts";
import { returnsRows, type SqliteStatement, transaction } from "../core/sqlite.ts";
import { serveBatches } from "../sqlite/batch-thread.ts";
import { openDatabase } from "../sqlite/open-database.ts";
import type { LedgerAnswer, LedgerPlan, LedgerRow, LedgerThreadData, Statement } from "./ledger.ts";

type Prepared = SqliteStatement<[LedgerRow], LedgerRow>;

const MAX_CHECKED_BYTES = 32 * 1_048_576;
const MAX_LOG_BYTES = 8 * 1_048_576;

serveBatches<LedgerThreadData, Statement>(({ dir, plan }, { notify }) => {
  const path = join(dir, `${plan.name}.db`);
  let opened: ReturnType<typeof open> | undefined;

  function runAll(batch: readonly Statement[]): LedgerAnswer[] {
    opened ??= open(path, plan);
    const { database, statements } = opened;
    return transaction(database, () => batch.map(({ name, request }) => runStatement(statements.get(name)!, request)));
  }

  function close(): void {
    opened?.database.close();
    opened = undefined;
  }

  function quarantine(error: unknown): void {
    close();
    const movedTo = `${path}.damaged-${Date.now()}`;
    for (const end of ["-wal", "-shm", ""].filter((each) => existsSync(path + each)))
      renameSync(path + end, movedTo + end);
    const found = (error instanceof Error ? error.message : String(error)).replaceAll("\n", " ");
    // The rows are lost until someone repairs the file. A new one continues.
    notify({ movedTo, found });
  }

  function runOrReplace(batch: readonly Statement[]): LedgerAnswer[] {
    try {
      return runAll(batch);
    } catch (error) {
      if (!isDamage(error)) throw error;
      quarantine(error);
      return runAll(batch);
    }
  }

  return {
    run({ operations }) {
      try {
        return runOrReplace(operations).map((answer) => ({ ok: true, answer }));
      } catch (error) {
        const { code, message } = storeFailure(error, `write "${path}"`);
        return operations.map(() => ({ ok: false, code, message }));
      }
    },
    close,
  };
});

function runStatement(statement: Prepared, rows: readonly LedgerRow[]): LedgerAnswer {
  if (!returnsRows(statement)) {
    let changes = 0;
    for (const row of rows) changes += statement.run(row).changes;
    return { changes, rows: [] };
  }
  return { changes: 0, rows: rows.flatMap((row) => statement.all(row)) };
}

function open(path: string, { steps, statements }: LedgerPlan<string>) {
  const database = openDatabase(path, {
    name: `"${path}"`,
    version: steps.length,
    stepsFrom: (version) => steps.slice(version),
    maxCheckedBytes: MAX_CHECKED_BYTES,
    maxLogBytes: MAX_LOG_BYTES,
  });
  try {
    const prepared = Object.entries(statements).map(([name, sql]): [string, Prepared] => [
      name,
      database.prepare<[LedgerRow], LedgerRow>(sql),
    ]);
    return { database, statements: new Map(prepared) };
  } catch (error) {
    database.close();
    throw error;
  }
}
