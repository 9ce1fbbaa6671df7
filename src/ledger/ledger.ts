// Small SQLite databases in the data folder, such as the outbox and the operation log. One thread (ledger-thread.ts)
// reads and writes them all and waits for their fsyncs. The thread starts with the first statement, and a file is
// created with the first row, so an unused ledger costs nothing. It does not know the meaning of the rows: each
// ledger's owner does.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { type ErrorCode, HuiyuanError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";

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
  /** Must be called before the first statement of any ledger. */
  open<Name extends string>(plan: LedgerPlan<Name>): Ledger<Name>;
  /** Finishes accepted statements, then ends the thread. Later statements throw store_failed. */
  close(): Promise<void>;
}

export interface LedgerStatement {
  readonly statement: string;
  readonly rows: readonly LedgerRow[];
}

export interface LedgerAnswer {
  readonly changes: number;
  readonly rows: readonly LedgerRow[];
}

export interface LedgerThreadData {
  readonly dir: string;
  readonly plans: readonly LedgerPlan<string>[];
}

/** `ledger`: the index of its plan. */
export type ToLedgers =
  | { readonly kind: "batch"; readonly ledger: number; readonly statements: readonly LedgerStatement[] }
  | { readonly kind: "close" };

export type FromLedgers =
  | { readonly kind: "done"; readonly ledger: number; readonly answers: readonly LedgerAnswer[] }
  | { readonly kind: "failed"; readonly ledger: number; readonly code: ErrorCode; readonly message: string }
  /** A damaged file was renamed to `movedTo`, and a new one was created. */
  | { readonly kind: "damaged"; readonly movedTo: string; readonly found: string };

interface QueuedStatement {
  readonly statement: LedgerStatement;
  readonly resolve: (answer: LedgerAnswer) => void;
  readonly reject: (error: HuiyuanError) => void;
}

interface Queue {
  queued: QueuedStatement[];
  running: QueuedStatement[];
}

const CAPACITY = 10_000;
const MAX_BATCH = 256;
// The thread never holds more than one page of rows.
const THREAD_LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4 };

/** `dir`: the data folder. The caller must hold its lock until this is closed. */
export function createLedgers({ dir, log }: { readonly dir: string; readonly log: Log }): Ledgers {
  const plans: LedgerPlan<string>[] = [];
  const queues: Queue[] = [];
  let worker: Worker | undefined;
  let isClosed = false;
  let becameIdle: (() => void) | undefined;

  function start(): Worker {
    const workerData: LedgerThreadData = { dir, plans };
    const started = new Worker(threadUrl(), { workerData, name: "huiyuan-ledgers", resourceLimits: THREAD_LIMITS });
    started.on("message", (message: FromLedgers) => {
      if (message.kind === "damaged") {
        log.error(
          { movedTo: message.movedTo, found: message.found },
          "a damaged database was quarantined; a new one was created",
        );
      } else finishBatch(message);
    });
    // The next statement starts a new thread.
    const onThreadEnd = (cause: unknown) => {
      if (worker !== started) return;
      worker = undefined;
      log.error({ err: cause }, "the thread that writes the outbox and the operation log has ended");
      for (const ledger of queues.keys()) {
        const { name } = plans[ledger]!;
        finishBatch({
          kind: "failed",
          ledger,
          code: "store_failed",
          message: `Cannot write "${name}.db": its thread has ended`,
        });
      }
    };
    started.on("error", onThreadEnd);
    started.on("exit", (status) => onThreadEnd(new Error(`exit status ${status}`)));
    return started;
  }

  function send(ledger: number): void {
    const queue = queues[ledger]!;
    if (queue.running.length > 0 || queue.queued.length === 0) return;
    queue.running = queue.queued.splice(0, MAX_BATCH);
    worker ??= start();
    const statements = queue.running.map(({ statement }) => statement);
    worker.postMessage({ kind: "batch", ledger, statements } satisfies ToLedgers);
  }

  function finishBatch(message: Exclude<FromLedgers, { readonly kind: "damaged" }>): void {
    const queue = queues[message.ledger]!;
    const ended = queue.running;
    queue.running = [];
    ended.forEach(({ resolve, reject }, index) => {
      const answer = message.kind === "done" ? message.answers[index] : undefined;
      if (answer !== undefined) resolve(answer);
      else if (message.kind === "failed") reject(new HuiyuanError(message.code, message.message));
    });
    send(message.ledger);
    if (queues.every(({ running }) => running.length === 0)) becameIdle?.();
  }

  function submit(ledger: number, statement: LedgerStatement): Promise<LedgerAnswer> {
    const queue = queues[ledger]!;
    const what = `Cannot write "${plans[ledger]!.name}.db"`;
    if (isClosed) return Promise.reject(new HuiyuanError("store_failed", `${what}: it is closed`));
    if (queue.queued.length >= CAPACITY) {
      return Promise.reject(
        new HuiyuanError("overloaded", `${what}: ${CAPACITY} statements are queued`, { retryAfterSeconds: 1 }),
      );
    }
    return new Promise((resolve, reject) => {
      queue.queued.push({ statement, resolve, reject });
      send(ledger);
    });
  }

  return {
    open(plan) {
      const ledger = plans.push(plan) - 1;
      queues.push({ queued: [], running: [] });
      let isMade = existsSync(join(dir, `${plan.name}.db`));
      /** Only an INSERT creates the file. Without a file there is no row to read, change or remove. */
      const isNeeded = (sql: string) => {
        isMade ||= /^\s*INSERT\b/i.test(sql);
        return isMade;
      };
      return {
        async write(statement, ...rows) {
          if (rows.length === 0 || !isNeeded(plan.statements[statement])) return 0;
          return (await submit(ledger, { statement, rows })).changes;
        },
        async read(statement, row = {}) {
          if (!isNeeded(plan.statements[statement])) return [];
          return (await submit(ledger, { statement, rows: [row] })).rows;
        },
      };
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      if (queues.some(({ running }) => running.length > 0))
        await new Promise<void>((resolve) => (becameIdle = resolve));
      const ending = worker;
      worker = undefined;
      if (ending === undefined) return;
      const ended = new Promise<void>((resolve) => ending.once("exit", () => resolve()));
      ending.postMessage({ kind: "close" } satisfies ToLedgers);
      await ended;
    },
  };
}

/** Threads run the compiled program, which is in dist/ if this file runs from source. */
function threadUrl(): URL {
  const isSource = import.meta.url.endsWith(".ts");
  return new URL(isSource ? "../../dist/ledger/ledger-thread.js" : "./ledger-thread.js", import.meta.url);
}
