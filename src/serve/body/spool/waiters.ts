// Lets any number of callers wait for the same event. Neither a wake-up nor an abort leaves a listener behind.

/** A class, because each arriving body has two, and most never wait. */
export class Waiters {
  #waiters: Set<() => void> | undefined;

  /** True while a caller waits. False from `wake` on, even before the woken callers have continued. */
  get isAwaited(): boolean {
    return this.#waiters !== undefined && this.#waiters.size > 0;
  }

  /**
   * Resolves at the next `wake`. Rejects with the signal's reason if it aborts first; the signal must not be aborted
   * yet.
   */
  wait(signal?: AbortSignal): Promise<void> {
    this.#waiters ??= new Set();
    const waiters = this.#waiters;
    return new Promise<void>((resolve, reject) => {
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
    });
  }

  wake(): void {
    const woken = this.#waiters;
    this.#waiters = undefined;
    for (const proceed of woken ?? []) proceed();
  }
}
