// Delays tasks that arrive shortly after one another until all of them can start together, so that they cost the disk
// one write. It runs no task itself.
import { setTimeout as delay } from "node:timers/promises";

/**
 * The returned function resolves at the end of the current batch, which all calls until then share. A batch lasts
 * `batchMs` at most, and ends once no call has come for `quietMs`. Aborted: no call waits any more.
 */
export function createBatching(batchMs: number, quietMs: number, signal: AbortSignal): () => Promise<void> {
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
