// Limits how long one fetch may run: until its signal aborts or its total time is over. It covers redirects, the retry
// and the body, and stops the exchange that is running.

import type { SharedSignal } from "../../async/shared-signals.ts";

export interface Lifetime {
  /** The reason why the fetch must end; undefined while it may run. */
  readonly failure: Error | undefined;
  /**
   * Sets the function that stops the fetch, in place of the one before. It is called at once if the fetch must end
   * already.
   */
  watch(stop: (reason: Error) => void): void;
  /** The fetch is over: removes the timer and the listener. */
  end(): void;
}

/** `totalMs`: from now. `timeoutError` makes the reason once the time is over; an abort has the signal's own reason. */
export function createLifetime(shared: SharedSignal, totalMs: number, timeoutError: () => Error): Lifetime {
  const { signal } = shared;
  let stop: ((reason: Error) => void) | undefined;
  let stopListening: (() => void) | undefined;
  const fail = (reason: Error) => {
    end();
    lifetime.failure = reason;
    stop?.(reason);
  };
  const onAbort = () => fail(abortReason(signal));
  const timer = setTimeout(() => fail(timeoutError()), totalMs);
  const end = () => {
    clearTimeout(timer);
    stopListening?.();
  };
  // `failure` is a field instead of a getter: V8 makes a slow object of every literal with a getter.
  const lifetime: { -readonly [Name in keyof Lifetime]: Lifetime[Name] } = {
    failure: undefined,
    watch(next) {
      stop = next;
      if (lifetime.failure !== undefined) next(lifetime.failure);
    },
    end,
  };
  if (signal.aborted) onAbort();
  else stopListening = shared.listen(onAbort);
  return lifetime;
}

function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error(`aborted: ${String(reason)}`);
}
