// Delays tasks that arrive shortly after one another until all of them can start together, so that they cost the disk
// one write. It runs no task itself.
import { setTimeout as delay } from "node:timers/promises";

export interface BatchingOptions {
  /** The first task waits for at most this time. Milliseconds. */
  readonly batchMs: number;
  /** All tasks start once no other has arrived for this time. Milliseconds. */
  readonly quietMs: number;
  /** Aborted: no task waits any more. */
  readonly signal: AbortSignal;
}

/** The returned function resolves at the end of the current batch, which all calls until then share. */
export function createBatching({ batchMs, quietMs, signal }: BatchingOptions): () => Promise<void> {
  let batch: Promise<void> | undefined;
  let lastCallAt = 0;

  async function untilQuiet(deadline: number): Promise<void> {
    for (;;) {
      const left = Math.min(deadline, lastCallAt + quietMs) - performance.now();
      if (left <= 0 || signal.aborted) return;
      await delay(left, undefined, { ref: false, signal }).catch(() => undefined); // An abort ends the wait.
    }
  }

  return () => {
    lastCallAt = performance.now();
    batch ??= untilQuiet(lastCallAt + batchMs).finally(() => {
      batch = undefined;
    });
    return batch;
  };
}
