// Lets what comes shortly after one another go on together, so that it costs the disk one write.
import { setTimeout as delay } from "node:timers/promises";

export interface GatheringOptions {
  /** The first waits so long at the most. */
  readonly batchMs: number;
  /** When no other has come for so long, all go on. */
  readonly quietMs: number;
  /** Cuts it short, from then on. */
  readonly signal: AbortSignal;
}

/** The returned function resolves at the end of the time that is running, which all who come within it share. */
export function createBatching({ batchMs, quietMs, signal }: GatheringOptions): () => Promise<void> {
  let gathering: Promise<void> | undefined;
  let lastCameAt = 0;

  async function others(deadline: number): Promise<void> {
    for (;;) {
      const left = Math.min(deadline, lastCameAt + quietMs) - performance.now();
      if (left <= 0 || signal.aborted) return;
      await delay(left, undefined, { ref: false, signal }).catch(() => undefined); // The stop cuts it short.
    }
  }

  return () => {
    lastCameAt = performance.now();
    gathering ??= others(lastCameAt + batchMs).finally(() => {
      gathering = undefined;
    });
    return gathering;
  };
}
