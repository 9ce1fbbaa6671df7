// The event loop's side of a thread that owns one SQLite database. It queues operations (bounded) and sends them in
// batches, one at a time, so that operations that arrive during an fsync share the next one. Small bodies travel in
// shared memory. It knows neither the database nor the meaning of an operation: batch-thread.ts runs them.
import { type ResourceLimits, Worker } from "node:worker_threads";
import { type ThreadPlace, threadUrl } from "../async/thread.ts";
import { type ErrorCode, HuiyuanError } from "../core/errors.ts";

/** `[request, answer]` by the name of the operation. Both are small and survive a structured clone. */
type OperationTable<Table> = { [Name in keyof Table]: [request: unknown, answer: unknown] };

/** The bytes of an operation in the shared memory, while its batch runs. */
export interface SharedSpan {
  readonly at: number;
  readonly size: number;
}

/** An operation with its request, as it is sent. `body`: the place of its bytes in the shared memory. */
export type OperationOf<Table extends OperationTable<Table>> = {
  [Name in keyof Table]: { readonly name: Name; readonly request: Table[Name][0]; readonly body?: SharedSpan };
}[keyof Table];

/** `now`: Unix milliseconds; the operations write it into rows. */
export interface Batch<Operation> {
  readonly now: number;
  readonly operations: readonly Operation[];
}

/** The outcome of one operation. */
export type OperationResult =
  | { readonly ok: true; readonly answer: unknown }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

export interface BatchWorker<Table extends OperationTable<Table>> {
  /** Resolves once the database is open. Throws the error of opening it, or store_failed. */
  readonly ready: Promise<void>;
  /**
   * Resolves with the answer once the operation is durable. Throws store_failed, store_full, and overloaded if the
   * queue is full; nothing has changed then. `body`: bytes that must not change before it resolves, because they are
   * copied only when the batch is sent.
   */
  submit<Name extends keyof Table>(name: Name, request: Table[Name][0], body?: Buffer): Promise<Table[Name][1]>;
  /** Finishes accepted operations, then ends the thread. Later operations throw store_failed. */
  close(): Promise<void>;
}

export type ToThread<Operation> =
  | { readonly kind: "batch"; readonly batch: Batch<Operation> }
  | { readonly kind: "close" };

export type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: "outcomes"; readonly outcomes: readonly OperationResult[] }
  | { readonly kind: "notice"; readonly fields: object };

/** Passed to the thread at its start. */
export interface ThreadData<Data> {
  readonly data: Data;
  /** Written before the batch is sent, read until its outcomes arrive. */
  readonly shared: SharedArrayBuffer;
}

export interface BatchWorkerOptions<Table extends OperationTable<Table>> {
  /** Its file calls serveBatches(). */
  readonly thread: ThreadPlace & { readonly name: string };
  readonly data: object;
  readonly resourceLimits?: ResourceLimits;
  /** The beginning of messages, such as `Cannot write "usage.db"`, and their end if the thread ends by itself. */
  readonly failure: string;
  readonly ending: string;
  /** Bytes of all bodies of one batch. It takes address space only, until it is used. */
  readonly sharedBytes?: number;
  /**
   * Batches start at least this far apart, so that more operations share an fsync under load. If the last batch is
   * older, an operation is sent at the end of its turn of the event loop. 0: an idle thread gets it at once.
   */
  readonly delayMs?: number;
  readonly maxBatch: number;
  /** Maximum number of unfinished operations. */
  readonly capacity?: number;
  /** Unix milliseconds. */
  readonly now?: () => number;
  /** Called with the operations that have ended, or may have when the thread died, before any is acknowledged. */
  readonly onEnded?: (operations: readonly OperationOf<Table>[]) => void;
  /** Called with each notice of the thread. */
  readonly onNotice?: (fields: object) => void;
  /** Called if the thread ends by itself. All unfinished and later operations throw store_failed. */
  readonly onDeath?: (cause: unknown) => void;
}

const CAPACITY = 10_000;

/** Starts the thread. Operations wait until it is ready. */
export function createBatchWorker<Table extends OperationTable<Table>>(
  options: BatchWorkerOptions<Table>,
): BatchWorker<Table> {
  type Operation = OperationOf<Table>;
  interface Queued {
    readonly operation: Operation;
    readonly body: Buffer | undefined;
    readonly resolve: (answer: unknown) => void;
    readonly reject: (error: HuiyuanError) => void;
  }
  const { thread, data, resourceLimits = {}, failure, ending, sharedBytes = 0, delayMs = 0, maxBatch } = options;
  const { capacity = CAPACITY, now = Date.now, onEnded = () => {}, onNotice = () => {}, onDeath = () => {} } = options;
  const shared = new SharedArrayBuffer(sharedBytes);
  const bodies = Buffer.from(shared);
  const workerData: ThreadData<object> = { data, shared };
  const worker = new Worker(threadUrl(thread), { workerData, name: thread.name, resourceLimits });
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));

  let isReady = false;
  let queued: Queued[] = [];
  let running: Queued[] = [];
  let isSendScheduled = false;
  /** By performance.now(). */
  let lastSentAt = 0;
  let refusal: HuiyuanError | undefined;
  let closing: Promise<void> | undefined;
  let becameIdle: (() => void) | undefined;

  function schedule(): void {
    if (!isReady || isSendScheduled || running.length > 0 || queued.length === 0) return;
    if (delayMs === 0) {
      send();
      return;
    }
    isSendScheduled = true;
    const waitMs = lastSentAt + delayMs - performance.now();
    if (waitMs > 0) setTimeout(send, waitMs);
    else setImmediate(send);
  }

  function send(): void {
    isSendScheduled = false;
    if (queued.length === 0) return;
    lastSentAt = performance.now();
    const operations: Operation[] = [];
    let used = 0;
    for (const { operation, body } of queued) {
      if (operations.length === maxBatch) break;
      if (body === undefined) {
        operations.push(operation);
        continue;
      }
      if (used + body.byteLength > sharedBytes) break;
      body.copy(bodies, used);
      operations.push({ ...operation, body: { at: used, size: body.byteLength } });
      used += body.byteLength;
    }
    running = queued.slice(0, operations.length);
    queued = queued.slice(operations.length);
    worker.postMessage({ kind: "batch", batch: { now: now(), operations } } satisfies ToThread<Operation>);
  }

  function finishBatch(outcomes: readonly OperationResult[]): void {
    const finished = running;
    running = [];
    onEnded(finished.map(({ operation }) => operation));
    schedule();
    finished.forEach(({ operation, resolve, reject }, index) => {
      const outcome = outcomes[index]!;
      if (outcome.ok) resolve(outcome.answer);
      else reject(new HuiyuanError(outcome.code, `${outcome.message} (${String(operation.name)})`));
    });
    if (queued.length === 0 && running.length === 0) becameIdle?.();
  }

  const ready = new Promise<void>((resolve, reject) => {
    /** After close() nothing is left to fail. */
    function die(cause: Error): void {
      const isExpected = refusal !== undefined;
      const error = new HuiyuanError("store_failed", `${failure}: ${ending} (${cause.message})`, { cause });
      refusal ??= error;
      reject(error);
      onEnded(running.map(({ operation }) => operation));
      const failed = [...running, ...queued];
      running = [];
      queued = [];
      for (const item of failed) item.reject(error);
      becameIdle?.();
      if (!isExpected) onDeath(cause);
    }
    worker.on("error", die);
    worker.on("exit", (status) => die(new Error(`exit status ${status}`)));
    worker.on("message", (message: FromThread) => {
      if (message.kind === "outcomes") finishBatch(message.outcomes);
      else if (message.kind === "notice") onNotice(message.fields);
      else if (message.kind === "failed") reject(new HuiyuanError(message.code, message.message));
      else {
        isReady = true;
        schedule();
        resolve();
      }
    });
  });
  // Not every starter waits for it.
  ready.catch(() => undefined);

  async function closeThread(): Promise<void> {
    refusal ??= new HuiyuanError("store_failed", `${failure}: it is closed`);
    schedule();
    if (queued.length + running.length > 0) await new Promise<void>((resolve) => (becameIdle = resolve));
    worker.postMessage({ kind: "close" } satisfies ToThread<Operation>);
    await ended;
  }

  return {
    ready,
    submit(name, request, body) {
      if (refusal !== undefined) return Promise.reject(refusal);
      if (queued.length + running.length >= capacity) {
        const message = `${failure}: ${capacity} operations are queued`;
        return Promise.reject(new HuiyuanError("overloaded", message, { retryAfterSeconds: 1 }));
      }
      return new Promise((resolve, reject) => {
        // The signature ties the name to the request, and the table ties both to the answer.
        const operation = { name, request } as Operation;
        queued.push({ operation, body, resolve: resolve as (answer: unknown) => void, reject });
        schedule();
      });
    },
    close() {
      closing ??= closeThread();
      return closing;
    },
  };
}
