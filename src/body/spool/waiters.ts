// Those who wait for the same thing to happen. Neither being woken nor an abort leaves a listener behind.

export interface Waiters {
  /** Resolves at the next `wake`. Rejects with the signal's reason when that aborts first; it has not aborted yet. */
  wait(signal?: AbortSignal): Promise<void>;
  wake(): void;
  /** Somebody waits. False from `wake` on, before those who were woken have gone on. */
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
