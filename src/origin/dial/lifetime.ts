// Limits how long one fetch may run: until its signal aborts or its total time is over. It covers redirects, the retry
// and the body, and stops the exchange that is running. It also bounds how many exchanges run at a time.

import { LiveSet } from "../../async/live-map.ts";
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

export interface ExchangeLimit {
  /**
   * Resolves with the function that releases the slot; call it once. Throws the lifetime's failure, if one is given.
   * The queue is not bounded here: the caller bounds its requests.
   */
  take(lifetime?: Pick<Lifetime, "failure" | "watch">): Promise<() => void>;
}

/**
 * Bounds the simultaneous exchanges of one origin; the others wait in order. undici has a queue of its own, but
 * requests cannot leave it. After an outage, live requests would stand behind dead ones, each of which costs a dial.
 */
export function createExchangeLimit(count: number): ExchangeLimit {
  let free = count;
  const queue = new LiveSet<() => void>();
  const release = () => {
    const { first } = queue;
    if (first === undefined) free += 1;
    else first();
  };
  return {
    take(lifetime) {
      return new Promise((resolve, reject) => {
        let leaveQueue: (() => void) | undefined;
        const enter = () => {
          leaveQueue?.();
          resolve(release);
        };
        lifetime?.watch((reason) => {
          leaveQueue?.();
          reject(reason);
        });
        if (lifetime?.failure !== undefined) return;
        if (free === 0) {
          leaveQueue = queue.add(enter);
          return;
        }
        free -= 1;
        enter();
      });
    },
  };
}
