// Those who wait for something may leave, and whoever works for them is told.

/** As much of an AbortSignal as is asked of a client that may leave; an AbortSignal is one. */
export interface Cancellation {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(event: "abort", listener: () => void): void;
  removeEventListener(event: "abort", listener: () => void): void;
}

/** Rejects with the signal's reason when that comes first; the promise goes on. */
export function abortable<Value>(promise: Promise<Value>, signal: Cancellation): Promise<Value> {
  return new Promise((resolve, reject) => {
    const cancel = () => reject(signal.reason);
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", cancel));
  });
}

/** What an AbortController and its signal are, at a tenth of their cost. A class, since one is made for every image. */
export class CancellationSource<Reason = unknown> implements Cancellation {
  aborted = false;
  /** Of the one who left, once `aborted`. */
  reason: Reason | undefined;
  #listeners: Set<() => void> | undefined;

  addEventListener(_event: "abort", listener: () => void): void {
    if (this.aborted) return;
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  removeEventListener(_event: "abort", listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  /** The first time counts. */
  cancel(reason: Reason): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const listeners = this.#listeners ?? [];
    this.#listeners = undefined;
    for (const listener of listeners) listener();
  }
}
