// Lets any number of callers wait for the same event. Neither a wake-up nor an abort leaves a listener behind.

export function createWaiters() {
  let waiters = new Set<() => void>();
  return {
    /**
     * Resolves at the next `wake`. Rejects with the signal's reason if it aborts first; the signal must not be aborted
     * yet.
     */
    wait: (signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
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
    wake(): void {
      if (waiters.size === 0) return;
      const woken = waiters;
      waiters = new Set();
      for (const proceed of woken) proceed();
    },
    /** True while a caller waits. False from `wake` on, even before the woken callers have continued. */
    isAwaited: () => waiters.size > 0,
  };
}
