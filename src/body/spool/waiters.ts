// Lets any number of callers wait for the same event. Neither a wake-up nor an abort leaves a listener behind.

export interface Waiters {
  /**
   * Resolves at the next `wake`. Rejects with the signal's reason if it aborts first; the signal must not be aborted
   * yet.
   */
  wait(signal?: AbortSignal): Promise<void>;
  wake(): void;
  /** True while a caller waits. False from `wake` on, even before the woken callers have continued. */
  isAwaited(): boolean;
}

export function createWaiters(): Waiters {
  let waiters = new Set<() => void>();
  return {
    wait: (signal) =>
      new Promise((resolve, reject) => {
        const leave = () => {
          waiters.delete(proceed);
          reject(signal?.reason);
        };
        const proceed = () => {
          signal?.removeEventListener("abort", leave);
          resolve();
        };
        waiters.add(proceed);
        signal?.addEventListener("abort", leave, { once: true });
      }),
    wake() {
      if (waiters.size === 0) return;
      const woken = waiters;
      waiters = new Set();
      for (const proceed of woken) proceed();
    },
    isAwaited: () => waiters.size > 0,
  };
}
