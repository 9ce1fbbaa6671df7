// Schedules the upload of pending objects to a remote store. Each object is retried until it is stored; while the store
// is down, nothing is tried. The objects themselves are on disk, in the tiered bucket.
import { setTimeout as delay } from "node:timers/promises";
import { asHuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { Key } from "../../../core/object.ts";

export interface Upload {
  readonly bucketId: string;
  readonly key: Key;
  /** Bytes. */
  readonly size: number;
  /** Unix milliseconds. */
  readonly since: number;
}

export interface Uploads {
  /** Schedules an object that is on disk, in place of an earlier one of its key. */
  add(upload: Upload): void;
  /** Pending objects and bytes, and the age of the oldest in milliseconds. */
  backlog(): { readonly depth: number; readonly bytes: number; readonly oldestMs: number };
  /** Retries everything at once, because the store answers again. */
  resume(): void;
  /** Resolves when no object is pending. */
  idle(): Promise<void>;
  /** Starts no further upload and waits up to `deadlineMs` milliseconds for the running ones. */
  stop(deadlineMs: number): Promise<void>;
}

export interface UploadsOptions {
  /** Uploads one object, or resolves if that is no longer needed. */
  readonly uploadOne: (upload: Upload) => Promise<void>;
  readonly isDown: () => boolean;
  /** Uploads at the same time. */
  readonly maxConcurrent: number;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Wait before the retries after an object's first failure; doubled for each further one of it. Milliseconds. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** If the store refuses every upload, thousands fail in a second. */
const LOG_EVERY_MS = 1_000;

interface PendingUpload {
  readonly upload: Upload;
  failures: number;
  /** The message of the last failure. */
  failure: string | undefined;
}

export function createUploads({ uploadOne, isDown, maxConcurrent, log, now }: UploadsOptions): Uploads {
  /** By bucket and key. */
  const all = new Map<string, PendingUpload>();
  const running = new Set<Promise<void>>();
  let ready: PendingUpload[] = [];
  /** They wait for the retries, which are one timer for all. */
  let failed: PendingUpload[] = [];
  let retries: NodeJS.Timeout | undefined;
  let bytes = 0;
  let isStopped = false;
  let loggedAt = Number.NEGATIVE_INFINITY;
  let idleWaiters: (() => void)[] = [];

  function start(): void {
    while (!isStopped && !isDown() && running.size < maxConcurrent) {
      const next = ready.shift();
      if (next === undefined) return;
      if (!isCurrent(next)) continue;
      const promise: Promise<void> = run(next).finally(() => {
        running.delete(promise);
        start();
      });
      running.add(promise);
    }
  }

  const nameOf = ({ bucketId, key }: Upload) => `${bucketId}\n${key}`;
  const isCurrent = (pending: PendingUpload) => all.get(nameOf(pending.upload)) === pending;

  function remove(pending: PendingUpload | undefined): void {
    if (pending === undefined || !isCurrent(pending)) return;
    all.delete(nameOf(pending.upload));
    bytes -= pending.upload.size;
  }

  async function run(pending: PendingUpload): Promise<void> {
    try {
      await uploadOne(pending.upload);
      remove(pending);
      if (all.size > 0) return;
      for (const resolve of idleWaiters) resolve();
      idleWaiters = [];
    } catch (error) {
      if (!isCurrent(pending)) return;
      const { bucketId, key } = pending.upload;
      const err = asHuiyuanError(error);
      // An outage is logged once, not for each image; a lasting failure of an image once, not for each attempt.
      if (!isDown() && err.message !== pending.failure && performance.now() - loggedAt >= LOG_EVERY_MS) {
        loggedAt = performance.now();
        log.warn({ bucket: bucketId, key, waiting: all.size, err }, "cannot upload an image; will retry");
      }
      pending.failure = err.message;
      failed.push(pending);
      retries ??= setTimeout(retry, Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** pending.failures)).unref();
      pending.failures += 1;
    }
  }

  function retry(): void {
    clearTimeout(retries);
    retries = undefined;
    // Behind the others, so that an object that the store always refuses delays none.
    ready = [...ready, ...failed];
    failed = [];
    start();
  }

  return {
    add(upload) {
      const pending: PendingUpload = { upload, failures: 0, failure: undefined };
      remove(all.get(nameOf(upload)));
      all.set(nameOf(upload), pending);
      bytes += upload.size;
      ready.push(pending);
      start();
    },
    backlog() {
      const oldest = all.values().next();
      return { depth: all.size, bytes, oldestMs: oldest.done === true ? 0 : now() - oldest.value.upload.since };
    },
    resume: retry,
    idle: () => (all.size === 0 ? Promise.resolve() : new Promise<void>((resolve) => idleWaiters.push(resolve))),
    async stop(deadlineMs) {
      isStopped = true;
      clearTimeout(retries);
      await Promise.race([Promise.allSettled(running), delay(deadlineMs, undefined, { ref: false })]);
    },
  };
}
