// The event loop's side of the writer thread. It queues operations (bounded) and sends them in batches, one at a time,
// so that operations that arrive during an fsync share the next one. Small bodies travel in shared memory. It writes no
// files: writer-thread.ts does.
import { Worker } from "node:worker_threads";
import { type ErrorCode, HuiyuanError } from "../../../core/errors.ts";
import type { AnswerOf, Batch, Operation, OperationName, OperationResult, RequestOf } from "./write-operations.ts";

export interface WriterData {
  readonly dataDir: string;
  readonly packBytes: number | undefined;
  /** Bodies of the running batch: written here before the batch is sent, read there until its outcomes arrive. */
  readonly shared: SharedArrayBuffer;
}

export type ToWriter = { readonly kind: "batch"; readonly batch: Batch } | { readonly kind: "close" };

export type FromWriter =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: "outcomes"; readonly outcomes: readonly OperationResult[] };

export interface Writer {
  /**
   * Resolves with the answer once the operation is durable. Throws store_failed, store_full, and overloaded if the
   * queue is full; nothing has changed then. `body`: the bytes of a put, at most MAX_PACKED_BYTES. They must not change
   * before it resolves, because they are copied only when the batch is sent.
   */
  submit<Name extends OperationName>(name: Name, request: RequestOf<Name>, body?: Buffer): Promise<AnswerOf<Name>>;
  /** Finishes accepted operations, then ends the thread. Later operations throw store_failed. */
  close(): Promise<void>;
}

export interface WriterOptions {
  readonly dataDir: string;
  /** As in FsStoreOptions. */
  readonly packBytes?: number | undefined;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Called with the operations that have ended, or may have when the thread died, before any is acknowledged. */
  readonly onEnded?: (operations: readonly Operation[]) => void;
  /** Maximum number of unfinished operations. */
  readonly capacity?: number;
}

const CAPACITY = 10_000;
// Batches start at least this far apart, so that more operations share an fsync under load. Milliseconds. Bodies always
// wait this long for other bodies, because their fsync is the expensive one. Any other operation is sent at once if the
// last batch is old enough, together with the queued bodies.
const BATCH_DELAY_MS = 5;
const MAX_BATCH = 512;
/** With this many queued bodies the next batch does not wait for more. */
const MAX_DELAYED_BODIES = 32;
/** The largest body that is sent to the writer, and so stored in a pack. Bytes. */
export const MAX_PACKED_BYTES = 262_144;
// Takes address space only, until it is used. Bytes.
const SHARED_BYTES = 4_194_304;

interface QueuedOperation {
  readonly operation: Operation;
  readonly body: Buffer | undefined;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: HuiyuanError) => void;
}

/** Throws as opening the catalogue does. */
export async function startWriter(options: WriterOptions): Promise<Writer> {
  const { dataDir, packBytes, now, onEnded = () => {}, capacity = CAPACITY } = options;
  const shared = new SharedArrayBuffer(SHARED_BYTES);
  const bodies = Buffer.from(shared);
  const workerData: WriterData = { dataDir, packBytes, shared };
  const worker = new Worker(writerUrl(), { workerData, name: "huiyuan-writer" });
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  await becomesReady(worker);

  let queued: QueuedOperation[] = [];
  let running: QueuedOperation[] = [];
  /** Set while a send is scheduled, for `dueAt`. */
  let cancelSend: (() => void) | undefined;
  let dueAt = 0;
  let lastSentAt = 0;
  /** When an operation last entered an empty queue. By performance.now(). */
  let queuedSince = 0;
  let refusal: HuiyuanError | undefined;
  let becameIdle: (() => void) | undefined;

  function schedule(): void {
    if (running.length > 0 || queued.length === 0) return;
    const due = (mayDelay() ? queuedSince : lastSentAt) + BATCH_DELAY_MS;
    if (cancelSend !== undefined && dueAt <= due) return;
    cancelSend?.();
    dueAt = due;
    cancelSend = callAt(due, send);
  }

  /** True while only bodies are queued, and few of them. */
  function mayDelay(): boolean {
    return (
      refusal === undefined && queued.length < MAX_DELAYED_BODIES && queued.every(({ body }) => body !== undefined)
    );
  }

  function send(): void {
    cancelSend = undefined;
    if (queued.length === 0) return;
    lastSentAt = performance.now();
    const operations: Operation[] = [];
    let used = 0;
    for (const { operation, body } of queued) {
      if (operations.length === MAX_BATCH) break;
      if (body === undefined) {
        operations.push(operation);
        continue;
      }
      if (used + body.byteLength > SHARED_BYTES) break;
      body.copy(bodies, used);
      operations.push({ ...operation, body: { at: used, size: body.byteLength } });
      used += body.byteLength;
    }
    running = queued.slice(0, operations.length);
    queued = queued.slice(operations.length);
    worker.postMessage({ kind: "batch", batch: { now: now(), operations } } satisfies ToWriter);
  }

  function finishBatch(outcomes: readonly OperationResult[]): void {
    const ended = running;
    running = [];
    onEnded(ended.map(({ operation }) => operation));
    schedule();
    ended.forEach(({ operation, resolve, reject }, index) => {
      const outcome = outcomes[index]!;
      if (outcome.ok) resolve(outcome.answer);
      else reject(new HuiyuanError(outcome.code, `${outcome.message} (${operation.name})`));
    });
    if (queued.length === 0 && running.length === 0) becameIdle?.();
  }

  function failAll(cause: unknown): void {
    refusal = new HuiyuanError("store_failed", "Cannot write: the writer thread has ended; restart huiyuan", { cause });
    onEnded(running.map(({ operation }) => operation));
    const failed = [...running, ...queued];
    running = [];
    queued = [];
    for (const { reject } of failed) reject(refusal);
    becameIdle?.();
  }

  worker.on("message", (message: FromWriter) => {
    if (message.kind === "outcomes") finishBatch(message.outcomes);
  });
  worker.on("error", failAll);
  worker.on("exit", (status) => {
    if (refusal === undefined) failAll(new Error(`exit status ${status}`));
  });

  return {
    submit<Name extends OperationName>(name: Name, request: RequestOf<Name>, body?: Buffer) {
      if (refusal !== undefined) return Promise.reject(refusal);
      if (queued.length + running.length >= capacity) {
        const found = `${capacity} operations are queued`;
        return Promise.reject(new HuiyuanError("overloaded", `Cannot write: ${found}`, { retryAfterSeconds: 1 }));
      }
      return new Promise<AnswerOf<Name>>((resolve, reject) => {
        // The signature ties the name to the request, and the table ties both to the answer.
        const operation = { name, request } as Operation;
        if (queued.length === 0) queuedSince = performance.now();
        queued.push({ operation, body, resolve: resolve as (answer: unknown) => void, reject });
        schedule();
      });
    },
    async close() {
      refusal ??= new HuiyuanError("store_failed", "Cannot write: the store is closed");
      schedule();
      if (queued.length + running.length > 0) await new Promise<void>((resolve) => (becameIdle = resolve));
      worker.postMessage({ kind: "close" } satisfies ToWriter);
      await ended;
    },
  };
}

/** `at`: by performance.now(). Returns a function that cancels the call. */
function callAt(at: number, run: () => void): () => void {
  const waitMs = at - performance.now();
  if (waitMs > 0) {
    const timer = setTimeout(run, waitMs);
    return () => clearTimeout(timer);
  }
  // At the end of this turn, so that operations of all its callbacks share the batch.
  const immediate = setImmediate(run);
  return () => clearImmediate(immediate);
}

/** Threads run the compiled program, which is in dist/ if this file runs from source. */
function writerUrl(): URL {
  const isSource = import.meta.url.endsWith(".ts");
  return new URL(
    isSource ? "../../../../dist/bucket/fs/writer/writer-thread.js" : "./writer-thread.js",
    import.meta.url,
  );
}

function becomesReady(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: unknown) =>
      reject(new HuiyuanError("store_failed", `Cannot start the writer thread: ${String(cause)}`, { cause }));
    worker.once("error", failed);
    worker.once("exit", failed);
    worker.once("message", (message: FromWriter) => {
      worker.off("error", failed);
      worker.off("exit", failed);
      if (message.kind === "ready") resolve();
      else if (message.kind === "failed") reject(new HuiyuanError(message.code, message.message));
    });
  });
}
