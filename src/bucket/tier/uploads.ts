// The queue before a remote store: what waits is on disk (the tiered bucket has it), this file says what is brought when.
// Each object is tried until it is there; while the store does not answer, nothing is tried.
import { setTimeout as delay } from "node:timers/promises";
import { asHuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key } from "../../core/object.ts";

export interface Upload {
  readonly bucketId: string;
  readonly key: Key;
  /** Bytes. */
  readonly size: number;
  /** Unix milliseconds. */
  readonly since: number;
}

export interface Uploads {
  /** The object is on disk and waits. */
  add(upload: Upload): void;
  /** Objects and bytes that wait, and how long the oldest has, in milliseconds. */
  backlog(): { readonly depth: number; readonly bytes: number; readonly oldestMs: number };
  /** The store answers again: everything is tried at once. */
  resume(): void;
  /** Resolves when nothing waits. */
  idle(): Promise<void>;
  /** Begins no more, and waits for those under way for at most so many milliseconds. */
  stop(deadlineMs: number): Promise<void>;
}

export interface UploadsOptions {
  /** Brings one object, or finds that it need not be brought any more. */
  readonly uploadOne: (upload: Upload) => Promise<void>;
  readonly isDown: () => boolean;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Objects on their way at the same time. */
  readonly maxConcurrent?: number;
  /** Milliseconds before the second try, doubled for each that follows up to half a minute. */
  readonly retryMs?: number;
}

const MAX_CONCURRENT = 4;
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;

interface PendingUpload {
  readonly upload: Upload;
  failures: number;
  /** Running until the next try; undefined while it is ready or on its way. */
  timer: NodeJS.Timeout | undefined;
}

export function createUploads(options: UploadsOptions): Uploads {
  const { uploadOne, isDown, log, now, maxConcurrent = MAX_CONCURRENT, retryMs = RETRY_MS } = options;
  const all = new Set<PendingUpload>();
  const running = new Set<Promise<void>>();
  let ready: PendingUpload[] = [];
  let bytes = 0;
  let isStopped = false;
  let idleWaiters: (() => void)[] = [];

  function start(): void {
    while (!isStopped && !isDown() && running.size < maxConcurrent) {
      const next = ready.shift();
      if (next === undefined) return;
      const promise: Promise<void> = run(next).finally(() => {
        running.delete(promise);
        start();
      });
      running.add(promise);
    }
  }

  async function run(pending: PendingUpload): Promise<void> {
    const { upload } = pending;
    try {
      await uploadOne(upload);
      all.delete(pending);
      bytes -= upload.size;
      if (all.size > 0) return;
      for (const resolve of idleWaiters) resolve();
      idleWaiters = [];
    } catch (error) {
      pending.failures += 1;
      const { bucketId, key } = upload;
      const err = asHuiyuanError(error);
      // What follows from an outage that was told once need not be told for each image.
      if (!isDown()) log.warn({ bucket: bucketId, key, failures: pending.failures, err }, "will try to upload again");
      const waitMs = Math.min(MAX_RETRY_MS, retryMs * 2 ** (pending.failures - 1)) * (0.5 + Math.random());
      pending.timer = setTimeout(() => {
        pending.timer = undefined;
        ready.push(pending);
        start();
      }, waitMs).unref();
    }
  }

  return {
    add(upload) {
      const pending: PendingUpload = { upload, failures: 0, timer: undefined };
      all.add(pending);
      bytes += upload.size;
      ready.push(pending);
      start();
    },
    backlog() {
      const oldest = all.values().next();
      return { depth: all.size, bytes, oldestMs: oldest.done === true ? 0 : now() - oldest.value.upload.since };
    },
    resume() {
      for (const pending of all) {
        if (pending.timer === undefined) continue;
        clearTimeout(pending.timer);
        pending.timer = undefined;
        ready.push(pending);
      }
      start();
    },
    idle: () => (all.size === 0 ? Promise.resolve() : new Promise((resolve) => idleWaiters.push(resolve))),
    async stop(deadlineMs) {
      isStopped = true;
      for (const { timer } of all) clearTimeout(timer);
      ready = [];
      await Promise.race([Promise.allSettled(running), delay(deadlineMs, undefined, { ref: false })]);
    },
  };
}
