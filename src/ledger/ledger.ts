// Small SQLite databases in the data folder, such as the outbox and the operation log. Each has a thread
// (ledger-thread.ts) that reads and writes it and waits for its fsyncs, so that none delays another, or the store. A
// thread starts with the first statement, and a file is created with the first row, so an unused ledger costs nothing.
// It does not know the meaning of the rows: each ledger's owner does.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { HuiyuanError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { type BatchWorker, createBatchWorker, type OperationOf } from "../sqlite/batch-worker.ts";

export type LedgerValue = string | number | null;
/** Column or parameter → value. */
export type LedgerRow = Readonly<Record<string, LedgerValue>>;

/** The definition of a database. `Name`: the names of its statements. */
export interface LedgerPlan<Name extends string> {
  /** The file is `<name>.db`. */
  readonly name: string;
  /** The SQL that migrates version N to N + 1, at index N. A released step never changes. */
  readonly steps: readonly string[];
  /** SQL with named parameters (`@size`). */
  readonly statements: Readonly<Record<Name, string>>;
}

/**
 * Statements run in order, and all that are queued together run in one transaction. A statement takes effect durably or
 * not at all. All methods throw store_failed and store_full, and overloaded if 10,000 statements are queued.
 */
export interface Ledger<Name extends string> {
  /** Runs the statement once for each row. Resolves with the number of changed rows once they are durable. */
  write(statement: Name, ...rows: readonly LedgerRow[]): Promise<number>;
  /** The rows that a statement returns; durable if it changes rows. Empty if the file does not exist. */
  read(statement: Name, row?: LedgerRow): Promise<readonly LedgerRow[]>;
}

export interface Ledgers {
  open<Name extends string>(plan: LedgerPlan<Name>): Ledger<Name>;
  /** Finishes accepted statements, then ends the thread. Later statements throw store_failed. */
  close(): Promise<void>;
}

export interface LedgerAnswer {
  readonly changes: number;
  readonly rows: readonly LedgerRow[];
}

export interface LedgerThreadData {
  readonly dir: string;
  readonly plan: LedgerPlan<string>;
}

/** Any statement of the plan by its name; the request is its rows. */
type Statements = Record<string, [rows: readonly LedgerRow[], answer: LedgerAnswer]>;
export type Statement = OperationOf<Statements>;

type OpenLedger<Name extends string> = Ledger<Name> & Pick<Ledgers, "close">;

/** `dir`: the data folder. The caller must hold its lock until this is closed. */
export function createLedgers({ dir, log }: { readonly dir: string; readonly log: Log }): Ledgers {
  const opened: OpenLedger<string>[] = [];
  return {
    open<Name extends string>(plan: LedgerPlan<Name>) {
      const ledger = openLedger(dir, plan, log);
      opened.push(ledger);
      return ledger;
    },
    async close() {
      await Promise.all(opened.map((ledger) => ledger.close()));
    },
  };
}

function openLedger<Name extends string>(dir: string, plan: LedgerPlan<Name>, log: Log): OpenLedger<Name> {
  const file = `${plan.name}.db`;
  let worker: BatchWorker<Statements> | undefined;
  let isClosed = false;
  let isMade = existsSync(join(dir, file));

  const start = () =>
    createBatchWorker<Statements>({
      thread: { file: "./ledger-thread.js", from: import.meta.url, name: `huiyuan-${plan.name}` },
      data: { dir, plan } satisfies LedgerThreadData,
      // The thread never holds more than one page of rows.
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4 },
      failure: `Cannot write "${file}"`,
      ending: "its thread has ended",
      maxBatch: 256,
      onNotice: (damage) => log.error(damage, "a damaged database was quarantined; a new one was created"),
      onDeath(err) {
        // The next statement starts a new thread.
        worker = undefined;
        log.error({ file, err }, "the thread that writes a ledger has ended");
      },
    });

  async function run(name: Name, rows: readonly LedgerRow[]): Promise<LedgerAnswer> {
    // Only an INSERT creates the file. Without a file there is no row to read, change or remove.
    isMade ||= /^\s*INSERT\b/i.test(plan.statements[name]);
    if (!isMade || rows.length === 0) return { changes: 0, rows: [] };
    if (isClosed) throw new HuiyuanError("store_failed", `Cannot write "${file}": it is closed`);
    worker ??= start();
    return worker.submit(name, rows);
  }

  return {
    write: async (statement, ...rows) => (await run(statement, rows)).changes,
    read: async (statement, row = {}) => (await run(statement, [row])).rows,
    async close() {
      isClosed = true;
      await worker?.close();
    },
  };
}
