// Limits how long one fetch may run: until its signal aborts or its total time is over. It covers redirects, the retry
// and the body, and stops the exchange that is running.
import type { SharedSignal } from "../../../async/cancellation.ts";

/** A class, because each fetch makes one. */
export class Lifetime {
  /** The reason why the fetch must end; undefined while it may run. */
  failure: Error | undefined;
  /** The exchange to stop then. */
  exchange: { expire(reason: Error): void } | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;

  /** `totalMs`: from now. `timeoutError` makes the reason once the time is over. An abort has the signal's reason. */
  constructor({ signal, listeners }: SharedSignal, totalMs: number, timeoutError: () => Error) {
    const onAbort = () => {
      const reason: unknown = signal.reason;
      this.#fail(reason instanceof Error ? reason : new Error(`aborted: ${String(reason)}`));
    };
    this.#timer = setTimeout(() => this.#fail(timeoutError()), totalMs);
    this.#stopListening = listeners.add(onAbort);
    if (signal.aborted) onAbort();
  }

  #fail(reason: Error): void {
    this.end();
    this.failure = reason;
    this.exchange?.expire(reason);
  }

  /** The fetch is over: removes the timer and the listener. */
  end(): void {
    clearTimeout(this.#timer);
    this.#stopListening();
  }
}
