// How long one fetch may live: until its signal aborts or its total time is over. It covers redirects, the retry and the
// body alike, and stops whichever exchange is under way. It knows nothing of what it stops.

import type { SharedSignal } from "../../async/shared-signals.ts";

export interface Lifetime {
  /** Why the fetch must end; undefined while it may live. */
  readonly failure: Error | undefined;
  /** What to call when the fetch must end, instead of what was named before; at once where it has failed already. */
  watch(stop: (reason: Error) => void): void;
  /** The fetch is over: the timer and the listener go. */
  end(): void;
}

/** `totalMs`: from now on. `timeoutError` makes the reason once the time is over; an abort has the signal's own. */
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
  // `failure` is a field and no getter: V8 makes a slow object of every literal with a getter.
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
