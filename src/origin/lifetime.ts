// How long one fetch may live: until its signal aborts or its total time is over. It covers redirects, the retry and the
// body alike, and stops whichever exchange is under way. It knows nothing of what it stops.

export interface Lifetime {
  /** Why the fetch must end; undefined while it may live. */
  readonly failure: Error | undefined;
  /** What to call when the fetch must end, instead of what was named before; at once where it has failed already. */
  watch(stop: (reason: Error) => void): void;
  /** The fetch is over: the timer and the listener go. */
  end(): void;
}

/** `totalMs`: from now on. `timeoutError` makes the reason once the time is over; an abort has the signal's own. */
export function createLifetime(signal: AbortSignal, totalMs: number, timeoutError: () => Error): Lifetime {
  let failure: Error | undefined;
  let stop: ((reason: Error) => void) | undefined;
  const fail = (reason: Error) => {
    end();
    failure = reason;
    stop?.(reason);
  };
  const onAbort = () => fail(abortReason(signal));
  const timer = setTimeout(() => fail(timeoutError()), totalMs);
  const end = () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return {
    get failure() {
      return failure;
    },
    watch(next) {
      stop = next;
      if (failure !== undefined) next(failure);
    },
    end,
  };
}

function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error(`aborted: ${String(reason)}`);
}
